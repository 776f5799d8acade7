/** Rule documents as users write them (YAML or API): the names are part of the product's interface. */

/** Where a rule applies. A rule that names neither applies to every connection except `gateway`. */
export interface Binding {
  readonly connections?: readonly string[];
  readonly attributes?: readonly string[];
}

export interface GuardrailEntry {
  readonly type: 'deny_words_list' | 'pattern_match';
  readonly words?: readonly string[];
  readonly case_sensitive?: boolean;
  readonly pattern_regex?: string;
  readonly message?: string;
  readonly action?: 'block' | 'hold' | 'warn';
}

export interface GuardrailDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly mode?: 'enforce' | 'observe';
  readonly input?: { readonly rules: readonly GuardrailEntry[] };
  readonly output?: { readonly rules: readonly GuardrailEntry[] };
}

export interface CustomEntity {
  readonly name: string;
  readonly regex?: string;
  readonly deny_list?: readonly string[];
  readonly score?: number;
}

export interface MaskingDocument extends Binding {
  readonly name: string;
  readonly description?: string;
  readonly supported_entity_types?: readonly { readonly name: string; readonly entity_types: readonly string[] }[];
  readonly custom_entity_types?: readonly CustomEntity[];
  readonly score_threshold?: number;
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
  /** CEL; a call for which it is false is denied to the rule's groups. */
  readonly when?: string;
}

/** A connection as the rules know it. */
export interface ConnectionDocument {
  readonly name: string;
  readonly attributes: readonly string[];
  /** Groups that see the connection; absent: admins only. */
  readonly access?: { readonly groups: readonly string[] };
  readonly elicitation?: ElicitationDocument;
}

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
}
