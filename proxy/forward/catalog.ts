import { Abort } from '../abort.ts';
import type { Principal } from '../../policies/types.ts';
import type { Outcome } from '../../recorder/types.ts';
import type { Log } from '../log.ts';
import type { Era } from '../types.ts';
import { InsideClient, type Ask } from './client.ts';
import type { Connection } from './connection.ts';
import { probeLegacy, probeModern, readCatalog, type Catalog, type Probed } from './read-catalog.ts';

export type { Catalog, CatalogTool } from './read-catalog.ts';

/** Whoever the gateway is when it asks for itself: sees every connection, is recorded, never held. */
export const SYSTEM: Principal = {
  issuer: 'portcullis:system',
  subject: 'system',
  groups: [],
  roles: ['admin'],
  authenticatedBy: 'system',
  actors: [],
};

const MAX_AGE_MS = 5 * 60_000;
const RETRY_MS = 5_000;
const PATIENCE_MS = 30_000;
/** A command that was never asked `server/discover` before may well ignore it. */
const COMMAND_PATIENCE_MS = 5_000;

interface Known extends Probed {
  readonly at: number;
}

/** What is known of all upstreams, their eras and their lists: asked on first need, again by age and by list_changed (duty V-07). */
export class Catalogs {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #known = new Map<string, Catalog>();
  readonly #reading = new Map<string, Promise<Catalog | undefined>>();
  readonly #eras: Readonly<Record<Era, Map<string, Known>>> = { legacy: new Map(), modern: new Map() };
  readonly #probing = new Map<string, Promise<Known>>();
  readonly #failedAt = new Map<string, number>();
  readonly #lost = new Set<string>();

  constructor(ask: Ask, now: () => number, log: Log) {
    this.#ask = ask;
    this.#now = now;
    this.#log = log;
  }

