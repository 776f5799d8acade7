import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One thing the suite looked at, as it wrote it down. */
export interface Check {
  readonly id: string;
  readonly status: string;
  readonly details: unknown;
  readonly message?: string;
}

/** The checks of each scenario that ran. */
export type Results = ReadonlyMap<string, readonly Check[]>;

/** A part of the suite with the verdict that a server without faults gets. */
export interface Leg {
  readonly release: 'current' | 'earlier';
  readonly select: readonly string[];
  readonly scenarios: number;
  readonly passed: number;
}

/** The suite against a server. The last two revisions have frozen lists of requirements; 2026-07-28 includes the extension for tasks. */
export const LEGS = {
  '2025-03-26': leg('current', ['--suite', 'all', '--spec-version', '2025-03-26'], 1, 3),
  '2025-06-18': leg('current', ['--suite', 'all', '--spec-version', '2025-06-18'], 27, 56),
  '2025-11-25': leg('current', ['--requirements', '2025-11-25'], 33, 84),
  '2026-07-28': leg('current', ['--requirements', '2026-07-28'], 50, 196),
  'earlier release': leg('earlier', ['--suite', 'all'], 32, 44),
} as const satisfies Readonly<Record<string, Leg>>;

export type LegName = keyof typeof LEGS;

function leg(release: Leg['release'], select: readonly string[], scenarios: number, passed: number): Leg {
  return { release, select, scenarios, passed };
}

const PROGRAMS = {
  current: join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js'),
  earlier: join(import.meta.dirname, 'node_modules/conformance-0.1/dist/index.js'),
};

/** Runs a leg against the server at `url`; a leg that could not run throws, failed checks are results. */
export function runLeg(name: LegName, url: string): Promise<Results> {
  const { release, select } = LEGS[name];
  const patience = release === 'current' ? ['--timeout', '30000'] : [];
  return run(PROGRAMS[release], ['server', '--url', url, ...select, ...patience]);
}

/**
 * Runs one client scenario: the suite serves, and starts `program` with its arguments and the URL of its server. What the client wrote on
 * its standard error goes into `complaints`, for whoever wonders why a check failed.
 */
export function runClientScenario(
  scenario: string,
  program: readonly string[],
  complaints: string[] = [],
): Promise<Results> {
  const command = [process.execPath, ...program].join(' ');
  const args = ['client', '--command', command, '--scenario', scenario, '--timeout', '30000'];
  return run(PROGRAMS.current, args, complaints);
}

/** How many checks have this status. */
export function count(results: Results, status: string): number {
  return [...results.values()].flat().filter((check) => check.status === status).length;
}

function run(program: string, args: readonly string[], complaints: string[] = []): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-conformance-'));
  return new Promise((resolve, reject) => {
    // The exit code is 1 as soon as one check fails: what counts is what was written down.
    execFile(
      process.execPath,
      [program, ...args, '-o', folder],
      { maxBuffer: 64 * 1024 * 1024, timeout: 110_000 },
      (fault, stdout, stderr) => {
        const results = readResults(folder, complaints);
        rmSync(folder, { recursive: true, force: true });
        if (results.size > 0 && fault?.killed !== true) resolve(results);
        else reject(new Error(`the suite ended without results: ${args.join(' ')}\n${stdout}\n${stderr}`));
      },
    );
  });
}

/** The suite makes a folder for each scenario, named after it and the time. */
function readResults(folder: string, complaints: string[]): Results {
  const results = new Map<string, readonly Check[]>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name, 'checks.json');
    const scenario = /(?:^|\/)(?:server-)?([^/]+?)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)?.[1];
    if (scenario === undefined || !existsSync(path)) continue;
    const written = join(folder, name, 'stderr.txt');
    if (existsSync(written)) complaints.push(readFileSync(written, 'utf8'));
    const checks = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>[];
    results.set(
      scenario,
      checks.map(({ id, status, details, errorMessage }) => ({
        id: String(id),
        status: String(status),
        details,
        ...(typeof errorMessage === 'string' ? { message: errorMessage } : {}),
      })),
    );
  }
  return results;
}
