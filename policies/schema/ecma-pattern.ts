import { compilePattern } from '../pattern.ts';

/** A pattern of a schema, with the name under which the validator keeps it. */
export interface SchemaPattern {
  test(text: string): boolean;
  toString(): string;
}

/** Escapes of ECMAScript that the linear-time engine writes differently; an escaped backslash is passed over. */
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|[\s\S])/g;

/**
 * Compiles a pattern as schemas write it (ECMA-262) for the engine that takes linear time, whatever pattern and text. Throws a
 * RuleFault for look-around and back-references, which it cannot take.
 */
export function compileSchemaPattern(source: string): SchemaPattern {
  const translated = source
    .replace(ESCAPE, (escape, four?: string, any?: string) =>
      four === undefined && any === undefined ? escape : `\\x{${four ?? any}}`,
    )
    .replaceAll('[^]', '(?s:.)');
  const pattern = compilePattern(translated);
  return { test: (text) => pattern.search(text), toString: () => source };
}