  /** The catalog, or undefined when the upstream does not tell it now: its tools then count as unknown and destructive. */
  get(connection: Connection): Catalog | undefined | Promise<Catalog | undefined> {
    const known = this.#known.get(connection.name);
    if (known !== undefined && this.#now() - known.readAt < MAX_AGE_MS) return known;
    if (known === undefined && this.#failedLately(connection)) return undefined;
    const reading = this.#read(connection);
    // A stale catalog is still the best knowledge while the fresh one is on its way.
    return known ?? reading;
  }

  /** A catalog that is at most so old: for whoever saw that the one at hand may be stale. */
  async newer(connection: Connection, maxAgeMs: number): Promise<Catalog | undefined> {
    const known = this.#known.get(connection.name);
    if (known !== undefined && this.#now() - known.readAt <= maxAgeMs) return known;
    return this.#failedLately(connection) ? known : this.#read(connection);
  }

  /**
   * Does the upstream speak the era? Undefined when it does not tell now. Whether one that speaks the modern era speaks the
   * legacy one too is asked only when somebody needs to know; any other counts as legacy and answers for itself.
   */
  speaks(connection: Connection, era: Era): boolean | undefined | Promise<boolean | undefined> {
    if (!connection.eras.includes(era)) return false;
    const known = this.#eras[era].get(connection.name);
    if (known !== undefined && this.#isFresh(connection, known)) return known.spoken;
    if (this.#failedLately(connection)) return known?.spoken;
    const asked = this.#learn(connection, era).catch(() => undefined);
    return known?.spoken ?? asked;
  }

  async #learn(connection: Connection, era: Era): Promise<boolean> {
    const modern = connection.eras.includes('modern') && (await this.#probe(connection, 'modern')).spoken;
    return era === 'modern' || !modern ? era === 'legacy' || modern : (await this.#probe(connection, 'legacy')).spoken;
  }

  /** Commands do not change while they run; servers behind a URL are replaced at any time. */
  #isFresh({ transport }: Connection, { at }: Known): boolean {
    return transport === 'stdio' || this.#now() - at < MAX_AGE_MS;
  }

  async #probe(connection: Connection, era: Era): Promise<Known> {
    const known = this.#eras[era].get(connection.name);
    if (known !== undefined && this.#isFresh(connection, known)) return known;
    const key = `${era} ${connection.name}`;
    let probing = this.#probing.get(key);
    if (probing === undefined) {
      probing = this.#with(connection, async (client) => {
        const probed = await (era === 'modern' ? probeModern(client) : probeLegacy(client));
        const fresh = { ...probed, at: this.#now() };
        this.#eras[era].set(connection.name, fresh);
        return fresh;
      }).finally(() => this.#probing.delete(key));
      this.#probing.set(key, probing);
    }
    return probing;
  }

  /** How a call to the upstream ended: one that could not be reached is asked again by readiness. */
  note(connection: string, outcome: Outcome): void {
    if (outcome === 'unreachable') this.#lost.add(connection);
    else if (outcome === 'answered' && this.#lost.size > 0) this.#lost.delete(connection);
  }

  /** Does the upstream answer? Asks it only when nothing is known of it, or when it was not reached lately. */
  async answers(connection: Connection): Promise<boolean> {
    const { name } = connection;
    if (this.#known.has(name) && !this.#lost.has(name)) return true;
    if (this.#failedLately(connection)) return false;
    return (await this.#read(connection)) !== undefined;
  }

  /** The upstream said that a list changed. */
  forget(connection: string): void {
    this.#known.delete(connection);
    this.#failedAt.delete(connection);
  }

  /** The upstream refused an era that it was believed to speak: it is asked before the next call. */
  reprobe(connection: string): void {
    this.forget(connection);
    this.#eras.legacy.delete(connection);
    this.#eras.modern.delete(connection);
  }

  #failedLately(connection: Connection): boolean {
    return this.#now() - (this.#failedAt.get(connection.name) ?? -RETRY_MS) < RETRY_MS;
  }

  #read(connection: Connection): Promise<Catalog | undefined> {
    const running = this.#reading.get(connection.name);
    if (running !== undefined) return running;
    const reading = this.#fetch(connection)
      .then(
        (catalog) => {
          this.#known.set(connection.name, catalog);
          this.#lost.delete(connection.name);
          return catalog;
        },
        (fault: unknown) => {
          this.#failedAt.set(connection.name, this.#now());
          this.#log.warn({ connection: connection.name, err: fault }, 'the catalog of the upstream could not be read');
          return undefined;
        },
      )
      .finally(() => this.#reading.delete(connection.name));
    this.#reading.set(connection.name, reading);
    return reading;
  }

  async #fetch(connection: Connection): Promise<Catalog> {
    const modern = connection.eras.includes('modern') ? await this.#probe(connection, 'modern') : undefined;
    return this.#with(connection, async (client) => {
      if (modern?.spoken !== true) {
        const { capabilities } = await client.initialize();
        return readCatalog(client, false, capabilities, this.#now(), this.#known.get(connection.name));
      }
      const catalog = await readCatalog(
        client,
        true,
        modern.capabilities,
        this.#now(),
        this.#known.get(connection.name),
      );
      this.#warnOfTools(connection, catalog);
      return catalog;
    });
  }

  /** Clients leave such a tool out without a word; its operator should hear why (duty R-12). */
  #warnOfTools(connection: Connection, { tools }: Catalog): void {
    for (const [tool, { fault }] of tools) {
      if (fault !== undefined)
        this.#log.warn(
          { connection: connection.name, tool, fault },
          'clients drop a tool: its x-mcp-header is invalid',
        );
    }
  }

  /** One conversation of the gateway itself with an upstream, with an end to its patience. */
  async #with<T>(connection: Connection, talk: (client: InsideClient) => Promise<T>): Promise<T> {
    const patience = new Abort();
    const timer = setTimeout(() => patience.abort(), PATIENCE_MS).unref();
    const client = new InsideClient({
      ask: this.#ask,
      connection: connection.name,
      principal: SYSTEM,
      address: 'gateway',
      signal: patience,
      discoverMs: connection.transport === 'stdio' ? COMMAND_PATIENCE_MS : PATIENCE_MS,
    });
    try {
      return await talk(client);
    } finally {
      clearTimeout(timer);
      await client.close();
    }
  }
}
