import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { compileRulebook } from '../../policies/compile.ts';
import type { JsonObject } from '../../policies/types.ts';
import { loadConfig, readConfigFile } from '../config.ts';
import { Refused } from './caller.ts';
import { parseCases, runCase, type CaseOutcome } from './policy-cases.ts';
import { coverageOf, type Coverage } from './policy-coverage.ts';
import { table } from './terminal.ts';

export interface PolicyParts {
  readonly config: () => string;
  readonly call: (name: string, args: JsonObject) => Promise<JsonObject>;
  readonly show: (value: JsonObject, human: (value: JsonObject) => string) => void;
  readonly setCode: (code: number) => void;
}

const MOST_SESSIONS = 20;

/** `policy test` and `policy coverage`. */
export function policyCommands(program: Command, { config, call, show, setCode }: PolicyParts): void {
  const policy = program.command('policy').description('try rules before they bite');
  policy
    .command('test')
    .argument('<file...>', 'YAML files with cases')
    .description('run cases against the rules of the configuration, offline; exit code 1 when one fails')
    .action((files: string[]) => {
      const rulebook = compileRulebook(loadConfig(config(), process.env).rules);
      const outcomes = files.flatMap((file) =>
        parseCases(readConfigFile(file), file).map((each) => ({ file, ...runCase(rulebook, each) })),
      );
      const failed = outcomes.filter(({ passed }) => !passed).length;
      const report = { passed: outcomes.length - failed, failed, cases: outcomes } as unknown as JsonObject;
      show(report, () => outcomeTable(outcomes, failed));
      if (failed > 0) setCode(1);
    });
  policy
    .command('coverage')
    .option('--tools <file>', 'a JSON file with the result of tools/list, instead of what was recorded')
    .option('--connection <name>', 'only this connection')
    .option('--all', 'also the tools that rules touch, with the rules')
    .description('list the tools that no rule touches')
    .action(async (given: { tools?: string; connection?: string; all?: boolean }) => {
      const { rules } = loadConfig(config(), process.env);
      const connections = rules.connections.filter(
        ({ name }) => given.connection === undefined || name === given.connection,
      );
      if (connections.length === 0) throw new Refused(`there is no connection named ${given.connection}`);
      if (given.tools !== undefined && connections.length > 1)
        throw new Refused('--tools is the list of one connection: name it with --connection');
      const covered: Coverage[] = [];
      const unknown: string[] = [];
      for (const connection of connections) {
        const tools = given.tools === undefined ? await recordedTools(connection.name, call) : toolsOf(given.tools);
        if (tools === undefined) unknown.push(connection.name);
        else covered.push(...coverageOf(connection, tools, rules));
      }
      const bare = covered.filter((each) => each.rules.length === 0);
      const report = { tools: covered, untouched: bare, unknown } as unknown as JsonObject;
      show(report, () => coverageTable(given.all === true ? covered : bare, covered.length, bare.length, unknown));
    });
}

function outcomeTable(outcomes: readonly CaseOutcome[], failed: number): string {
  const rows = outcomes.map(({ passed, name, got, faults }) => [passed ? 'ok' : 'FAIL', name, got, faults.join('; ')]);
  const count = `${outcomes.length - failed} passed, ${failed} failed`;
  return `${table(['', 'CASE', 'DECISION', 'WRONG'], rows)}\n\n${count}`;
}

function coverageTable(rows: readonly Coverage[], all: number, bare: number, unknown: readonly string[]): string {
  const lines = rows.map(({ connection, tool, rules }) => [connection, tool, rules.join(', ') || 'no rule']);
  const missing = unknown.map((name) => `no tool list of ${name} is recorded: connect a client, or give --tools`);
  const listed = lines.length === 0 ? [] : [table(['CONNECTION', 'TOOL', 'RULES'], lines), ''];
  return [...listed, ...missing, `${bare} of ${all} tools are touched by no rule`].join('\n');
}

/** The names in the newest recorded answers to tools/list of a connection. */
async function recordedTools(connection: string, call: PolicyParts['call']): Promise<readonly string[] | undefined> {
  const { items } = await call('sessions_list', { connection, limit: MOST_SESSIONS });
  for (const session of items as JsonObject[]) {
    const content = await call('sessions_get_content', { id: session['id']! });
    const names = (content['exchanges'] as JsonObject[])
      .filter((exchange) => exchange['method'] === 'tools/list' && exchange['is_error'] === false)
      .flatMap((exchange) => namesIn(String(exchange['response'])) ?? []);
    if (names.length > 0) return [...new Set(names)];
  }
  return undefined;
}

function toolsOf(file: string): readonly string[] {
  const names = namesIn(readFileSync(file, 'utf8'));
  if (names === undefined) throw new Refused(`${file} is not the result of tools/list`);
  return names;
}

/** Of a JSON-RPC answer, of its result, or of the mere list; undefined for anything else. */
function namesIn(json: string): readonly string[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // A body that was cut or pruned is no list.
    return undefined;
  }
  const result = (value as { result?: unknown } | null)?.result ?? value;
  const list = Array.isArray(result) ? result : (result as { tools?: unknown } | null)?.tools;
  if (!Array.isArray(list)) return undefined;
  return list.flatMap((tool: unknown) => {
    const name = (tool as { name?: unknown } | null)?.name;
    return typeof name === 'string' ? [name] : [];
  });
}
