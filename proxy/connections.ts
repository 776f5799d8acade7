import type { Config } from './config.ts';
import type { Connection } from './forward/connection.ts';
import { createHttpSseUpstream } from './forward/http-sse.ts';
import { createHttpUpstream } from './forward/http.ts';
import { createStdioUpstream } from './forward/stdio.ts';
import { createScrub } from './forward/scrub.ts';
import { createLegacyFace } from './forward/translate/legacy-face.ts';
import { createModernFace } from './forward/translate/modern-face.ts';
import { Passage } from './forward/passage.ts';
import type { Upstream } from './forward/upstream.ts';
import type { Log } from './log.ts';
import { FRAME_LIMITS } from './wire/frame.ts';
import type { ParamHeader } from './wire/param-headers.ts';

type ConnectionConfig = Config['connections'][number];

/** The `Mcp-Param-*` headers of a tool of a connection, as its catalog has them; `fresh` reads that anew. */
export type ParamsOf = (connection: string, tool: string, fresh: boolean) => Promise<readonly ParamHeader[]>;

/** The connections of the configuration, with the gateway's own beside them. Nothing is contacted yet. */
export function createConnections(
  config: Config,
  own: Upstream,
  log: Log,
  paramsOf: ParamsOf,
): ReadonlyMap<string, Connection> {
  const connections = new Map<string, Connection>();
  for (const each of config.connections) {
    const http = 'url' in each.upstream;
    const upstream = createUpstream(each, config.server.messageSizeBytes, log);
    const passage = createPassage(each);
    connections.set(each.name, {
      name: each.name,
      upstream,
      ...(passage === undefined ? {} : { passage }),
      era: each.era,
      faces: facesOf(each, upstream, config, paramsOf),
      transport: http ? 'http' : 'stdio',
      timeoutMs: each.timeoutMs,
      whole: each.inspect === 'whole',
      scrub: createScrub(secretsOf(each)),
      methods: each.methods,
      eras: http && each.upstream.transport === 'sse' ? ['legacy'] : ['legacy', 'modern'],
    });
  }
  connections.set('gateway', {
    name: 'gateway',
    upstream: own,
    era: 'passthrough',
    faces: { legacy: own, modern: own },
    transport: 'gateway',
    timeoutMs: 310_000,
    whole: false,
    scrub: (json) => json,
    methods: [],
    eras: ['legacy', 'modern'],
  });
  return connections;
}

/** The upstream as clients of the other era meet it. */
function facesOf(
  { name, upstream: to }: ConnectionConfig,
  upstream: Upstream,
  config: Config,
  paramsOf: ParamsOf,
): Connection['faces'] {
  const options = {
    messageSize: config.server.messageSizeBytes,
    limits: FRAME_LIMITS,
    params: (tool: string, fresh: boolean) => paramsOf(name, tool, fresh),
    now: Date.now,
    channel: !('url' in to) || to.transport === 'sse',
  };
  return { legacy: createLegacyFace(upstream, options), modern: createModernFace(upstream, options) };
}

function secretsOf({ upstream, credential }: ConnectionConfig): readonly string[] {
  if (credential.type === 'static') return [credential.value.reveal()];
  return 'url' in upstream ? [] : Object.values(upstream.env).map((value) => value.reveal());
}

function createPassage({ upstream, credential, routes }: ConnectionConfig): Passage | undefined {
  if (!('url' in upstream) || routes.length === 0) return undefined;
  return new Passage({
    url: upstream.url,
    credential: credential.type === 'static' ? { [credential.header.toLowerCase()]: credential.value.reveal() } : {},
    routes,
    ...(upstream.ca === undefined ? {} : { ca: upstream.ca }),
  });
}

function createUpstream({ name, upstream, credential }: ConnectionConfig, messageSize: number, log: Log): Upstream {
  if ('url' in upstream) {
    const options = {
      url: upstream.url,
      credential: credential.type === 'static' ? { [credential.header.toLowerCase()]: credential.value.reveal() } : {},
      messageSize,
      ...(upstream.ca === undefined ? {} : { ca: upstream.ca }),
    };
    return upstream.transport === 'sse'
      ? createHttpSseUpstream({ ...options, limits: FRAME_LIMITS })
      : createHttpUpstream(options);
  }
  const env = Object.fromEntries(Object.entries(upstream.env).map(([key, value]) => [key, value.reveal()]));
  const child = log.child({ connection: name });
  const scrub = createScrub(Object.values(env));
  return createStdioUpstream({
    command: upstream.command,
    env,
    limits: FRAME_LIMITS,
    messageSize,
    process: upstream.process,
    scrub,
    onStderr: (line) => child.info({ line }, 'the upstream command wrote to its standard error'),
    onEnd: (reason) => child.warn({ reason }, 'the upstream command ended unexpectedly'),
    onStray: ({ text }) =>
      child.debug({ line: scrub(text).slice(0, 4096) }, 'the upstream command said what is for no call'),
    ...(upstream.cwd === undefined ? {} : { cwd: upstream.cwd }),
  });
}
