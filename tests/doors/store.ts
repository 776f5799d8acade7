import Database from 'better-sqlite3';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeLink } from '../../recorder/chain.ts';
import type { Entry } from '../../recorder/types.ts';
import type { TestGateway } from '../gateway.ts';

export type Refusal = Extract<Entry, { type: 'refusal' }>;

/** The refusals in the store itself, oldest first, as an auditor with the file would read them. */
export async function refusals(gateway: TestGateway): Promise<readonly Refusal[]> {
  await gateway.portcullis.gateway.recorder.settled();
  return refusalsIn(gateway.folder);
}

export function refusalsIn(folder: string): readonly Refusal[] {
  const db = new Database(join(folder, 'portcullis.db'), { readonly: true });
  try {
    const rows = db.prepare("SELECT canonical FROM entries WHERE type = 'refusal' ORDER BY id").pluck().all();
    return rows.map((row) => JSON.parse(String(decodeLink(row as Buffer)!.json)) as Refusal);
  } finally {
    db.close();
  }
}

/** Which of these texts stand anywhere in the files of the gateway's data folder, or in its log. */
export function found(gateway: TestGateway, needles: readonly string[]): readonly string[] {
  const texts = readdirSync(gateway.folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => readFileSync(join(file.parentPath, file.name)));
  texts.push(Buffer.from(gateway.logged.join('\n')));
  return needles.filter((needle) => texts.some((text) => text.includes(needle)));
}

/** Parts of a secret long enough to be of use, and to be no accident. */
export function parts(secret: string): readonly string[] {
  const all: string[] = [];
  for (let start = 0; start + 16 <= secret.length; start += 8) all.push(secret.slice(start, start + 16));
  return all;
}
