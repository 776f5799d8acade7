import { hkdfSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Abort } from './abort.ts';
import { compileRulebook } from '../policies/compile.ts';
import type { Rulebook } from '../policies/rulebook.ts';
import { openRecorder } from '../recorder/recorder.ts';
import { createRefusals } from '../recorder/refusals.ts';
import { Carriers } from './carriers.ts';
import { derivePublicUrl, type Config } from './config.ts';
import { isLoopback } from './config/formats.ts';
import { loadMasterKey } from './config/master-key.ts';
import { createConnections, type ParamsOf } from './connections.ts';
import { CookieSeal } from './console/cookie.ts';
import { endRecording, endSession } from './ending.ts';
import { execute } from './execute.ts';
import { Catalogs } from './forward/catalog.ts';
import type { Ask } from './forward/client.ts';
import type { Connection } from './forward/connection.ts';
import { createGatewayUpstream } from './forward/gateway.ts';
import { WireSessions } from './forward/sessions.ts';
import type { Gateway, Settings } from './gateway.ts';
import { createIdentities, type Identities } from './identities.ts';
import { keepLimits } from './limits/file.ts';
import { Limits } from './limits/limits.ts';
import { Listeners } from './listeners.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { TaskOwners } from './modern/tasks.ts';
import { Pins } from './pins.ts';
import { handle } from './pipeline.ts';
import { Recordings } from './recordings.ts';
import { Seal } from './seal.ts';
import { createServer } from './server.ts';
import { keepHouse } from './upkeep.ts';
import { Vault } from './vault.ts';
import { readVersion } from './version.ts';
import { Waiters } from './waiters.ts';
import { FRAME_LIMITS } from './wire/frame.ts';

export interface PortcullisOptions {
  /** `tool`: a short-lived process beside the gateway, which serves nobody and asks no identity provider. */
  readonly role?: 'gateway' | 'tool';
  readonly clock?: () => number;
}

