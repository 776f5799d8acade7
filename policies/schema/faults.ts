import type { ErrorObject } from 'ajv';
import type { Json, SchemaFault } from '../types.ts';

const PLAIN = /^[A-Za-z_$][\w$.-]{0,63}$/;
const COMPOSITE: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'contains']);
const NUMERIC: ReadonlySet<string> = new Set([
  'const',
  'enum',
  'exclusiveMaximum',
  'exclusiveMinimum',
  'maximum',
  'minimum',
  'multipleOf',
]);

/**
 * Where a value does not fit and by which keyword; never the value. A number too large for a double is not held against its
 * caller: what was compared is its nearest double, not what he wrote.
 */
export function faultsOf(errors: readonly ErrorObject[], value: Json): readonly SchemaFault[] {
  const rounded = ancestorsOf(errors.filter(isRounded));
  // A choice in which such a number was compared may have been met: it says nothing, nor do its branches.
  const doubted = errors.filter(({ keyword, instancePath }) => COMPOSITE.has(keyword) && rounded.has(instancePath));
  const branches = [...new Set(doubted.map(({ schemaPath }) => schemaPath))];
  const faults = new Map<string, SchemaFault>();
  for (const error of errors) {
    const { schemaPath } = error;
    if (isRounded(error) || branches.some((at) => schemaPath === at || schemaPath.startsWith(`${at}/`))) continue;
    const fault = { path: pathOf(error, value), keyword: error.keyword };
    faults.set(`${fault.path} ${fault.keyword}`, fault);
  }
  return [...faults.values()];
}

function isRounded({ keyword, data }: ErrorObject): boolean {
  return NUMERIC.has(keyword) && typeof data === 'number' && Math.abs(data) > Number.MAX_SAFE_INTEGER;
}

/** The paths of some values and of everything that holds them. */
function ancestorsOf(errors: readonly ErrorObject[]): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { instancePath } of errors) {
    for (let end = instancePath.length; end >= 0; end = end === 0 ? -1 : instancePath.lastIndexOf('/', end - 1)) {
      paths.add(instancePath.slice(0, end));
    }
  }
  return paths;
}

/** As pointers of other findings: a name that does not look like a field's is given as `*`, since it may be data. */
function pathOf({ instancePath, params }: ErrorObject, value: Json): string {
  let path = '';
  let node: Json | undefined = value;
  for (const step of instancePath.split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    path += `/${Array.isArray(node) ? key : plain(key)}`;
    node = (node as Record<string, Json> | undefined)?.[key];
  }
  const missing: unknown = params['missingProperty'];
  if (typeof missing === 'string') return `${path}/${plain(missing)}`;
  // A name that the schema does not know may be anything.
  return Object.hasOwn(params, 'additionalProperty') || Object.hasOwn(params, 'unevaluatedProperty')
    ? `${path}/*`
    : path;
}

const plain = (key: string): string => (PLAIN.test(key) ? key : '*');
