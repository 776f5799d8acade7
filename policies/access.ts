import { requiredScopes } from './access-scopes.ts';
import { spellings, targetsOf } from './access-target.ts';
import type { Target } from './access-target.ts';
import { GATEWAY } from './binding.ts';
import { compileCondition } from './condition.ts';
import type { Condition } from './condition.ts';
import type { Scope } from './condition-scope.ts';
import type { AccessControlDocument, ConnectionDocument, NameFilter } from './documents.ts';
import { compileGlobs, matchGlob } from './glob.ts';
import type { Globs } from './glob.ts';
import { fold } from './normalise.ts';
import type { ListedKind } from './rulebook.ts';
import type { Call, Decision, Facts, Finding, Principal } from './types.ts';

/** Who may see and call what on one connection, compiled. */
export interface Access {
  visible(who: Principal): boolean;
  filters(who: Principal): boolean;
  sees(kind: ListedKind, name: string, who: Principal): boolean;
  /** Undefined when access has nothing against the call. */
  judge(call: Call, who: Principal, facts: Facts, scope: () => Scope): Decision | undefined;
}

interface Filter {
  readonly allow?: Globs;
  readonly deny?: Globs;
}

type Filtered = ListedKind | 'server_request';

interface Rule {
  readonly name: string;
  readonly groups: readonly string[];
  readonly filters: Readonly<Record<Filtered, Filter>>;
  readonly narrows: boolean;
  readonly scopes: readonly string[];
  readonly when?: Condition;
}

/** What the rules make of one caller. */
interface View {
  readonly visible: boolean;
  readonly rules: readonly Rule[];
  readonly filters: boolean;
}

/** Throws a RuleFault when a condition does not compile. The rules must be those that apply to the connection. */
export function compileAccess(connection: ConnectionDocument, documents: readonly AccessControlDocument[]): Access {
  const rules = documents.map((document) => compileRule(document));
  const named: Readonly<Record<ListedKind, NamesByFold>> = {
    tool: namesByFold(rules, 'tool'),
    prompt: namesByFold(rules, 'prompt'),
    resource: namesByFold(rules, 'resource'),
  };
  const groups = connection.access?.groups;
  // Principals live as long as their tokens are cached: what the rules make of one is worked out once.
  const views = new WeakMap<Principal, View>();

  const isVisible = (who: Principal): boolean => {
    if (connection.name === GATEWAY || who.authenticatedBy === 'system' || who.roles.includes('admin')) return true;
    return groups !== undefined && shares(groups, who.groups);
  };
  const viewOf = (who: Principal): View => {
    let view = views.get(who);
    if (view === undefined) {
      const system = who.authenticatedBy === 'system';
      const governing = system ? [] : rules.filter((rule) => shares(rule.groups, who.groups));
      view = { visible: isVisible(who), rules: governing, filters: governing.some((rule) => rule.narrows) };
      views.set(who, view);
    }
    return view;
  };
  const hiddenBy = (view: View, { kind, name }: Target): string | undefined => {
    if (view.rules.length === 0) return undefined;
    const forms = kind === 'resource' ? spellings(name) : [name];
    return confusedWith(named[kind], name, forms) ?? ruledOut(view.rules, kind, name, forms);
  };

  const judge = (call: Call, who: Principal, facts: Facts, scope: () => Scope): Decision | undefined => {
    const view = viewOf(who);
    if (!view.visible) return denied('connection_unknown', '', '', 'ask an administrator for access');
    if (view.rules.length === 0) return undefined;
    if (call.kind === 'server_request') return judgeServerRequest(view, call.method);
    const targets = targetsOf(call);
    if (targets === 'unreadable') return view.filters ? unknown({ kind: 'resource', name: '' }, '') : undefined;
    for (const target of targets) {
      const rule = hiddenBy(view, target);
      if (rule !== undefined) return unknown(target, rule);
      if (view.filters && facts.catalog !== undefined && !offers(facts.catalog, target)) return unknown(target, '');
    }
    if (call.kind !== 'tool' && call.kind !== 'prompt' && call.kind !== 'resource') return undefined;
    return judgeScopes(view, targets, who) ?? judgeWhen(view, scope);
  };

  return {
    visible: (who) => viewOf(who).visible,
    filters: (who) => viewOf(who).filters,
    sees(kind, name, who) {
      const view = viewOf(who);
      return view.visible && hiddenBy(view, { kind, name }) === undefined;
    },
    judge,
  };
}

/** What an upstream asks of the caller's client; a ping asks for nothing but a sign of life. */
function judgeServerRequest(view: View, method: string): Decision | undefined {
  const rule = method === 'ping' ? undefined : ruledOut(view.rules, 'server_request', method, [method]);
  if (rule === undefined) return undefined;
  const reason = `the access rule ${rule} does not permit it`;
  return denied('server_request_blocked', rule, reason, 'ask an administrator for access');
}

