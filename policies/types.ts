/** The words of policy. Pure values: no sockets, files, clock or JSON-RPC. */

/** A parsed JSON value. Objects come from JSON.parse: read members with Object.hasOwn, never by trust in the prototype. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type Role = 'admin' | 'auditor';

/** Who is calling, proven. (issuer, subject) names the person or workload; groups and roles say what they may do. */
export interface Principal {
  readonly issuer: string;
  readonly subject: string;
  readonly email?: string;
  readonly name?: string;
  readonly groups: readonly string[];
  readonly roles: readonly Role[];
  readonly authenticatedBy: 'oidc' | 'token' | 'anonymous' | 'local' | 'system';
  /** Subjects of the token's `act` claim, outermost first (RFC 8693 section 4.1). */
  readonly actors: readonly string[];
  readonly clientId?: string;
  /** Of his access token; absent for whoever has none, as with gateway tokens. */
  readonly scopes?: readonly string[];
}

export type CallKind = 'tool' | 'prompt' | 'resource' | 'protocol' | 'server_request' | 'http';

/** What the upstream says of its tool. Untrusted: it may tighten a rule, never relax one. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** What is asked, in policy's words. */
export interface Call {
  readonly connection: string;
  readonly kind: CallKind;
  /** The exact JSON-RPC method, or `GET` and `DELETE` for the session operations of older revisions. */
  readonly method: string;
  /** Tool or prompt name, resource URI; empty where the method names nothing. */
  readonly name: string;
  /** `params.arguments` of a tool or prompt, otherwise `params`; `{}` when absent. */
  readonly arguments: Json;
  /** The exact JSON text of the message's params (`{}` when absent): what text rules read. */
  readonly text: string;
  /** JSON text of what else goes to the upstream, such as unknown members and headers, for input rules; absent when there is nothing. */
  readonly beside?: string;
  readonly annotations: ToolAnnotations;
  /** Hash of the tool's whole definition; absent when the tool is not in the catalog. */
  readonly definition?: string;
}

/** What a rule saw: where and of which kind, never the value. */
export interface Finding {
  readonly rule: string;
  readonly policy: 'access' | 'guardrail' | 'masking' | 'approval' | 'limit' | 'schema' | 'pin';
  readonly direction: 'input' | 'output';
  readonly action: 'block' | 'hold' | 'warn' | 'redact' | 'mask' | 'error';
  /** JSON Pointer (RFC 6901) of the string; masked keys are named by their position, `*`. */
  readonly path: string;
  /** Entity type for masking, rule entry type (`deny_words_list`, ...) otherwise. */
  readonly entity: string;
  readonly count: number;
  /** Name of the rule's entry that saw it, where it has one. */
  readonly entry?: string;
  /** The rule only observes: `action` is what it would have done. */
  readonly observed?: true;
}

/** Why a call is refused; `reason` is the rule author's sentence and never repeats what was matched. */
export interface Denial {
  /** A code of the error table, such as `guardrail_blocked`. */
  readonly code: string;
  readonly rule: string;
  readonly reason: string;
  readonly remedy: string;
  /** Seconds after which the same call may pass; absent where nobody knows. */
  readonly retryAfter?: number;
  /** All scopes that the call needs, where the caller's token lacks one. */
  readonly scopes?: readonly string[];
}

/** One approval rule that holds a call, as the review will show and count it. */
export interface Requirement {
  readonly rule: string;
  readonly reviewersGroups: readonly string[];
  readonly minApprovals: number;
  readonly allGroupsMustApprove: boolean;
  readonly forceApprovalGroups: readonly string[];
}

export type Decision =
  | { readonly action: 'allow'; readonly findings: readonly Finding[] }
  | { readonly action: 'deny'; readonly denial: Denial; readonly findings: readonly Finding[] }
  | {
      readonly action: 'hold';
      readonly requirements: readonly Requirement[];
      /** Hash of the rules that hold the call: part of its fingerprint. */
      readonly rulesHash: string;
      readonly findings: readonly Finding[];
    };

/** One policy's voice about a call; the strictest opinion wins (deny, hold, allow). */
export type Opinion = Decision | undefined;

/** Where a value does not fit a JSON Schema: a JSON Pointer into the value, and the keyword that refuses it. */
export interface SchemaFault {
  readonly path: string;
  readonly keyword: string;
}

/** What a JSON Schema makes of a value. */
export interface SchemaReport {
  /** Why nothing can be said: for the log, since the schema's own text may stand in it. */
  readonly unusable?: string;
  readonly faults: readonly SchemaFault[];
}

/** What masking may not make by itself: placeholders are state, and digests need a key. */
export interface TokenSource {
  /** The placeholder of a value, the same for the same value; the mere `<TYPE>` when no more can be kept. */
  placeholder(type: string, value: string): string;
  /** 16 hexadecimal digits that only the holder of the key can make from the value. */
  digest(type: string, value: string): string;
}

/** State that rules need and policies may not fetch; filled by `gather` for the rules that name it. */
export interface Facts {
  /** Names of the tools, prompts and resources that the connection offers; absent when no rule needed them. */
  readonly catalog?: ReadonlySet<string>;
  /** Absent when no rule makes placeholders or digests, and for callers that get none. */
  readonly tokens?: TokenSource;
  /** The arguments, compared with the tool's input schema; absent where they are not. */
  readonly schema?: SchemaReport;
}

/** What a policy makes of text that leaves: replaced JSON text, or the reason it must not leave. */
export interface Verdict {
  /** The JSON text to deliver: the very same string when nothing was changed. */
  readonly json: string;
  readonly findings: readonly Finding[];
  readonly denial?: Denial;
  /** The record's own rules found nothing either: the text may be stored as it is. */
  readonly clean?: boolean;
}

/** The one shape of every policy. Synchronous, and pure but for its compiled rules. */
export interface Policy {
  readonly name: string;
  call?(call: Call, who: Principal, facts: Facts): Opinion;
  /** Judges one complete JSON text that goes to the client. */
  result?(json: string, call: Call, who: Principal, facts: Facts): Verdict;
}
