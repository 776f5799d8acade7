/** Rule documents as users write them (YAML or API): the names are part of the product's interface. */

import type { StatementClass } from './sql/classes.ts';
import type { Dialect } from './sql/dialect.ts';

/** Where a rule applies. A rule that names neither applies to every connection except `gateway`. */
export interface Binding {
  readonly connections?: readonly string[];
  readonly attributes?: readonly string[];
  /** Set for rules that nobody wrote here: they come with a pack. */
  readonly managed_by?: 'pack';
}

export interface GuardrailEntry {
  readonly type:
    | 'deny_words_list'
    | 'pattern_match'
    | 'argument_match'
    | 'result_size'
    | 'prompt_injection'
    | 'sql_statement';
  /** Names the entry in findings. */
  readonly name?: string;
  readonly words?: readonly string[];
  readonly case_sensitive?: boolean;
  readonly pattern_regex?: string;
  /** Globs of the tools whose calls and answers an entry of a structured kind reads; absent: all. */
  readonly tools?: readonly string[];
  /** A JSON path such as `$.filters[*].table`: into a call's arguments, or into a result. */
  readonly path?: string;
  readonly required?: boolean;
  readonly enum?: readonly string[];
  readonly not_in?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly value_type?: 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'array' | 'object';
  readonly max_bytes?: number;
  readonly max_items?: number;
  readonly threshold?: number;
  /** The name of the argument that holds SQL; absent: sql, query and statement. */
  readonly argument?: string;
  readonly dialect?: Dialect;
  readonly deny?: readonly StatementClass[];
  readonly allow?: readonly StatementClass[];
  readonly tables?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly functions?: { readonly deny?: readonly string[] };
  readonly require_where?: boolean;
  readonly single_statement?: boolean;
  readonly max_length?: number;
  readonly message?: string;
  readonly action?: 'block' | 'hold' | 'warn' | 'redact';
}

/** Who approves the calls that a guardrail holds. */
export interface GuardrailReview {
  readonly reviewers_groups: readonly string[];
  readonly min_approvals?: number;
}

export interface GuardrailDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly mode?: 'enforce' | 'observe';
  readonly review?: GuardrailReview;
  readonly input?: { readonly rules: readonly GuardrailEntry[] };
  readonly output?: { readonly rules: readonly GuardrailEntry[] };
}

export interface CustomEntity {
  readonly name: string;
  readonly regex?: string;
  readonly deny_list?: readonly string[];
  readonly score?: number;
}

export type MaskingWay = 'replace' | 'mask' | 'partial' | 'hash' | 'tokenize';

/** What is put in the place of an entity: by name, or with options. */
export type MaskingStrategy =
  | MaskingWay
  | {
      readonly type: MaskingWay;
      /** Of `mask` and `partial`. */
      readonly character?: string;
      /** Letters and digits that `partial` keeps, together never more than half of them. */
      readonly keep_first?: number;
      readonly keep_last?: number;
    };

export interface MaskingDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly supported_entity_types?: readonly { readonly name: string; readonly entity_types: readonly string[] }[];
  readonly custom_entity_types?: readonly CustomEntity[];
  readonly score_threshold?: number;
  /** By entity type; `DEFAULT` is for all others. */
  readonly strategies?: Readonly<Record<string, MaskingStrategy>>;
  /** Texts that are no secrets, and patterns of whole texts that are none. */
  readonly allow_list?: readonly (string | { readonly regex: string })[];
  /** What becomes of JSON numbers that are entities. */
  readonly numbers?: 'refuse' | 'string' | 'zero';
  /** Globs of the tools that get the values behind placeholders of this rule's types. */
  readonly restore?: { readonly tools: readonly string[] };
}

export interface AccessRequestDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly access_type: 'command';
  /** CEL; absent means every call of the connection's tools. */
  readonly when?: string;
  readonly approval_required_groups?: readonly string[];
  readonly skip_review_groups?: readonly string[];
  readonly reviewers_groups: readonly string[];
  readonly min_approvals?: number;
  readonly all_groups_must_approve?: boolean;
  readonly force_approval_groups?: readonly string[];
}

export interface NameFilter {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface AccessControlDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly groups: readonly string[];
  readonly tools?: NameFilter;
  readonly resources?: NameFilter;
  readonly prompts?: NameFilter;
  /** Methods that upstreams may ask of the clients of the rule's groups. */
  readonly server_requests?: NameFilter;
  /** Scopes that a caller's token must have for what the rule allows. */
  readonly required_scopes?: readonly string[];
  /** CEL; a call for which it is false is denied to the rule's groups. */
  readonly when?: string;
}

/** So many, or so much, in any span of time of this length. */
export interface QuotaDocument<Most> {
  readonly most: Most;
  readonly within: string;
}

export interface LimitDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly mode?: 'enforce' | 'observe';
  /** Whose calls; absent: everybody's. */
  readonly groups?: readonly string[];
  /** Globs; absent: every call, also of prompts, resources and routes. */
  readonly tools?: readonly string[];
  /** What is counted together. */
  readonly per?: 'principal' | 'group' | 'tool' | 'connection';
  readonly calls?: QuotaDocument<number>;
  /** At the same time. */
  readonly concurrent?: number;
  readonly result_bytes?: QuotaDocument<string>;
  readonly session?: { readonly calls?: number; readonly bytes?: string };
  /** Identical calls of one caller. */
  readonly repeats?: QuotaDocument<number>;
  readonly on_lost_state?: 'half' | 'allow';
}

/** A connection as the rules know it. */
export interface ConnectionDocument {
  readonly name: string;
  readonly attributes: readonly string[];
  /** Groups that see the connection; absent: admins only. */
  readonly access?: { readonly groups: readonly string[] };
  readonly elicitation?: ElicitationDocument;
  /** What is made of arguments that do not fit the tool's input schema; absent: off. */
  readonly schema_validation?: SchemaMode;
}

export type SchemaMode = 'enforce' | 'observe' | 'off';

/** What an upstream may put before people, whoever they are. */
export interface ElicitationDocument {
  /** Globs of the hosts that people may be sent to; absent: any. */
  readonly url_hosts?: readonly string[];
  /** Whether forms may have fields for secrets; absent: refuse. */
  readonly secret_fields?: 'refuse' | 'allow';
}

export interface RuleDocuments {
  readonly connections: readonly ConnectionDocument[];
  readonly guardrails: readonly GuardrailDocument[];
  readonly datamasking_rules: readonly MaskingDocument[];
  readonly access_request_rules: readonly AccessRequestDocument[];
  readonly access_control: readonly AccessControlDocument[];
  readonly limits: readonly LimitDocument[];
}
