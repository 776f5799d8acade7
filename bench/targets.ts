import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { checkControls } from './checks.ts';
import type { Issuer } from './issuer.ts';
import { headersOf, requestBody, SIZES, toolOf } from './payload.ts';
import type { Program } from './processes.ts';
import { audience, configuration, GATEWAY_ROWS, type GatewayRow } from './rows.ts';

/** What every target may need to start. */
export interface Ground {
  readonly root: string;
  /** An empty folder for this target's files. */
  readonly folder: string;
  readonly upstreamPort: number;
  readonly issuer: Issuer;
  /** Starts a program on the core for what is measured; it is ended with the run, whatever happens. */
  readonly start: (name: string, command: readonly string[], talks?: boolean) => Program;
}

/** Something that answers MCP calls on a port. */
export interface Running {
  readonly port: number;
  /** Absent for the upstream itself, whose costs are not the row's. */
  readonly program?: Program;
  readonly token?: string;
}

export interface Target {
  readonly key: string;
  readonly name: string;
  readonly note: string;
  readonly personal: boolean;
  start(ground: Ground): Promise<Running>;
}

const NODE = process.execPath;
const START_MS = 30_000;

const direct: Target = {
  key: 'direct',
  name: 'direct',
  note: 'the load speaks to the upstream, nothing between',
  personal: false,
  start: async (ground) => ({ port: ground.upstreamPort, token: await tokenFor(ground, ground.upstreamPort) }),
};

const nginx: Target = {
  key: 'nginx',
  name: 'nginx',
  note: 'nginx as plain reverse proxy, one process, connections to the upstream kept alive, no access log',
  personal: false,
  start: async (ground) => {
    const port = await freePort();
    const conf = join(ground.folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${ground.folder}/${kind};`,
    );
    writeFileSync(
      conf,
      `daemon off; master_process off; pid ${ground.folder}/nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; ${temporary.join(' ')}
  keepalive_requests 1000000000;
  upstream bench { server 127.0.0.1:${ground.upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffers 16 16k; }
  }
}
`,
    );
    const program = ground.start('nginx', ['nginx', '-p', ground.folder, '-c', conf, '-e', 'stderr']);
    const token = await tokenFor(ground, port);
    await answering(program, port, token);
    return { port, program, token };
  },
};

const bare: Target = {
  key: 'bare',
  name: 'gateway, bare',
  note: "the gateway's HTTP front and client doing the hop alone (fastify with a hijacked reply, undici dispatch), without any duty",
  personal: false,
  start: async (ground) => {
    const upstream = `http://127.0.0.1:${ground.upstreamPort}`;
    const program = ground.start('bare', [NODE, join(import.meta.dirname, 'bare.ts'), upstream], true);
    const { port } = await program.next<{ port: number }>();
    return { port, program, token: await tokenFor(ground, port) };
  },
};

function gateway(row: GatewayRow): Target {
  return {
    ...row,
    start: async (ground) => {
      const port = await freePort();
      const upstream = `http://127.0.0.1:${ground.upstreamPort}/mcp`;
      const config = join(ground.folder, 'config.yaml');
      writeFileSync(
        config,
        configuration(row.controls, { port, upstream, issuer: ground.issuer.url, folder: ground.folder }),
      );
      const program = ground.start('the gateway', [
        NODE,
        join(ground.root, 'proxy/cli.ts'),
        'serve',
        '--config',
        config,
      ]);
      const token = row.controls.token ? await tokenFor(ground, port) : undefined;
      await answering(program, port, token);
      await checkControls(row, port, token);
      return { port, program, ...(token === undefined ? {} : { token }) };
    },
  };
}

/** Every row that this machine can run, in the order of the table; `missing` names the others. */
export function targets(): { readonly all: readonly Target[]; readonly missing: readonly string[] } {
  const rows = GATEWAY_ROWS.map(gateway);
  if (hasNginx()) return { all: [direct, nginx, bare, ...rows], missing: [] };
  return {
    all: [direct, bare, ...rows],
    missing: ['nginx is not installed, its row is missing (Debian: apt-get install nginx-light)'],
  };
}

/** A folder of one's own under `parent`. */
export function folderIn(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
    return true;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw fault;
  }
}

// Every row sends a token of the same length, needed or not, so that rows do not differ by the bytes of the request.
function tokenFor(ground: Ground, port: number): Promise<string> {
  return ground.issuer.token(audience(port));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a call is answered with 200. */
async function answering(program: Program, port: number, token: string | undefined): Promise<void> {
  const tool = toolOf(SIZES[0]!, false);
  let last: unknown;
  for (const until = performance.now() + START_MS; performance.now() < until; await pause(100)) {
    if (program.ended) throw program.failure();
    try {
      const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
        method: 'POST',
        headers: headersOf(tool, token),
        body: requestBody(tool),
      });
      const text = await response.text();
      if (response.status === 200) return;
      last = new Error(`status ${response.status}: ${text.slice(0, 300)}`);
    } catch (fault) {
      last = fault;
    }
  }
  throw new Error('no call was answered with 200', { cause: last });
}
