import type { ElicitationDocument } from './documents.ts';
import { compileHosts, screenLinks, screenUrl, type Hosts } from './elicitation-url.ts';
import { asksForSecret, namesSecret } from './secret-words.ts';
import type { Denial, Json, JsonObject } from './types.ts';

/** What a connection lets its upstream put before people, compiled. */
export interface Screening {
  readonly hosts: Hosts;
  readonly secretFields: 'refuse' | 'allow';
}

/** Without a document: any host whose name is plain, no secrets. */
export function compileScreening(document: ElicitationDocument | undefined): Screening {
  return { hosts: compileHosts(document?.url_hosts), secretFields: document?.secret_fields ?? 'refuse' };
}

/**
 * Refuses what an upstream must not put before a person: a URL that is unsafe to open, a form that asks for secrets (duties M-10
 * and G-09). For a server's request and for an entry of `inputRequests` alike; other methods than elicitation ask no person.
 */
export function screenServerRequest(method: string, params: Json, screening: Screening): Denial | undefined {
  if (method !== 'elicitation/create') return undefined;
  const wrong = screenElicitation(params, screening);
  if (wrong === undefined) return undefined;
  const remedy = 'ask an administrator whether elicitation.url_hosts or elicitation.secret_fields should permit it';
  return { code: 'server_request_blocked', rule: 'elicitation', reason: wrong, remedy };
}

function screenElicitation(params: Json, { hosts, secretFields }: Screening): string | undefined {
  if (!isObject(params)) return 'its parameters are not an object';
  const mode = own(params, 'mode') ?? 'form';
  if (mode !== 'form' && mode !== 'url') return 'its mode is neither form nor url';
  const url = own(params, 'url');
  if (mode === 'url' && typeof url !== 'string') return 'it has no URL';
  // A client may show a URL or a form whatever the mode says.
  if (url !== undefined) {
    const wrong = typeof url === 'string' ? screenUrl(url, hosts) : 'its URL is not a text';
    if (wrong !== undefined) return wrong;
  }
  const message = own(params, 'message');
  const form = readForm(own(params, 'requestedSchema'));
  for (const text of [...textsOf(message), ...form.labels]) {
    const wrong = screenLinks(text, hosts);
    if (wrong !== undefined) return wrong;
  }
  if (secretFields === 'allow' || form.open.length === 0) return undefined;
  const asks =
    form.open.some((label) => namesSecret(label)) || [...textsOf(message), ...form.heads].some(asksForSecret);
  return asks ? 'the form asks for a secret' : undefined;
}

interface Form {
  /** All texts that are shown. */
  readonly labels: readonly string[];
  /** Names, titles and descriptions of the fields into which something may be typed. */
  readonly open: readonly string[];
  /** Titles and descriptions of the form itself. */
  readonly heads: readonly string[];
}

const LABELS = ['title', 'description', 'label', 'placeholder'];
const NESTED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
const WITHIN = ['items', 'additionalProperties', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'prefixItems'];

/** Reads the fields of a form at any depth: the specification knows flat forms only, a careless client may show others. */
function readForm(schema: Json | undefined): Form {
  const form = { labels: [] as string[], open: [] as string[], heads: [] as string[] };
  const todo: { readonly name: string | undefined; readonly schema: Json }[] = [];
  if (schema !== undefined) todo.push({ name: undefined, schema });
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { name, schema: node } = next;
    if (Array.isArray(node)) for (const each of node) todo.push({ name, schema: each });
    if (name !== undefined && !isChoice(node)) form.open.push(name);
    if (!isObject(node)) continue;
    const labels = LABELS.flatMap((key) => textsOf(own(node, key)));
    form.labels.push(...labels);
    if (name === undefined) form.heads.push(...labels);
    else if (!isChoice(node)) form.open.push(...labels, ...(own(node, 'format') === 'password' ? ['password'] : []));
    for (const key of NESTED) {
      const members = own(node, key);
      if (isObject(members))
        for (const [field, each] of Object.entries(members)) todo.push({ name: field, schema: each });
    }
    if (isChoice(node)) continue;
    for (const key of WITHIN) {
      const inner = own(node, key);
      if (inner !== undefined && typeof inner === 'object') todo.push({ name, schema: inner });
    }
  }
  return form;
}

/** Nothing can be typed into it: yes or no, or one or some of the given values. */
function isChoice(schema: Json): boolean {
  if (!isObject(schema)) return false;
  if (own(schema, 'type') === 'boolean' || Object.hasOwn(schema, 'const')) return true;
  return isGiven(schema) || (own(schema, 'type') === 'array' && isGiven(own(schema, 'items')));
}

function isGiven(schema: Json | undefined): boolean {
  if (!isObject(schema)) return false;
  if (Array.isArray(own(schema, 'enum'))) return true;
  return ['oneOf', 'anyOf'].some((key) => {
    const options = own(schema, key);
    return (
      Array.isArray(options) &&
      options.length > 0 &&
      options.every((each) => isObject(each) && Object.hasOwn(each, 'const'))
    );
  });
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const own = (value: JsonObject, key: string): Json | undefined => (Object.hasOwn(value, key) ? value[key] : undefined);

const textsOf = (value: Json | undefined): readonly string[] => (typeof value === 'string' ? [value] : []);