/** A gateway that was put together. It serves when `listen` resolved; `close` ends it without losing a record. */
export interface Portcullis {
  readonly gateway: Gateway;
  /** Starts to serve; resolves with the URL on which it does. */
  listen(): Promise<string>;
  /** Swaps rules and hold settings as one; a call in work keeps those it began with. */
  apply(config: Config): void;
  close(): Promise<void>;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** What keeps the gateway from serving: the store, the identity provider, upstreams over HTTP that do not answer. */
async function findTroubles(gateway: Gateway, identities: Identities): Promise<readonly string[]> {
  const upstreams = [...gateway.connections.values()].filter(({ transport }) => transport === 'http');
  const silent = await Promise.all(
    upstreams.map(async (each) => ((await gateway.catalogs.answers(each)) ? undefined : each.name)),
  );
  const names = silent.filter((name) => name !== undefined);
  return [
    gateway.recorder.trouble(),
    identities.trouble(),
    ...names.map((name) => `the upstream of the connection ${name} does not answer`),
  ].filter((trouble) => trouble !== undefined);
}

/** The faces first: they may have something to say to their upstream. */
async function closeConnection({ faces, upstream }: Connection): Promise<void> {
  await Promise.all([faces.legacy.close(), faces.modern.close()]);
  await upstream.close();
}

/** At the end every recording is closed; a session that goes on elsewhere or after a restart gets another. */
async function endRecordings(gateway: Gateway): Promise<void> {
  if (gateway.recorder.trouble() !== undefined) return;
  for (const session of gateway.sessions.all()) await endSession(session, 'stopped', gateway);
  for (const id of gateway.recordings.all()) await endRecording(id, 'stopped', gateway);
}

/** Hosts that a Host header may name: the public one, those configured, and loopback names where only loopback can reach us. */
function hostsOf({ server }: Config): readonly string[] {
  const own = new URL(server.publicUrl);
  return [own.host, own.hostname, ...server.allowedHosts, ...(isLoopback(server.listen.host) ? LOOPBACK : [])];
}

/** The composition root: makes every part once and hands each what it needs. */
export async function createPortcullis(config: Config, log: Log, options: PortcullisOptions = {}): Promise<Portcullis> {
  const { role = 'gateway', clock = Date.now } = options;
  const keys = loadMasterKey(config);
  for (const warning of keys.warnings) log.warn({}, warning);
  const settingsOf = (from: Config, rulebook: Rulebook): Settings => ({
    rulebook,
    hold: from.hold,
    allowedOrigins: from.server.allowedOrigins,
    pins: new Map(from.connections.map((each) => [each.name, each.pins])),
  });
  let settings = settingsOf(config, compileRulebook(config.rules));
  const recorder = await openRecorder({
    path: config.recorder.path,
    durability: config.recorder.durability,
    journalLimit: config.recorder.journalLimitBytes,
    version: readVersion(),
    masterKey: keys.master,
    previousKeys: keys.previous,
    primary: role === 'gateway',
  });
  const limits = new Limits(clock);
  // After the store is locked: the file belongs to whoever has it.
  const limitFile = role === 'gateway' ? keepLimits(limits, `${config.recorder.path}.limits`, log) : undefined;
  const metrics = createMetrics();
  const waiters = new Waiters(recorder.reviews);
  const pins = new Pins(recorder.pins, clock, log, metrics);
  await pins.load();
  const ask: Ask = (arrival) => handle(arrival, gateway);
  const { listen } = config.server;
  const publicUrl = config.server.publicUrl;
  const identities = await createIdentities(
    role === 'gateway' ? config : { ...config, auth: { ...config.auth, oidc: undefined } },
    recorder,
    publicUrl,
    log,
  );
  // Runs of approved calls go on when nobody waits for them any more.
  const running = new Set<Promise<unknown>>();
  const own = createGatewayUpstream({
    recorder,
    waiters,
    now: clock,
    hold: () => settings.hold,
    publicUrl,
    execute: (review, owner, address) => {
      const run = execute(gateway, ask, review, owner, address);
      const settled: Promise<void> = run.then(
        () => void running.delete(settled),
        () => void running.delete(settled),
      );
      running.add(settled);
      return run;
    },
  });
  const refusals = createRefusals(recorder);
  const paramsOf: ParamsOf = async (name, tool, fresh) => {
    const connection = gateway.connections.get(name)!;
    const catalog = await (fresh ? gateway.catalogs.newer(connection, 0) : gateway.catalogs.get(connection));
    return catalog?.tools.get(tool)?.params ?? [];
  };
  const stopping = new Abort();
  const sessions = new WireSessions({
    idleMs: config.server.sessionIdleMs,
    most: 100_000,
    mostPerCaller: config.server.maxSessionsPerCaller,
    seal: new Seal([keys.master, ...keys.previous], 'mcp session'),
  });
  const carriers = new Carriers({
    ask,
    sessions,
    now: clock,
    endSession: (session) => endSession(session, 'deleted', gateway),
    failed: (fault) => log.error({ err: fault }, 'the event stream of an HTTP+SSE client failed'),
    most: 10_000,
    stopping,
  });
  const gateway: Gateway = {
    authenticate: identities.authenticate,
    recorder,
    refusals,
    connections: createConnections(config, own, log, paramsOf),
    sessions,
    carriers,
    recordings: new Recordings(),
    catalogs: new Catalogs(ask, clock, log),
    pins,
    waiters,
    metrics,
    log,
    ask,
    stateSeal: new Seal([keys.master, ...keys.previous], 'request state'),
    tasks: new TaskOwners(),
    vault: new Vault(Buffer.from(hkdfSync('sha256', keys.master, '', 'masking digest', 32))),
    listeners: new Listeners(config.server.maxStreamsPerCaller),
    limits,
    replicas: config.server.replicas,
    frameLimits: FRAME_LIMITS,
    publicUrl,
    allowedHosts: hostsOf(config),
    messageSize: config.server.messageSizeBytes,
    bodyTimeoutMs: config.server.bodyTimeoutMs,
    challengeFor: () => ({ scopes: config.auth.oidc?.requiredScopes ?? [] }),
    stopping,
    now: clock,
    settings: () => settings,
  };
  metrics.readFrom({
    holdsWaiting: () => waiters.size,
    sessionsOpen: () => gateway.sessions.size,
    storeTrouble: () => recorder.trouble() !== undefined,
  });
  limits.retain(settings.rulebook.limits);
  metrics.rulebookLoaded(settings.rulebook.revision);
  if (role === 'gateway')
    await recorder.append({ type: 'rules.loaded', at: clock(), revision: settings.rulebook.revision });
  const stopHouse = role === 'gateway' ? keepHouse(gateway) : (): void => undefined;
  const seal = new CookieSeal(
    Buffer.from(hkdfSync('sha256', keys.master, '', 'console cookie', 32)),
    publicUrl.startsWith('https:'),
  );
  const { app, mcp } = createServer({
    gateway,
    seal,
    maxInFlight: config.server.maxInFlight,
    keepAliveMs: config.server.keepAliveMs,
    trustedProxies: config.server.trustedProxies,
    troubles: () => findTroubles(gateway, identities),
  });
  return {
    gateway,
    async listen() {
      await app.listen({ host: listen.host, port: listen.port });
      return derivePublicUrl({ host: listen.host, port: (app.server.address() as AddressInfo).port });
    },
    apply(next) {
      settings = settingsOf(next, compileRulebook(next.rules));
      metrics.rulebookLoaded(settings.rulebook.revision);
      gateway.listeners.rulesChanged();
      limits.retain(settings.rulebook.limits);
      // The swap stands whether or not the note of it can be written now: calls carry the revision themselves.
      recorder
        .append({ type: 'rules.loaded', at: clock(), revision: settings.rulebook.revision })
        .catch((fault: unknown) => {
          log.error({ err: fault }, 'the change of rules could not be recorded');
        });
    },
    async close() {
      stopHouse();
      stopping.abort();
      app.server.close();
      await mcp.drain(config.server.graceMs, running, () =>
        Promise.all([...gateway.connections.values()].map(closeConnection)),
      );
      waiters.close();
      pins.close();
      await endRecordings(gateway);
      await app.close();
      await identities.close();
      refusals.flush();
      await limitFile?.close();
      await recorder.close();
    },
  };
}
