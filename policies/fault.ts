/** A mistake in a rule, found when it is loaded. The message says what was expected; the position counts UTF-16 units from 0. */
export class RuleFault extends Error {
  readonly position: number | undefined;

  constructor(message: string, position?: number) {
    super(message);
    this.name = 'RuleFault';
    this.position = position;
  }
}

/** `line 2, column 5` of a position in a text, both counted from 1. */
export function lineAndColumn(text: string, position: number): string {
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  return `line ${line}, column ${position - before.lastIndexOf('\n')}`;
}
