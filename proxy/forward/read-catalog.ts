import { createHash } from 'node:crypto';
import { canonical } from '../../policies/json/canonical.ts';
import { lazySchema, type SchemaCheck } from '../../policies/schema/compile-schema.ts';
import type { Json, JsonObject, ToolAnnotations } from '../../policies/types.ts';
import { MODERN_VERSIONS } from '../wire/era.ts';
import { paramHeadersOf, type ParamHeader } from '../wire/param-headers.ts';
import { resultOf, type InsideAnswer, type InsideClient } from './client.ts';

export interface CatalogTool {
  readonly annotations: ToolAnnotations;
  /** SHA-256 of the canonical definition. */
  readonly definition: string;
  /** The `Mcp-Param-*` headers that repeat its arguments on the modern wire. */
  readonly params: readonly ParamHeader[];
  /** Its input schema, compiled when the first call asks. */
  readonly input: SchemaCheck;
  /** Its output schema, where it has one. */
  readonly output?: SchemaCheck;
  /** Why modern clients leave the tool out (duty R-12). */
  readonly fault?: string;
}

/** What an upstream offers, as last seen by the gateway itself. */
export interface Catalog {
  readonly tools: ReadonlyMap<string, CatalogTool>;
  readonly prompts: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly templates: ReadonlySet<string>;
  readonly readAt: number;
}

/** Whether an upstream speaks an era, and what it then offers. */
export interface Probed {
  readonly spoken: boolean;
  readonly capabilities: Json | undefined;
}

const MOST_PAGES = 100;
const UNSUPPORTED_VERSION = -32022;

/** Refusals by which a server says that it does not speak an era; anything else says nothing about it. */
const NO_EVIDENCE: ReadonlySet<unknown> = new Set([
  'upstream_unreachable',
  'upstream_lost',
  'upstream_timeout',
  'upstream_refused',
  'record_unavailable',
  'record_lost',
  'internal',
]);

/** Asks for the modern era; throws when the answer says nothing about it. */
export async function probeModern(client: InsideClient): Promise<Probed> {
  let answer = await client.modern('server/discover');
  // Some servers name what they speak to whoever comes first, and are then asked again, as clients do.
  if (namesOurVersion(answer)) answer = await client.modern('server/discover');
  const { spoken, capabilities } = judged(answer);
  // A server that answers whatever it is asked says nothing by it: its versions do.
  const versions = spoken ? resultOf(answer)['supportedVersions'] : undefined;
  const named = Array.isArray(versions) && versions.some((version) => MODERN_VERSIONS.includes(String(version)));
  return { spoken: named && answer.status === 200, capabilities };
}

/** Asks for the legacy era; throws when the answer says nothing about it. The session is the client's to close. */
export async function probeLegacy(client: InsideClient): Promise<Probed> {
  return judged(await client.tryInitialize());
}

function judged(answer: InsideAnswer): Probed {
  if (isResult(answer)) return { spoken: true, capabilities: resultOf(answer)['capabilities'] };
  if (NO_EVIDENCE.has(errorOf(answer)?.data?.code)) resultOf(answer);
  return { spoken: false, capabilities: undefined };
}

/** Reads every list that the capabilities promise. Of a tool that is what it was `before` the compiled schemas are kept. */
export async function readCatalog(
  client: InsideClient,
  modern: boolean,
  capabilities: Json | undefined,
  now: number,
  before?: Catalog,
): Promise<Catalog> {
  const list = (method: string, key: string): Promise<JsonObject[]> => pages(client, modern, method, key);
  const offers = (name: string): boolean =>
    typeof capabilities === 'object' && capabilities !== null && Object.hasOwn(capabilities, name);
  const tools = offers('tools') ? await list('tools/list', 'tools') : [];
  const prompts = offers('prompts') ? await list('prompts/list', 'prompts') : [];
  const resources = offers('resources') ? await list('resources/list', 'resources') : [];
  const templates = offers('resources') ? await templatesOf(list) : [];
  return {
    tools: new Map(tools.map((tool) => [String(tool['name']), describe(tool, before)])),
    prompts: new Set(prompts.map((prompt) => String(prompt['name']))),
    resources: new Set(resources.map((resource) => String(resource['uri']))),
    templates: new Set(templates.map((template) => String(template['uriTemplate']))),
    readAt: now,
  };
}

function isResult(answer: InsideAnswer): boolean {
  return Object.hasOwn(answer.frames.at(-1)?.value ?? {}, 'result');
}

interface Refusal {
  readonly code?: unknown;
  /** `code` here is the stable one of a refusal that the gateway itself made. */
  readonly data?: { readonly code?: unknown; readonly supported?: unknown };
}

const errorOf = (answer: InsideAnswer): Refusal | undefined =>
  answer.frames.at(-1)?.value['error'] as Refusal | undefined;

function namesOurVersion(answer: InsideAnswer): boolean {
  const error = errorOf(answer);
  const supported = error?.code === UNSUPPORTED_VERSION ? error.data?.supported : undefined;
  return Array.isArray(supported) && supported.some((version) => MODERN_VERSIONS.includes(version as string));
}

/** Servers with resources need not have templates. */
async function templatesOf(list: (method: string, key: string) => Promise<JsonObject[]>): Promise<JsonObject[]> {
  try {
    return await list('resources/templates/list', 'resourceTemplates');
  } catch {
    // Nothing of what is not known here is hidden or allowed by it: the list is only read to tell whether any is visible.
    return [];
  }
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

function describe(tool: JsonObject, before: Catalog | undefined): CatalogTool {
  const definition = createHash('sha256')
    .update(canonical(JSON.stringify(tool)))
    .digest('hex');
  const known = before?.tools.get(String(tool['name']));
  if (known?.definition === definition) return known;
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
    definition,
    input: lazySchema(tool['inputSchema'] ?? null),
    ...(tool['outputSchema'] === undefined ? {} : { output: lazySchema(tool['outputSchema']) }),
    ...paramHeadersOf(tool),
  };
}
