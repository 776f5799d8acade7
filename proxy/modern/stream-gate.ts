import { find, parseTree } from '../../policies/json/tree.ts';
import type { Node } from '../../policies/json/tree.ts';
import type { Era, Frame } from '../types.ts';
import { sameNumber } from '../wire/decimal.ts';
import { idKey, objectMember } from '../wire/frame.ts';
import { stringAt } from './result.ts';

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Judges, in their order, the messages that an upstream sends on the stream of one request, other than its answer. */
export class StreamGate {
  readonly #era: Era;
  /** The JSON text of the request's progress token. */
  readonly #token: string | undefined;
  /** The token itself, unless it is a number whose digits could be lost. */
  readonly #plainToken: unknown;
  readonly #level: number;
  #progress: string | undefined;

  constructor(request: Frame, era: Era) {
    const meta = find(parseTree(request.text), 'params', '_meta');
    this.#era = era;
    this.#token = tokenText(request.text, find(meta, 'progressToken'));
    const plain = this.#token === undefined ? undefined : (JSON.parse(this.#token) as unknown);
    if (typeof plain === 'string' || Number.isSafeInteger(plain)) this.#plainToken = plain;
    this.#level = LEVELS.indexOf(stringAt(request.text, meta, 'io.modelcontextprotocol/logLevel') ?? '');
  }

  /**
   * What is wrong with the next message; undefined when it may be delivered. On a modern stream only progress of this
   * request (P-01) and the log messages that it asked for (LOG) have a place (E-05). On a legacy stream only progress is
   * judged, and only when the request has a token.
   */
  fault(frame: Frame): string | undefined {
    if (frame.kind === 'response') return undefined;
    if (this.#era === 'legacy')
      return frame.method === 'notifications/progress' && this.#token !== undefined
        ? this.#faultOfProgress(frame)
        : undefined;
    if (frame.kind === 'request') return 'a request came on the stream of a request';
    switch (frame.method) {
      case 'notifications/progress':
        return this.#faultOfProgress(frame);
      case 'notifications/message':
        return this.#faultOfLog(frame);
      default:
        return `${frame.method} has no place on the stream of a request`;
    }
  }

  /** Most progress is told in plain numbers and compared as such; where digits may be lost, the text decides. */
  #faultOfProgress(frame: Frame): string | undefined {
    const params = objectMember(frame.value, 'params') ?? {};
    const progress = Object.hasOwn(params, 'progress') ? params['progress'] : undefined;
    const token = Object.hasOwn(params, 'progressToken') ? params['progressToken'] : undefined;
    const isPlain = typeof token === 'string' || Number.isSafeInteger(token);
    const last = this.#progress === undefined ? Number.NEGATIVE_INFINITY : Number(this.#progress);
    if (isPlain && token === this.#plainToken && typeof progress === 'number' && progress > last) {
      this.#progress = String(progress);
      return undefined;
    }
    return this.#faultOfDigits(frame);
  }

  #faultOfDigits(frame: Frame): string | undefined {
    const params = find(parseTree(frame.text), 'params');
    const token = tokenText(frame.text, find(params, 'progressToken'));
    if (token === undefined || this.#token === undefined || !sameToken(token, this.#token))
      return 'progress of another request';
    const node = find(params, 'progress');
    const progress = node?.type === 'scalar' ? frame.text.slice(node.start, node.end) : '';
    if (!/^[-0-9]/.test(progress)) return 'progress is not a number';
    const last = this.#progress;
    if (last !== undefined && (Number(progress) < Number(last) || sameNumber(progress, last)))
      return 'progress does not increase';
    this.#progress = progress;
    return undefined;
  }

  #faultOfLog(frame: Frame): string | undefined {
    if (this.#level < 0) return 'a log message that the request did not ask for';
    const level = LEVELS.indexOf(stringAt(frame.text, find(parseTree(frame.text), 'params'), 'level') ?? '');
    return level < this.#level ? 'a log message below the level that the request asked for' : undefined;
  }
}

/** A token as it is written; undefined when it is neither a string nor a number. */
function tokenText(text: string, node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  const token = text.slice(node.start, node.end);
  return /^["\-0-9]/.test(token) ? token : undefined;
}

/** Tokens are compared with their JSON type, but not by how a string is escaped or a number is spelt. */
const sameToken = (a: string, b: string): boolean =>
  a.startsWith('"') ? b.startsWith('"') && idKey(a) === idKey(b) : sameNumber(a, b);
