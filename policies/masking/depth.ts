/** JSON texts inside of strings are read as JSON this deep, deeper ones as plain text. */
export const DEEPEST = 4;