/** Names every scope that the call needs, so that one new token is enough (duty A-05). */
function judgeScopes(view: View, targets: readonly Target[], who: Principal): Decision | undefined {
  const needed = requiredScopes(view.rules, targets);
  const [lacking] = needed.filter(({ scope }) => who.scopes?.includes(scope) !== true);
  if (lacking === undefined) return undefined;
  const scopes = needed.map(({ scope }) => scope);
  const remedy = 'request a token with the named scopes';
  const denial = { code: 'scope_insufficient', rule: lacking.rule, reason: scopes.join(' '), remedy, scopes };
  return { action: 'deny', denial, findings: [] };
}

function judgeWhen(view: View, scope: () => Scope): Decision | undefined {
  for (const rule of view.rules) {
    if (rule.when === undefined) continue;
    const answer = rule.when.test(scope());
    if (answer === true) continue;
    const findings: Finding[] = [];
    if (answer !== false) {
      const { name } = rule;
      findings.push({
        rule: name,
        policy: 'access',
        direction: 'input',
        action: 'error',
        path: '',
        entity: answer.error,
        count: 1,
      });
    }
    const reason = `the access rule ${rule.name} does not permit it`;
    return denied('access_denied', rule.name, reason, 'ask an administrator for access', findings);
  }
  return undefined;
}

/** The rule that hides a name from those it governs: a deny, or the first allow list when none allows it. */
function ruledOut(rules: readonly Rule[], kind: Filtered, name: string, forms: readonly string[]): string | undefined {
  let refused: string | undefined;
  for (const rule of rules) {
    const { allow, deny } = rule.filters[kind];
    if (deny !== undefined && forms.some((form) => deny.resembles(form))) return rule.name;
    if (allow !== undefined) refused ??= rule.name;
  }
  if (refused === undefined) return undefined;
  const allows = rules.flatMap((rule) => rule.filters[kind].allow ?? []);
  // A name that is written out in a rule is meant as it stands; behind a wildcard every spelling must be allowed.
  if (allows.some(({ exact }) => exact.has(name))) return undefined;
  return forms.every((form) => allows.some((allow) => allow.matches(form))) ? undefined : refused;
}

/** The names that rules write out, by their folded form. */
type NamesByFold = ReadonlyMap<string, { readonly rule: string; readonly names: ReadonlySet<string> }>;

/** The rule that writes out a name for which this one could be taken without being it. */
function confusedWith(named: NamesByFold, name: string, forms: readonly string[]): string | undefined {
  if (named.size === 0) return undefined;
  for (const form of forms) {
    const entry = named.get(fold(form));
    if (entry !== undefined && !entry.names.has(name)) return entry.rule;
  }
  return undefined;
}

function namesByFold(rules: readonly Rule[], kind: ListedKind): NamesByFold {
  const named = new Map<string, { readonly rule: string; readonly names: Set<string> }>();
  for (const rule of rules) {
    const { allow, deny } = rule.filters[kind];
    for (const name of [...(allow?.exact ?? []), ...(deny?.exact ?? [])]) {
      const entry = named.get(fold(name)) ?? { rule: rule.name, names: new Set() };
      named.set(fold(name), entry);
      entry.names.add(name);
    }
  }
  return named;
}

const LISTED: readonly ListedKind[] = ['tool', 'prompt', 'resource'];

function compileRule(document: AccessControlDocument): Rule {
  const filters = {
    tool: compileFilter(document.tools),
    prompt: compileFilter(document.prompts),
    resource: compileFilter(document.resources),
    server_request: compileFilter(document.server_requests),
  };
  const narrows = LISTED.some((kind) => filters[kind].allow !== undefined || filters[kind].deny !== undefined);
  const scopes = document.required_scopes ?? [];
  const rule = { name: document.name, groups: document.groups, filters, narrows, scopes };
  return document.when === undefined ? rule : { ...rule, when: compileCondition(document.when) };
}

function compileFilter(filter: NameFilter | undefined): Filter {
  return {
    ...(filter?.allow === undefined ? {} : { allow: compileGlobs(filter.allow) }),
    ...(filter?.deny === undefined || filter.deny.length === 0 ? {} : { deny: compileGlobs(filter.deny) }),
  };
}

/** Resource templates in the catalog stand for all URIs that fit them. */
function offers(catalog: ReadonlySet<string>, target: Target): boolean {
  if (catalog.has(target.name)) return true;
  if (target.kind !== 'resource') return false;
  for (const entry of catalog) {
    if (entry.includes('{') && matchGlob(entry.replace(/\{[^}]*\}/g, '*'), target.name)) return true;
  }
  return false;
}

/** The same answer whether the name is hidden or does not exist. */
const unknown = (target: Target, rule: string): Decision =>
  denied('name_unknown', rule, `${target.kind}: ${target.name}`, 'list what is offered and use one of those names');

function denied(
  code: string,
  rule: string,
  reason: string,
  remedy: string,
  findings: readonly Finding[] = [],
): Decision {
  return { action: 'deny', denial: { code, rule, reason, remedy }, findings };
}

const shares = (left: readonly string[], right: readonly string[]): boolean =>
  left.some((group) => right.includes(group));
