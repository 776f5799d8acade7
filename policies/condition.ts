import { Environment, EvaluationError, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import { affordable, costOf } from './condition-cost.ts';
import type { Syntax } from './condition-cost.ts';
import { ConnectionValue, PrincipalValue, ToolValue } from './condition-scope.ts';
import type { Scope } from './condition-scope.ts';
import { RuleFault, lineAndColumn } from './fault.ts';
import { compilePattern } from './pattern.ts';

/** Why a condition has no answer for a call. Never quotes the call. */
export interface ConditionError {
  readonly error: string;
}

/** A compiled CEL condition. */
export interface Condition {
  readonly source: string;
  /** Whoever asks decides what an error counts as: true where the rule denies or holds, false where it allows. */
  test(scope: Scope): boolean | ConditionError;
}

export const MAX_CONDITION = 10_000;

/** Throws a RuleFault with line and column for what does not compile, cannot be a truth value, or may take long to evaluate. */
export function compileCondition(source: string): Condition {
  if (source.length > MAX_CONDITION) throw new RuleFault(`the condition is longer than ${MAX_CONDITION} characters`);
  const located = (message: string, position: number): RuleFault =>
    new RuleFault(`${message} (${lineAndColumn(source, position)})`, position);

  const parse = (): ReturnType<Environment['parse']> => {
    try {
      return ENVIRONMENT.parse(source);
    } catch (error) {
      if (error instanceof RuleFault) throw located(error.message, error.position ?? 0);
      if (error instanceof ParseError) throw located(error.summary, error.range?.start ?? 0);
      throw error;
    }
  };

  const program = parse();
  const cost = weigh(program.ast, located);
  const checked = program.check();
  if (!checked.valid) {
    const error = checked.error;
    throw located(error?.summary ?? 'the condition does not compile', error?.range?.start ?? 0);
  }
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    throw located(`a condition must be true or false, this one is of type ${checked.type}`, 0);
  }

  const test = (scope: Scope): boolean | ConditionError => {
    if (cost.depth > 0 && !affordable(cost, scope)) return TOO_LARGE;
    let value: unknown;
    try {
      value = program(scope as unknown as Record<string, unknown>);
    } catch (error) {
      // The caller counts this against the call.
      return error instanceof EvaluationError ? { error: error.code } : FAILED;
    }
    return typeof value === 'boolean' ? value : NOT_BOOLEAN;
  };
  return { source, test };
}

const TOO_LARGE: ConditionError = { error: 'arguments_too_large' };
const FAILED: ConditionError = { error: 'evaluation_failed' };
const NOT_BOOLEAN: ConditionError = { error: 'not_boolean' };

function weigh(root: unknown, located: (message: string, position: number) => RuleFault): ReturnType<typeof costOf> {
  try {
    return costOf(root as Syntax);
  } catch (error) {
    if (error instanceof RuleFault) throw located(error.message, error.position ?? 0);
    throw error;
  }
}

/** What the library hands to a macro, as far as it is used here. */
interface MacroCall {
  readonly ast: unknown;
  readonly args: readonly Syntax[];
  readonly receiver?: Syntax | null;
}
interface Checker {
  check(node: Syntax, context: unknown): { readonly kind: string };
  getType(name: string): unknown;
}
interface Evaluator {
  run(node: Syntax, context: unknown): unknown;
}

/** `text.search("pattern")` and `search(text, "pattern")`: the pattern is compiled here, when the rule is loaded. */
function searchMacro(call: MacroCall): object {
  const [subject, literal] = call.receiver ? [call.receiver, call.args[0]] : [call.args[0], call.args[1]];
  if (subject === undefined || literal?.op !== 'value' || typeof literal.args !== 'string') {
    throw new RuleFault('the pattern of search() must be written out as a text', literal?.start ?? 0);
  }
  const pattern = compileLiteral(literal.args, literal.start);
  return {
    async: false,
    typeCheck(checker: Checker, _macro: unknown, context: unknown): unknown {
      const { kind } = checker.check(subject, context);
      if (kind !== 'string' && kind !== 'dyn') {
        throw new CelTypeError(`search() reads a text, this is of type ${kind}`, subject as never);
      }
      return checker.getType('bool');
    },
    evaluate(evaluator: Evaluator, _macro: unknown, context: unknown): boolean {
      const text = evaluator.run(subject, context);
      if (typeof text === 'string') return pattern.search(text);
      throw new EvaluationError({ code: 'no_such_overload', message: 'search() reads a text' });
    },
  };
}

function compileLiteral(source: string, position: number): ReturnType<typeof compilePattern> {
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof RuleFault) throw new RuleFault(`in the pattern: ${error.message}`, position);
    throw error;
  }
}

const LIMITS = { maxAstNodes: 2000, maxDepth: 60 };
const TEXT = 'string';
const TEXTS = 'list<string>';
const FLAG = 'bool';

const ENVIRONMENT = new Environment({
  enableOptionalTypes: true,
  homogeneousAggregateLiterals: false,
  unlistedVariablesAreDyn: false,
  limits: LIMITS,
})
  .registerType('Principal', {
    ctor: PrincipalValue,
    fields: { issuer: TEXT, subject: TEXT, email: TEXT, name: TEXT, groups: TEXTS, roles: TEXTS },
  })
  .registerType('Connection', { ctor: ConnectionValue, fields: { name: TEXT, attributes: TEXTS } })
  .registerType('Tool', {
    ctor: ToolValue,
    fields: {
      name: TEXT,
      readOnlyHint: FLAG,
      destructiveHint: FLAG,
      idempotentHint: FLAG,
      openWorldHint: FLAG,
    },
  })
  .registerVariable('principal', 'Principal')
  .registerVariable('connection', 'Connection')
  .registerVariable('tool', 'Tool')
  .registerVariable('kind', TEXT)
  .registerVariable('method', TEXT)
  .registerVariable('name', TEXT)
  .registerVariable('args', 'dyn')
  .registerFunction('string.search(ast): bool', searchMacro as never)
  .registerFunction('search(ast, ast): bool', searchMacro as never);
