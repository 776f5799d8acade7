import { readFileSync, statSync } from 'node:fs';
import { resolve as absolute } from 'node:path';
import { parseListen } from './formats.ts';
import type { Mistake, Path } from './problems.ts';
import type { Row } from './schema.ts';
import { Secret } from './secret.ts';
import { parseByteSize, parseTimeSpan } from '../../policies/units.ts';

// A secret or a bundle of certificates, not a device or a log file.
const LARGEST_FILE = 1_048_576;

/**
 * Turns a checked value into what code meets: defaults filled in, units and paths resolved, secrets read, names in camel case.
 * Parts that do not fit their row come out undefined; whoever calls has their mistakes already.
 */
export function resolveRow(row: Row, value: unknown, folder: string, mistakes: Mistake[]): unknown {
  return resolve(row, value, []);

  function resolve(row: Row, given: unknown, path: Path): unknown {
    const value = given === undefined ? row.default : given;
    if (value === undefined) return undefined;
    if (row.secret === true) {
      const text = typeof value === 'string' ? value : fileContent(value, path);
      return text === undefined ? undefined : new Secret(text, typeof value === 'string' ? 'text' : 'file');
    }
    if (row.content === true) return fileContent(value, path);
    if (row.oneOf !== undefined) return resolve(branchOf(row.oneOf, value), value, path);
    if (typeof value === 'string') return fromText(row.format, value);
    if (Array.isArray(value)) return value.map((item, index) => resolve(row.items ?? {}, item, [...path, index]));
    return isRecord(value) ? resolveMembers(row, value, path) : value;
  }

  function resolveMembers(row: Row, value: Record<string, unknown>, path: Path): unknown {
    const members: [string, unknown][] = [];
    for (const [key, member] of Object.entries(row.properties ?? {})) {
      const resolved = resolve(member, Object.hasOwn(value, key) ? value[key] : undefined, [...path, key]);
      if (resolved !== undefined) members.push([nameInCode(key, member.format), resolved]);
    }
    if (row.additionalProperties) {
      for (const [key, member] of Object.entries(value)) {
        members.push([key, resolve(row.additionalProperties, member, [...path, key])]);
      }
    }
    return Object.fromEntries(members);
  }

  function fromText(format: string | undefined, text: string): unknown {
    if (format === 'time-span') return parseTimeSpan(text);
    if (format === 'byte-size') return parseByteSize(text);
    if (format === 'listen-address') return parseListen(text);
    if (format === 'path') return absolute(folder, text);
    return text;
  }

  function fileContent(value: unknown, path: Path): string | undefined {
    if (!isRecord(value) || typeof value['file'] !== 'string') return undefined;
    const file = absolute(folder, value['file']);
    const read = readText(file);
    if (typeof read === 'string' && read !== '') return read;
    const fault = read === '' ? 'is empty' : `cannot be read (${(read as Unreadable).why})`;
    mistakes.push({ path: [...path, 'file'], message: `the file ${file} ${fault}, expected a text` });
    return undefined;
  }
}

interface Unreadable {
  readonly why: string;
}

/** The file's text without its last line break. */
function readText(file: string): string | Unreadable {
  try {
    const { size } = statSync(file);
    if (size > LARGEST_FILE) return { why: 'larger than 1 MiB' };
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)).replace(/\r?\n$/, '');
  } catch (fault) {
    return { why: fault instanceof TypeError ? 'not UTF-8' : ((fault as NodeJS.ErrnoException).code ?? 'failed') };
  }
}

function branchOf(branches: readonly Row[], value: unknown): Row {
  return branches.find((branch) => fits(branch, value)) ?? {};
}

/** Enough to tell the branches apart: the type, the required keys and the constants. */
export function fits(branch: Row, value: unknown): boolean {
  if (branch.type !== 'object') return typeof value === branch.type;
  if (!isRecord(value)) return false;
  return (branch.required ?? []).every((key) => {
    const only = branch.properties?.[key]?.const;
    return Object.hasOwn(value, key) && (only === undefined || value[key] === only);
  });
}

export function nameInCode(key: string, format: string | undefined): string {
  const camel = key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return format === 'time-span' ? `${camel}Ms` : format === 'byte-size' ? `${camel}Bytes` : camel;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
