import type { IncomingHttpHeaders } from 'node:http';
import { find, parseTree } from '../../policies/json/tree.ts';
import type { Node } from '../../policies/json/tree.ts';
import type { Json, JsonObject } from '../../policies/types.ts';
import { GatewayError } from '../errors.ts';
import { sameNumber } from './decimal.ts';
import { objectMember } from './frame.ts';
import { decodeMirrored, encodeMirrored, headerValue } from './mirrored.ts';

/** One argument of a tool that clients of 2026-07-28 repeat in a header. */
export interface ParamHeader {
  /** In lower case: `mcp-param-<name>`. */
  readonly header: string;
  /** Member names that lead to the value in `params.arguments`. */
  readonly path: readonly string[];
  /** `number` is no valid annotation, but servers that declare it still compare the header. */
  readonly type: 'string' | 'integer' | 'boolean' | 'number';
}

const ANNOTATION = 'x-mcp-header';
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Keywords that hold schemas which no path of `properties` alone leads to. */
const UNREACHABLE: readonly string[] =
  'items prefixItems additionalItems unevaluatedItems contains additionalProperties unevaluatedProperties propertyNames contentSchema oneOf anyOf allOf not if then else'.split(
    ' ',
  );
/** The same, by name. */
const UNREACHABLE_BY_NAME: readonly string[] =
  'patternProperties dependentSchemas dependencies $defs definitions'.split(' ');

/**
 * The arguments that a tool's definition wants repeated in headers. `fault` says why an annotation is invalid: clients
 * drop such a tool, and nothing of it is to be checked, except where the type `number` is all that is wrong.
 */
export function paramHeadersOf(tool: JsonObject): { readonly params: readonly ParamHeader[]; readonly fault?: string } {
  const reader = new Reader();
  const fault = reader.read(objectMember(tool, 'inputSchema'), [], true);
  if (fault !== undefined) return { params: [], fault };
  return reader.numberFault === undefined
    ? { params: reader.params }
    : { params: reader.params, fault: reader.numberFault };
}

class Reader {
  readonly params: ParamHeader[] = [];
  numberFault: string | undefined;

  read(schema: Json | undefined, path: readonly string[], reachable: boolean): string | undefined {
    if (typeof schema !== 'object' || schema === null) return undefined;
    if (Array.isArray(schema)) return firstFault(schema, (branch) => this.read(branch, path, false));
    if (Object.hasOwn(schema, ANNOTATION)) {
      const fault = this.#annotate(schema, path, reachable);
      if (fault !== undefined) return fault;
    }
    return (
      firstFault(Object.entries(objectMember(schema, 'properties') ?? {}), ([key, child]) =>
        this.read(child, [...path, key], reachable),
      ) ??
      firstFault(UNREACHABLE, (keyword) =>
        Object.hasOwn(schema, keyword) ? this.read(schema[keyword], [...path, keyword], false) : undefined,
      ) ??
      firstFault(UNREACHABLE_BY_NAME, (keyword) =>
        firstFault(Object.values(objectMember(schema, keyword) ?? {}), (child) =>
          this.read(child, [...path, keyword], false),
        ),
      )
    );
  }

  #annotate(schema: JsonObject, path: readonly string[], reachable: boolean): string | undefined {
    const where = `${ANNOTATION} of ${JSON.stringify(path.join('.').slice(0, 128))}`;
    if (!reachable || path.length === 0) return `${where} is not on a property that properties alone lead to`;
    const name = schema[ANNOTATION];
    if (typeof name !== 'string' || !TOKEN.test(name)) return `${where} is not a header name`;
    const type = Object.hasOwn(schema, 'type') ? schema['type'] : undefined;
    if (type !== 'string' && type !== 'integer' && type !== 'boolean' && type !== 'number')
      return `${where} is not on a string, integer or boolean`;
    if (type === 'number') this.numberFault ??= `${where} is on a number`;
    const header = `mcp-param-${name.toLowerCase()}`;
    if (this.params.some((param) => param.header === header)) return `${where} names the header of another property`;
    this.params.push({ header, path, type });
    return undefined;
  }
}

function firstFault<T>(items: readonly T[], judge: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const fault = judge(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/**
 * Refuses a tools/call whose `Mcp-Param-*` headers do not repeat its arguments; headers that no parameter asks
 * for are ignored. `argsText` is the exact JSON text of the arguments: numbers are compared by their digits.
 * Repeated headers must have been refused before, as Node joins them.
 */
export function checkParamHeaders(
  args: Json | undefined,
  argsText: string,
  headers: IncomingHttpHeaders,
  params: readonly ParamHeader[],
): void {
  let tree: Node | undefined;
  for (const { header, path } of params) {
    const said = valueAt(args, path);
    const came = headerValue(headers, header);
    if (said === undefined || said === null || typeof said === 'object') {
      if (came !== undefined) throw mismatch(`${header} came without its argument`);
      continue;
    }
    if (came === undefined) throw mismatch(`${header} must repeat its argument`);
    const decoded = decodeMirrored(came);
    let same: boolean;
    if (typeof said === 'number') {
      tree ??= parseTree(argsText);
      const lexeme = find(tree, ...path);
      same = lexeme !== undefined && sameNumber(argsText.slice(lexeme.start, lexeme.end), decoded);
    } else {
      same = decoded === String(said);
    }
    if (!same) throw mismatch(`${header} must be equal to its argument`);
  }
}

/**
 * The headers that repeat these arguments, for a request that the gateway sends itself. Without `argsText`, an
 * integer beyond 2^53 is left out, because its digits are lost.
 */
export function mirrorParams(
  args: Json | undefined,
  params: readonly ParamHeader[],
  argsText?: string,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { header, path } of params) {
    const value = valueAt(args, path);
    if (value === undefined || value === null || typeof value === 'object') continue;
    const spelt = typeof value === 'number' ? decimal(value, path, argsText) : String(value);
    if (spelt !== undefined) headers[header] = encodeMirrored(spelt);
  }
  return headers;
}

function decimal(value: number, path: readonly string[], argsText: string | undefined): string | undefined {
  if (Number.isSafeInteger(value)) return String(value + 0);
  if (argsText === undefined) return Number.isInteger(value) || !Number.isFinite(value) ? undefined : String(value);
  const lexeme = find(parseTree(argsText), ...path);
  return lexeme && argsText.slice(lexeme.start, lexeme.end);
}

/** Only own members of objects count: an array's positions and the prototype's members are no arguments. */
function valueAt(args: Json | undefined, path: readonly string[]): Json | undefined {
  let at: Json | undefined = args;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

const mismatch = (detail: string): GatewayError => new GatewayError('header_mismatch', detail);
