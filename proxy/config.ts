import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { RuleDocuments } from '../policies/documents.ts';
import { checkConsistency } from './config/consistency.ts';
import { parseYaml } from './config/document.ts';
import { showListen } from './config/formats.ts';
import { interpolate, type Environment } from './config/interpolate.ts';
import { ConfigFault, isWithin, showPath, type Mistake, type Path } from './config/problems.ts';
import { isRecord, resolveRow } from './config/resolve.ts';
import { PACKS } from './config/packs.ts';
import { checkRuleDocuments, ruleDocuments, RULES } from './config/rules.ts';
import type { Row } from './config/schema.ts';
import { Secret } from './config/secret.ts';
import { SETTINGS, type Settings } from './config/settings.ts';
import { compileShape, type ShapeCheck } from './config/shape.ts';

export { ConfigFault, Secret, type Environment, type Settings };

const { recorder, hold, log, ...first } = SETTINGS.properties;

/** The one schema of the configuration file: shape, defaults and sentences. */
export const CONFIG_SCHEMA: Row = {
  ...SETTINGS,
  properties: { ...first, packs: PACKS, ...RULES, recorder, hold, log },
};

/** The configuration in force: complete, checked, frozen. Secrets in it show themselves to `reveal()` only. */
export type Config = Settings & {
  readonly file: string;
  /** Of the file's text. */
  readonly hash: string;
  readonly server: { readonly publicUrl: string };
  readonly rules: RuleDocuments;
  /** Allowed but risky settings, one sentence each, beginning with the key. */
  readonly warnings: readonly string[];
};

/** Reads, checks and freezes the file; throws a ConfigFault that names every mistake in it. */
export function loadConfig(file: string, env: Environment): Config {
  return parseConfig(readConfigFile(file), file, env);
}

/** The file's text; a ConfigFault when it cannot be read. */
export function readConfigFile(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (fault) {
    const why = fault instanceof TypeError ? 'not UTF-8' : ((fault as NodeJS.ErrnoException).code ?? 'failed');
    throw new ConfigFault(file, [
      { path: '', line: 0, column: 0, message: `cannot be read (${why}), expected a YAML file` },
    ]);
  }
}

/** `loadConfig` for a text already read; `file` names it in messages and its folder is where relative paths start. */
export function parseConfig(text: string, file: string, env: Environment): Config {
  const document = parseYaml(text);
  if (document.problems.length > 0) throw new ConfigFault(file, inOrder(document.problems));
  if (!isRecord(document.value)) {
    const message = `${document.value === null ? 'is empty' : 'is no mapping'}, expected keys such as connections`;
    throw new ConfigFault(file, [document.place({ path: [], message })]);
  }

  const interpolated = interpolate(document.value, env, new Set(['packs', ...Object.keys(RULES)]));
  const written = interpolated.value as Record<string, unknown>;
  const unset = new Set(interpolated.mistakes.map((mistake) => showPath(mistake.path)));
  const mistakes: Mistake[] = [...interpolated.mistakes];
  mistakes.push(...checkShape(written).filter((mistake) => !unset.has(showPath(mistake.path))));
  const settings = resolveRow(SETTINGS, written, dirname(resolve(file)), mistakes) as Settings;

  const found = [...mistakes];
  const sound = (path: Path): boolean => !found.some((each) => isWithin(each.path, path) || isWithin(path, each.path));
  const consistency = checkConsistency(settings, {
    sound,
    written: (path) => holds(written, path),
    taken: (path) => interpolated.taken.some((each) => showPath(each) === showPath(path)),
  });
  mistakes.push(...consistency.mistakes, ...checkRuleDocuments(written, sound));
  if (mistakes.length > 0) throw new ConfigFault(file, inOrder(mistakes.map((mistake) => document.place(mistake))));

  const publicUrl = settings.server.publicUrl ?? derivePublicUrl(settings.server.listen);
  return freeze({
    ...settings,
    file,
    hash: hashOf(text),
    server: { ...settings.server, publicUrl },
    rules: ruleDocuments(written),
    warnings: consistency.warnings,
  });
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The URL that reaches a listen address from this machine. */
export function derivePublicUrl(listen: Settings['server']['listen']): string {
  const everywhere = listen.host === '0.0.0.0' || listen.host === '::';
  return new URL(`http://${showListen(everywhere ? { host: 'localhost', port: listen.port } : listen)}`).origin;
}

let compiled: ShapeCheck | undefined;

function checkShape(value: unknown): readonly Mistake[] {
  compiled ??= compileShape(CONFIG_SCHEMA);
  return compiled(value);
}

function holds(value: unknown, path: Path): boolean {
  let node = value;
  for (const step of path) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, step)) return false;
    node = (node as Record<string | number, unknown>)[step];
  }
  return true;
}

function inOrder<P extends { line: number; column: number }>(problems: readonly P[]): P[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret || Object.isFrozen(value)) return value;
  Object.freeze(value);
  Object.values(value).forEach(freeze);
  return value;
}
