import type { ListedKind } from './rulebook.ts';
import type { Call, Json, JsonObject } from './types.ts';

/** Something a call names that may be hidden from its caller. */
export interface Target {
  readonly kind: ListedKind;
  readonly name: string;
}

/** What access rules judge of a call; `unreadable` when the call names something in a way that is not understood. */
export function targetsOf(call: Call): readonly Target[] | 'unreadable' {
  switch (call.method) {
    case 'tools/call':
      return [{ kind: 'tool', name: call.name }];
    case 'prompts/get':
      return [{ kind: 'prompt', name: call.name }];
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return [{ kind: 'resource', name: call.name }];
    case 'completion/complete':
      return completed(call.arguments);
    case 'subscriptions/listen':
      return subscribed(call.arguments);
    default:
      if (call.kind === 'tool' || call.kind === 'prompt' || call.kind === 'resource') {
        return [{ kind: call.kind, name: call.name }];
      }
      return [];
  }
}

function completed(params: Json): readonly Target[] | 'unreadable' {
  const ref = member(params, 'ref');
  const type = member(ref, 'type');
  const name = member(ref, type === 'ref/prompt' ? 'name' : 'uri');
  if (typeof name !== 'string') return 'unreadable';
  if (type === 'ref/prompt') return [{ kind: 'prompt', name }];
  return type === 'ref/resource' ? [{ kind: 'resource', name }] : 'unreadable';
}

function subscribed(params: Json): readonly Target[] | 'unreadable' {
  const uris = member(member(params, 'notifications'), 'resourceSubscriptions');
  if (uris === undefined) return [];
  if (!Array.isArray(uris)) return 'unreadable';
  const targets: Target[] = [];
  for (const uri of uris) {
    if (typeof uri !== 'string') return 'unreadable';
    targets.push({ kind: 'resource', name: uri });
  }
  return targets;
}

function member(value: Json | undefined, key: string): Json | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

const MAX_DECODINGS = 3;

/** The spellings of a resource's URI that name the same thing: as it is, resolved, and with its escapes undone. */
export function spellings(uri: string): readonly string[] {
  const forms = new Set([uri]);
  let form = uri;
  for (let i = 0; i < MAX_DECODINGS; i += 1) {
    if (URL.canParse(form)) forms.add(new URL(form).href);
    const decoded = form.replace(/%[0-9A-Fa-f]{2}/g, (escape) =>
      String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
    );
    if (decoded === form) break;
    forms.add(decoded);
    form = decoded;
  }
  return [...forms];
}
