import { createHash } from 'node:crypto';
import { Abort } from '../abort.ts';
import { canonical } from '../../policies/json/canonical.ts';
import type { Json, JsonObject, Principal, ToolAnnotations } from '../../policies/types.ts';
import type { Outcome } from '../../recorder/types.ts';
import type { Log } from '../log.ts';
import type { Era } from '../types.ts';
import { InsideClient, resultOf, type Ask, type InsideAnswer } from './client.ts';
import type { Connection } from './connection.ts';

export interface CatalogTool {
  readonly annotations: ToolAnnotations;
  /** SHA-256 of the canonical definition. */
  readonly definition: string;
}

/** What an upstream offers, as last seen by the gateway itself. */
export interface Catalog {
  readonly eras: ReadonlySet<Era>;
  readonly tools: ReadonlyMap<string, CatalogTool>;
  readonly prompts: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly readAt: number;
}

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
const MOST_PAGES = 100;

/** Catalogs of all connections: read on first need, refreshed by age and by list_changed. */
export class Catalogs {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #known = new Map<string, Catalog>();
  readonly #reading = new Map<string, Promise<Catalog | undefined>>();
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
    if (known === undefined && this.#now() - (this.#failedAt.get(connection.name) ?? -RETRY_MS) < RETRY_MS)
      return undefined;
    const reading = this.#read(connection);
    // A stale catalog is still the best knowledge while the fresh one is on its way.
    return known ?? reading;
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
    if (this.#now() - (this.#failedAt.get(name) ?? -RETRY_MS) < RETRY_MS) return false;
    return (await this.#read(connection)) !== undefined;
  }

  /** The upstream said that a list changed. */
  forget(connection: string): void {
    this.#known.delete(connection);
    this.#failedAt.delete(connection);
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
    const patience = new Abort();
    const timer = setTimeout(() => patience.abort(), 30_000).unref();
    const client = new InsideClient({
      ask: this.#ask,
      connection: connection.name,
      principal: SYSTEM,
      address: 'gateway',
      signal: patience,
    });
    const eras = new Set<Era>();
    let capabilities: Json | undefined;
    if (connection.eras.includes('modern')) {
      const discovered = await client.modern('server/discover');
      if (discovered.status === 200 && isResult(discovered)) {
        eras.add('modern');
        capabilities = resultOf(discovered)['capabilities'];
      }
    }
    const modern = eras.has('modern');
    if (!modern) {
      capabilities = (await client.initialize())['capabilities'];
      eras.add('legacy');
    }
    try {
      const list = (method: string, key: string): Promise<JsonObject[]> => pages(client, modern, method, key);
      const offers = (name: string): boolean =>
        typeof capabilities === 'object' && capabilities !== null && Object.hasOwn(capabilities, name);
      const tools = offers('tools') ? await list('tools/list', 'tools') : [];
      const prompts = offers('prompts') ? await list('prompts/list', 'prompts') : [];
      const resources = offers('resources') ? await list('resources/list', 'resources') : [];
      return {
        eras,
        tools: new Map(tools.map((tool) => [String(tool['name']), describe(tool)])),
        prompts: new Set(prompts.map((prompt) => String(prompt['name']))),
        resources: new Set(resources.map((resource) => String(resource['uri']))),
        readAt: this.#now(),
      };
    } finally {
      clearTimeout(timer);
      await client.close();
    }
  }
}

function isResult(answer: InsideAnswer): boolean {
  return Object.hasOwn(answer.frames.at(-1)?.value ?? {}, 'result');
}

async function pages(client: InsideClient, modern: boolean, method: string, key: string): Promise<JsonObject[]> {
  const items: JsonObject[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const params: JsonObject = cursor === undefined ? {} : { cursor };
    const result = resultOf(modern ? await client.modern(method, params) : await client.legacy(method, params));
    const list = result[key];
    if (Array.isArray(list)) items.push(...(list as JsonObject[]));
    const next = result['nextCursor'];
    if (typeof next !== 'string') break;
    cursor = next;
  }
  return items;
}

function describe(tool: JsonObject): CatalogTool {
  const hints = (
    typeof tool['annotations'] === 'object' && tool['annotations'] !== null ? tool['annotations'] : {}
  ) as JsonObject;
  const hint = (name: string, absent: boolean): boolean => {
    const value = Object.hasOwn(hints, name) ? hints[name] : undefined;
    return typeof value === 'boolean' ? value : absent;
  };
  return {
    annotations: {
      readOnlyHint: hint('readOnlyHint', false),
      destructiveHint: hint('destructiveHint', true),
      idempotentHint: hint('idempotentHint', false),
      openWorldHint: hint('openWorldHint', true),
    },
    definition: createHash('sha256')
      .update(canonical(JSON.stringify(tool)))
      .digest('hex'),
  };
}
