import { binds } from '../../policies/binding.ts';
import type { ConnectionDocument, NameFilter, RuleDocuments } from '../../policies/documents.ts';
import { compileGlobs } from '../../policies/glob.ts';

/** A tool of a connection, and the rules that have something to say about it. */
export interface Coverage {
  readonly connection: string;
  readonly tool: string;
  /** `kind: rule name`; empty when nothing but connection access governs the tool. */
  readonly rules: readonly string[];
}

/** Which rules touch which tools. A condition touches the tools whose names are written in it, or every tool when it does not speak of names. */
export function coverageOf(
  connection: ConnectionDocument,
  tools: readonly string[],
  documents: RuleDocuments,
): readonly Coverage[] {
  return tools.map((tool) => ({
    connection: connection.name,
    tool,
    rules: touching(connection, tool, documents),
  }));
}

function touching(connection: ConnectionDocument, tool: string, documents: RuleDocuments): readonly string[] {
  const found: string[] = [];
  const add = (kind: string, name: string, touches: boolean): void => {
    if (touches) found.push(`${kind}: ${name}`);
  };
  for (const rule of documents.access_control.filter((each) => binds(each, connection))) {
    const named = filtered(rule.tools, tool);
    const asks = rule.when !== undefined && speaksOf(rule.when, tool);
    add('access_control', rule.name, named || asks);
  }
  for (const rule of documents.guardrails.filter((each) => binds(each, connection))) {
    const entries = [...(rule.input?.rules ?? []), ...(rule.output?.rules ?? [])];
    const touches = entries.some((entry) => entry.tools === undefined || compileGlobs(entry.tools).matches(tool));
    add('guardrails', rule.name, touches);
  }
  for (const rule of documents.datamasking_rules.filter((each) => binds(each, connection))) {
    add('datamasking_rules', rule.name, true);
  }
  for (const rule of documents.access_request_rules.filter((each) => binds(each, connection))) {
    add('access_request_rules', rule.name, rule.when === undefined || speaksOf(rule.when, tool));
  }
  for (const rule of documents.limits.filter((each) => binds(each, connection))) {
    add('limits', rule.name, rule.tools === undefined || compileGlobs(rule.tools).matches(tool));
  }
  return found;
}

function filtered(filter: NameFilter | undefined, tool: string): boolean {
  const patterns = [...(filter?.allow ?? []), ...(filter?.deny ?? [])];
  return compileGlobs(patterns).matches(tool);
}

const NAMES_TOOLS = /\btool\.name\b|(?<![.\w])name\b/;
const LITERALS = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/g;

function speaksOf(condition: string, tool: string): boolean {
  if (!NAMES_TOOLS.test(condition)) return true;
  const partly = /\b(?:startsWith|endsWith|contains|search)\(/.test(condition);
  const literals = [...condition.matchAll(LITERALS)].map((match) => match[1] ?? match[2] ?? '');
  return literals.some((literal) => literal === tool || (partly && literal !== '' && tool.includes(literal)));
}
