import type { Command } from 'commander';
import type { JsonObject } from '../../policies/types.ts';
import { safe, table } from './terminal.ts';

type Call = (name: string, args: JsonObject) => Promise<JsonObject>;
type Show = (value: JsonObject, human: (value: JsonObject) => string) => void;

const s = (value: unknown): string => (value === undefined || value === null ? '' : String(value));
const decided = (it: JsonObject): string => `${s(it['id'])} is ${s(it['state'])}`;

/** `portcullis pins`: what the tools and servers of connections are known to be. */
export function pinCommands(program: Command, call: Call, show: Show): void {
  const pins = program.command('pins').description('what tools and servers are known to be');
  pins
    .command('list')
    .option('--connection <name>', 'only pins of this connection')
    .option('--state <state>', 'only pins in this state')
    .description('list pins')
    .action(async (given: { connection?: string; state?: string }) =>
      show(await call('pins_list', { ...given }), (it) =>
        table(
          ['ID', 'STATE', 'CLASS', 'CONNECTION', 'KIND', 'NAME', 'NOTE'],
          ((it['items'] ?? []) as JsonObject[]).map((row) =>
            ['id', 'state', 'class', 'connection', 'kind', 'name', 'note'].map((key) => s(row[key])),
          ),
        ),
      ),
    );
  pins
    .command('show')
    .argument('<id>', 'the pin id')
    .description('show one pin and what changed')
    .action(async (id: string) =>
      show(await call('pins_get', { id }), (it) =>
        [
          `${s(it['connection'])} ${s(it['kind'])} ${s(it['name'])}: ${s(it['state'])} ${s(it['class'])} ${s(it['note'])}`,
          `fingerprint ${s(it['fingerprint'])}`,
          ...(it['diff'] === '' ? [s(it['definition'])] : s(it['diff']).split('\n')),
        ]
          .map((line) => safe(line.trimEnd()))
          .join('\n'),
      ),
    );
  for (const how of ['accept', 'reject'] as const)
    pins
      .command(how)
      .argument('<id>', 'the pin id')
      .argument('<fingerprint>', 'of the definition that was looked at, as show prints it')
      .description(how === 'accept' ? 'trust this definition' : 'refuse this definition')
      .action(async (id: string, fingerprint: string) => show(await call(`pins_${how}`, { id, fingerprint }), decided));
}
