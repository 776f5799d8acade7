import type { Mistake, Path } from './problems.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolated {
  readonly value: unknown;
  readonly mistakes: readonly Mistake[];
  /** Paths of the texts that took something from the environment. */
  readonly taken: readonly Path[];
}

/**
 * Replaces `${NAME}` in every text by the environment's value; `$${` stands for `${`. A variable that is unset or empty is
 * a mistake: an empty credential must not pass for one. Top-level keys in `literal` (the rules) are left as they are, so that a rule
 * means the same in the file and through the API.
 */
export function interpolate(value: unknown, env: Environment, literal: ReadonlySet<string>): Interpolated {
  const mistakes: Mistake[] = [];
  const taken: Path[] = [];

  const inText = (text: string, path: Path): string => {
    let took = false;
    const result = text.replace(/\$\$\{|\$\{([^}]*)\}?/g, (match, name: string | undefined) => {
      if (match === '$${') return '${';
      if (name === undefined || !match.endsWith('}') || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        mistakes.push({ path, message: 'malformed reference, expected ${NAME} (write $${ for a plain ${)' });
        return '';
      }
      took = true;
      const found = Object.hasOwn(env, name) ? env[name] : undefined;
      if (found === undefined || found === '') {
        mistakes.push({ path, message: `the environment variable ${name} is unset or empty, expected a value` });
        return '';
      }
      return found;
    });
    if (took) taken.push(path);
    return result;
  };

  const walk = (node: unknown, path: Path): unknown => {
    if (typeof node === 'string') return inText(node, path);
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, item]) => {
        return [key, path.length === 0 && literal.has(key) ? item : walk(item, [...path, key])];
      }),
    );
  };

  return { value: walk(value, []), mistakes, taken };
}
