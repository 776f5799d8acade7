import { Command, CommanderError } from 'commander';
import type { JsonObject } from '../../policies/types.ts';
import { verify } from '../../recorder/verify.ts';
import { ConfigFault, loadConfig } from '../config.ts';
import { describeConfig } from '../config/describe.ts';
import { loadMasterKey } from '../config/master-key.ts';
import { readVersion } from '../version.ts';
import { pinCommands } from './pin-commands.ts';
import { callOperation, Refused, type CallerOptions } from './caller.ts';
import { explanation } from './explain.ts';
import { policyCommands } from './policy-commands.ts';
import { timeline } from './replay.ts';
import { serve } from './serve.ts';
import { safe, shorten, styleFor, table } from './terminal.ts';

const out = (text: string): void => void process.stdout.write(`${text}\n`);
const fail = (text: string): void => void process.stderr.write(`${text}\n`);

/** Runs one command line. Exit codes: 0 done, 1 refused or failed, 2 wrong configuration or usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = buildProgram((result) => (code = result));
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
    return code;
  } catch (fault) {
    if (fault instanceof CommanderError) return fault.exitCode === 0 ? 0 : 2;
    if (fault instanceof ConfigFault) {
      fail(fault.message);
      return 2;
    }
    if (fault instanceof Refused) {
      fail(safe(fault.message));
      return 1;
    }
    fail(safe(fault instanceof Error ? fault.message : String(fault)));
    return 1;
  }
}

function buildProgram(setCode: (code: number) => void): Command {
  const program = new Command('portcullis')
    .description('A layer-7 proxy that governs an MCP server.')
    .version(readVersion())
    .exitOverride()
    .option('-c, --config <file>', 'configuration file', process.env['PORTCULLIS_CONFIG'] ?? 'portcullis.yaml')
    .option('--url <url>', 'the running gateway (default: server.public_url)', process.env['PORTCULLIS_URL'])
    .option(
      '--token <token>',
      'act on the running gateway as the person of this token; without it, on the store itself',
      process.env['PORTCULLIS_TOKEN'],
    )
    .option('--json', 'print JSON');
  const options = (): CallerOptions & { json?: boolean } => program.opts();
  const call = (name: string, args: JsonObject): Promise<JsonObject> => callOperation(name, args, options());
  const show = (value: JsonObject, human: (value: JsonObject) => string): void =>
    out(options().json === true ? JSON.stringify(value, null, 2) : human(value));

  program
    .command('serve')
    .description('serve until stopped')
    .action(async () => setCode(await serve(options().config)));

  const config = program.command('config').description('the configuration file');
  config
    .command('check')
    .description('check the file and print what it means; exit code 2 when it has mistakes')
    .action(() => {
      const loaded = loadConfig(options().config, process.env);
      out(describeConfig(loaded));
      for (const warning of loaded.warnings) out(`warning: ${warning}`);
    });

  program
    .command('verify')
    .argument('[database]', 'the recording to verify (default: recorder.path of the configuration)')
    .description('check offline that no record was altered, removed or cut off; names the first that was')
    .action(async (database: string | undefined) => {
      const loaded = loadConfig(options().config, process.env);
      const report = await verify({ path: database ?? loaded.recorder.path, masterKey: loadMasterKey(loaded).master });
      show(report as unknown as JsonObject, () => {
        const lines = report.problems
          .map((problem) => `${problem.kind}: ${problem.record}: ${problem.detail}`)
          .map(safe);
        return [
          ...lines,
          `${report.entries} entries, ${report.ok ? 'unaltered' : `${report.problems.length} problems`}`,
        ].join('\n');
      });
      if (!report.ok) setCode(1);
    });

  tokenCommands(program, call, show);
  reviewCommands(program, call, show);
  sessionCommands(program, call, show);
  program
    .command('explain')
    .argument('<exchange-id>', 'the id that a denial or a replay names')
    .description('print the path of a recorded decision: each rule that spoke, where, and why')
    .action(async (id: string) =>
      show(await call('sessions_explain', { id }), (it) => explanation(it, styleFor(process.stdout, process.env))),
    );
  policyCommands(program, { config: () => options().config, call, show, setCode });
  pinCommands(program, call, show);
  return program;
}

type Call = (name: string, args: JsonObject) => Promise<JsonObject>;
type Show = (value: JsonObject, human: (value: JsonObject) => string) => void;

function tokenCommands(program: Command, call: Call, show: Show): void {
  const token = program.command('token').description('gateway tokens');
  token
    .command('create')
    .argument('<name>', 'what it is for')
    .option('--subject <subject>', 'who it speaks for (default: the name)')
    .option('--email <email>', 'e-mail address of the subject')
    .option('--group <group...>', 'groups it is a member of', [])
    .option('--expires <seconds>', 'seconds until it expires')
    .description('create a token; it is shown this once')
    .action(async (name: string, given: { subject?: string; email?: string; group: string[]; expires?: string }) => {
      const args: JsonObject = { name, groups: given.group };
      if (given.subject !== undefined) args['subject'] = given.subject;
      if (given.email !== undefined) args['email'] = given.email;
      if (given.expires !== undefined) args['expires_in_seconds'] = Number(given.expires);
      show(
        await call('tokens_create', args),
        (it) => `${String(it['token'])}\n(id ${String(it['id'])}; it is not shown again)`,
      );
    });
  token
    .command('list')
    .description('list tokens')
    .action(async () =>
      show(await call('tokens_list', {}), (it) =>
        table(
          ['ID', 'NAME', 'SUBJECT', 'GROUPS', 'STATUS', 'EXPIRES'],
          items(it).map((row) => [
            s(row['id']),
            s(row['name']),
            s(row['subject']),
            (row['groups'] as string[]).join(','),
            s(row['status']),
            s(row['expires_at']),
          ]),
        ),
      ),
    );
  token
    .command('revoke')
    .argument('<id>', 'the token id')
    .description('revoke a token at once')
    .action(async (id: string) =>
      show(await call('tokens_revoke', { id }), (it) => `${s(it['id'])} is ${s(it['status'])}`),
    );
}

function reviewCommands(program: Command, call: Call, show: Show): void {
  const reviews = program.command('reviews').description('calls that wait for approval');
  reviews
    .command('list')
    .option('--status <status>', 'only reviews in this state')
    .description('list reviews, newest first')
    .action(async (given: { status?: string }) =>
      show(await call('reviews_list', given.status === undefined ? {} : { status: given.status.toUpperCase() }), (it) =>
        table(
          ['ID', 'STATUS', 'OWNER', 'CONNECTION', 'NAME', 'INPUT'],
          items(it).map((row) => [
            s(row['id']),
            s(row['status']),
            s(row['owner']),
            s(row['connection_name']),
            s(row['name']),
            shorten(s(row['input']), 60),
          ]),
        ),
      ),
    );
  reviews
    .command('show')
    .argument('<id>', 'the review id')
    .description('show one review')
    .action(async (id: string) => show(await call('reviews_get', { id }), (it) => asLines(it)));
  reviews
    .command('approve')
    .argument('<id>', 'the review id')
    .description('approve a review (needs --token of a reviewer)')
    .action(async (id: string) =>
      show(await call('reviews_update', { id, status: 'APPROVED' }), (it) => `${s(it['id'])} is ${s(it['status'])}`),
    );
  reviews
    .command('reject')
    .argument('<id>', 'the review id')
    .option('--reason <text>', 'why; the agent reads it')
    .description('reject a review')
    .action(async (id: string, given: { reason?: string }) => {
      const reason: JsonObject = given.reason === undefined ? {} : { rejection_reason: given.reason };
      show(
        await call('reviews_update', { id, status: 'REJECTED', ...reason }),
        (it) => `${s(it['id'])} is ${s(it['status'])}`,
      );
    });
}

function sessionCommands(program: Command, call: Call, show: Show): void {
  const sessions = program.command('sessions').description('recorded sessions');
  sessions
    .command('list')
    .option('--connection <name>', 'only sessions of this connection')
    .option('--limit <count>', 'most sessions to list', '20')
    .description('list sessions, newest first')
    .action(async (given: { connection?: string; limit: string }) => {
      const args: JsonObject = {
        limit: Number(given.limit),
        ...(given.connection === undefined ? {} : { connection: given.connection }),
      };
      show(await call('sessions_list', args), (it) =>
        table(
          ['ID', 'STARTED', 'WHO', 'CONNECTION', 'CLIENT', 'CALLS', 'STATUS'],
          items(it).map((row) => [
            s(row['id']),
            s(row['created_at']),
            s(row['user_id']),
            s(row['connection']),
            s(row['client']),
            s(row['exchanges']),
            s(row['status']),
          ]),
        ),
      );
    });
  sessions
    .command('show')
    .argument('<id>', 'the session id')
    .description('show one session')
    .action(async (id: string) => show(await call('sessions_get', { id }), (it) => asLines(it)));
  sessions
    .command('replay')
    .argument('<id>', 'the session id')
    .description('replay a session as a timeline')
    .action(async (id: string) =>
      show(await call('sessions_get_content', { id }), (it) => timeline(it, styleFor(process.stdout, process.env))),
    );
}

const items = (it: JsonObject): readonly JsonObject[] => (it['items'] ?? []) as JsonObject[];
const s = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

/** An object as aligned lines; nested values as JSON. */
function asLines(it: JsonObject): string {
  const width = Math.max(...Object.keys(it).map((key) => key.length));
  return Object.entries(it)
    .map(
      ([key, value]) => `${key.padEnd(width)}  ${safe(typeof value === 'object' ? JSON.stringify(value) : s(value))}`,
    )
    .join('\n');
}
