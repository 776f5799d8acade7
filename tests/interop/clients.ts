import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { PROGRAMS } from './servers.ts';

/** Where a client connects, and as whom. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

/** What every client can do, whoever wrote it. */
export interface Caller {
  readonly tools: () => Promise<readonly string[]>;
  readonly call: (name: string, args: Record<string, string>) => Promise<string>;
  readonly close: () => Promise<void>;
}

type Connect = (target: Target) => Promise<Caller>;

const INFO = { version: '1' };

/** Headers of one person, and word of when the standing GET stream is open or refused. */
export function optionsFor({ token }: Target): {
  readonly requestInit: { readonly headers: { readonly Authorization: string } };
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>;
  readonly listening: Promise<number>;
} {
  const { promise: listening, resolve } = Promise.withResolvers<number>();
  return {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
    listening,
    async fetch(url, init) {
      const response = await fetch(url, init);
      if (init?.method === 'GET') resolve(response.status);
      return response;
    },
  };
}

/** The official clients, each by the name it gives itself. */
export const CLIENTS: Readonly<Record<string, Connect>> = {
  'sdk-1': async (target) => {
    const client = new Client1({ name: 'sdk-1', ...INFO });
    const transport = new Transport1(new URL(target.url), optionsFor(target));
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    return sdk(client, async () => {
      if (transport.sessionId !== undefined) await transport.terminateSession();
      await client.close();
    });
  },
  'sdk-2': async (target) => {
    const client = new Client2({ name: 'sdk-2', ...INFO });
    const transport = new Transport2(new URL(target.url), optionsFor(target));
    await client.connect(transport);
    return sdk(client, () => client.close());
  },
  'sdk-2-auto': async (target) => {
    const client = new Client2({ name: 'sdk-2-auto', ...INFO }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new Transport2(new URL(target.url), optionsFor(target)));
    return sdk(client, () => client.close());
  },
  inspector: async (target) => inspector(target, []),
  'inspector-auto': async (target) => inspector(target, ['--protocol-era', 'auto']),
};

interface SdkClient {
  listTools(): Promise<{ tools: readonly { name: string }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<Record<string, unknown>>;
}

function sdk(client: SdkClient, close: () => Promise<void>): Caller {
  return {
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args })),
    close,
  };
}

/** The Inspector's command line: each question is a process and a session of its own. */
function inspector({ url, token }: Target, options: readonly string[]): Caller {
  const ask = async (...args: string[]): Promise<string> => {
    const all = [
      '--cli',
      '--transport',
      'http',
      '--server-url',
      url,
      '--header',
      `Authorization: Bearer ${token}`,
      '--format',
      'json',
      ...options,
      ...args,
    ];
    return execute(PROGRAMS.inspector, all);
  };
  return {
    async tools() {
      const { result } = JSON.parse(await ask('--method', 'tools/list')) as { result: { tools: { name: string }[] } };
      return result.tools.map((tool) => tool.name);
    },
    call: (name, args) => ask('--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
    close: async () => undefined,
  };
}

function execute(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const home = mkdtempSync(join(tmpdir(), 'portcullis-home-'));
    execFile(process.execPath, [program, ...args], { env: { ...process.env, HOME: home } }, (fault, stdout, stderr) => {
      rmSync(home, { recursive: true, force: true });
      if (fault === null) resolve(stdout);
      else reject(new Error(`${fault.message}\n${stderr}`));
    });
  });
}
