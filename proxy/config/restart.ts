import { CONFIG_SCHEMA, type Config } from '../config.ts';
import type { Row } from './schema.ts';
import { Secret } from './secret.ts';
import { nameInCode } from './resolve.ts';

type Connection = Config['connections'][number];

/**
 * The keys whose change a running gateway cannot take over, such as `server.listen` or `connections[default].upstream`. Which keys a
 * reload applies is marked `live` in the schema.
 */
export function restartNeeded(before: Config, after: Config): readonly string[] {
  const changed: string[] = [];
  for (const [section, row] of Object.entries(CONFIG_SCHEMA.properties ?? {})) {
    if (section === 'connections' || row.live === true) continue;
    changed.push(...changedKeys(row, section, read(before, section), read(after, section)));
  }
  const names = new Set([...before.connections, ...after.connections].map((each) => each.name));
  const row = CONFIG_SCHEMA.properties?.['connections']?.items ?? {};
  for (const name of names)
    changed.push(...changedKeys(row, `connections[${name}]`, named(before, name), named(after, name)));
  return changed;
}

/**
 * What runs after a reload: the new file's live keys over the running rest. A connection that is gone from the new file keeps no
 * document in `rules`, so that it answers nobody; one that is new there waits for the restart.
 */
export function takeLive(running: Config, next: Config): Config {
  return {
    ...running,
    server: { ...running.server, allowedOrigins: next.server.allowedOrigins },
    hold: next.hold,
    rules: next.rules,
    warnings: next.warnings,
    connections: running.connections.map((connection) => {
      const { access: _, elicitation: __, ...rest } = connection;
      const source = named(next, connection.name);
      const { access, elicitation } = source ?? {};
      return {
        ...rest,
        attributes: source?.attributes ?? [],
        schemaValidation: source?.schemaValidation ?? 'off',
        pins: source?.pins ?? connection.pins,
        ...(access === undefined ? {} : { access }),
        ...(elicitation === undefined ? {} : { elicitation }),
      };
    }),
  };
}

function changedKeys(row: Row, path: string, before: unknown, after: unknown): string[] {
  if (row.live === true || same(before, after)) return [];
  const whole = before === undefined || after === undefined || row.properties === undefined;
  if (whole) return [path];
  return Object.entries(row.properties ?? {}).flatMap(([key, member]) => {
    const name = nameInCode(key, member.format);
    return changedKeys(member, `${path}.${key}`, read(before, name), read(after, name));
  });
}

function named(config: Config, name: string): Connection | undefined {
  return config.connections.find((connection) => connection.name === name);
}

function read(value: unknown, key: string): unknown {
  return (value as Record<string, unknown>)[key];
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Secret) return a.equals(b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(read(a, key), read(b, key)))
  );
}
