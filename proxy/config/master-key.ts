import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config.ts';
import { ConfigFault } from './problems.ts';

export interface MasterKeys {
  readonly master: Buffer;
  readonly previous: readonly Buffer[];
  /** True when the master key was made just now. */
  readonly created: boolean;
  readonly warnings: readonly string[];
}

const BYTES = 32;

/**
 * The master key and its predecessors, 32 bytes each. An absent master key is made, readable by its owner only, and never over an
 * existing file; any other fault is a ConfigFault, because starting with another key would lose what the right one sealed.
 */
export function loadMasterKey(config: Pick<Config, 'keys' | 'file'>): MasterKeys {
  const { master, previous } = config.keys;
  const created = createWhenAbsent(master.file, config.file);
  return {
    master: readKey(master.file, 'keys.master', config.file),
    previous: previous.map((each, index) => readKey(each.file, `keys.previous[${index}]`, config.file)),
    created,
    warnings: isOpen(master.file) ? [`keys.master: others than its owner may read ${master.file}`] : [],
  };
}

function createWhenAbsent(file: string, configFile: string): boolean {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    if (statSync(file, { throwIfNoEntry: false }) !== undefined) return false;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const descriptor = openSync(draft, 'wx', 0o600);
    try {
      writeSync(descriptor, `${randomBytes(BYTES).toString('base64')}\n`);
      fsyncSync(descriptor);
      // A link appears whole or not at all, and never replaces a file that another process made meanwhile.
      linkSync(draft, file);
    } finally {
      closeSync(descriptor);
      unlinkSync(draft);
    }
  } catch (fault) {
    if (codeOf(fault) === 'EEXIST') return false;
    throw keyFault(
      configFile,
      'keys.master',
      `the file ${file} cannot be made (${codeOf(fault)}), expected a folder to write to`,
    );
  }
  return true;
}

function readKey(file: string, key: string, configFile: string): Buffer {
  let text: string;
  try {
    text = readFileSync(file, 'latin1').trim();
  } catch (fault) {
    throw keyFault(configFile, key, `the file ${file} cannot be read (${codeOf(fault)}), expected a key`);
  }
  const bytes = /^[0-9a-fA-F]{64}$/.test(text)
    ? Buffer.from(text, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : Buffer.alloc(0);
  if (bytes.length === BYTES) return bytes;
  throw keyFault(configFile, key, `the file ${file} holds no key, expected ${BYTES} bytes in base64 or hex`);
}

function keyFault(configFile: string, path: string, message: string): ConfigFault {
  return new ConfigFault(configFile, [{ path, line: 0, column: 0, message }]);
}

function isOpen(file: string): boolean {
  return (statSync(file).mode & 0o077) !== 0;
}

function codeOf(fault: unknown): string {
  return (fault as NodeJS.ErrnoException).code ?? 'failed';
}
