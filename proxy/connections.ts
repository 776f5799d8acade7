import type { Config } from './config.ts';
import type { Connection } from './forward/connection.ts';
import { createHttpUpstream } from './forward/http.ts';
import { createStdioUpstream } from './forward/stdio.ts';
import { createScrub } from './forward/scrub.ts';
import type { Upstream } from './forward/upstream.ts';
import type { Log } from './log.ts';
import { FRAME_LIMITS } from './wire/frame.ts';

type ConnectionConfig = Config['connections'][number];

/** The connections of the configuration, with the gateway's own beside them. Nothing is contacted yet. */
export function createConnections(config: Config, own: Upstream, log: Log): ReadonlyMap<string, Connection> {
  const connections = new Map<string, Connection>();
  for (const each of config.connections) {
    const http = 'url' in each.upstream;
    connections.set(each.name, {
      name: each.name,
      upstream: createUpstream(each, config.server.messageSizeBytes, log),
      transport: http ? 'http' : 'stdio',
      timeoutMs: each.timeoutMs,
      whole: each.inspect === 'whole',
      scrub: createScrub(secretsOf(each)),
      methods: each.methods,
      eras: http ? ['legacy', 'modern'] : ['legacy'],
    });
  }
  connections.set('gateway', {
    name: 'gateway',
    upstream: own,
    transport: 'gateway',
    timeoutMs: 310_000,
    whole: false,
    scrub: (json) => json,
    methods: [],
    eras: ['legacy', 'modern'],
  });
  return connections;
}

function secretsOf({ upstream, credential }: ConnectionConfig): readonly string[] {
  if (credential.type === 'static') return [credential.value.reveal()];
  return 'url' in upstream ? [] : Object.values(upstream.env).map((value) => value.reveal());
}

function createUpstream({ name, upstream, credential }: ConnectionConfig, messageSize: number, log: Log): Upstream {
  if ('url' in upstream) {
    return createHttpUpstream({
      url: upstream.url,
      credential: credential.type === 'static' ? { [credential.header.toLowerCase()]: credential.value.reveal() } : {},
      messageSize,
      ...(upstream.ca === undefined ? {} : { ca: upstream.ca }),
    });
  }
  const env = Object.fromEntries(Object.entries(upstream.env).map(([key, value]) => [key, value.reveal()]));
  const child = log.child({ connection: name });
  const scrub = createScrub(Object.values(env));
  return createStdioUpstream({
    command: upstream.command,
    env,
    limits: FRAME_LIMITS,
    messageSize,
    onStderr: (line) => child.info({ line: scrub(line) }, 'the upstream command wrote to its standard error'),
    ...(upstream.cwd === undefined ? {} : { cwd: upstream.cwd }),
  });
}
