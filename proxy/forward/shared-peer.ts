import type { Signal } from '../abort.ts';
import type { Frame } from '../types.ts';
import { idKey, resultFrame } from '../wire/frame.ts';
import { member } from '../wire/member.ts';
import { Inbox } from './inbox.ts';
import { cancellation, paramOf, type Post } from './letter.ts';
import { readdress, spanAt } from './spans.ts';
import { UpstreamFault, type UpstreamAnswer } from './upstream.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const ID = ['id'];
const TOKEN_IN = ['params', '_meta', 'progressToken'];
const TOKEN_OUT = ['params', 'progressToken'];

/** A request of somebody, by the number under which the peer knows it. */
interface Pending {
  /** The caller's own id and progress token, as they stood in the text. */
  readonly id: string;
  readonly token: string | undefined;
  readonly caller: string;
  readonly listens: boolean;
  readonly inbox: Inbox;
  taken: boolean;
  told: boolean;
}

/**
 * One channel to one peer on behalf of many callers. Every request goes under a number of its own, which is its progress token
 * too, and everything that comes back for it is given its caller's own id and token again, type and spelling included: what is
 * meant for one caller reaches no other, however alike their ids are (duties J-03, P-01, L-01, G-10).
 */
export class SharedPeer {
  readonly #post: Post;
  /** What belongs to no request: notifications and requests of the peer. */
  readonly #stray: (frame: Frame) => void;
  readonly #pending = new Map<string, Pending>();
  /** Numbers by caller and id. */
  readonly #numbers = new Map<string, string>();
  #next = 1;
  #fault: UpstreamFault | undefined;

  constructor(post: Post, stray: (frame: Frame) => void) {
    this.#post = post;
    this.#stray = stray;
  }

  /** Requests in flight. */
  get size(): number {
    return this.#pending.size;
  }

  /** Nothing more goes either way. */
  get over(): boolean {
    return this.#fault !== undefined;
  }

  /** `caller`: whose request it is, as far as ids may be repeated. */
  async request(frame: Frame, signal: Signal, caller: string): Promise<UpstreamAnswer> {
    if (this.#fault !== undefined) throw this.#fault;
    if (signal.aborted) throw new UpstreamFault('given up by the gateway', false);
    const number = String(this.#next++);
    const name = `${caller} ${idKey(frame.id!)}`;
    const inbox = new Inbox(signal, (answered) => {
      this.#pending.delete(number);
      if (this.#numbers.get(name) === number) this.#numbers.delete(name);
      if (!answered && pending.taken && !pending.told && this.#fault === undefined) this.say(cancellation(number));
    });
    const span = spanAt(frame.text, TOKEN_IN);
    const token = span === undefined ? undefined : frame.text.slice(span.start, span.end);
    const listens = frame.method === 'subscriptions/listen';
    const pending: Pending = { id: frame.id!, token, caller, listens, inbox, taken: false, told: false };
    this.#pending.set(number, pending);
    this.#numbers.set(name, number);
    const values: (readonly [readonly string[], string])[] = [[ID, number]];
    if (token !== undefined) values.push([TOKEN_IN, number]);
    this.#post({ frame: readdress(frame, values), signal }).then(
      () => (pending.taken = true),
      (fault: Error) => inbox.fail(fault),
    );
    const answer = await inbox.answer();
    if (answer === undefined) throw new UpstreamFault('the stream ended before anything was said', true);
    return answer;
  }

  /** Passes a notification on. */
  async notify(frame: Frame, signal: Signal): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    await this.#post({ frame, signal });
  }

  /** A caller's notifications/cancelled: told to the peer when it names a request of the same caller (duty C-02). */
  cancel(frame: Frame, caller: string): void {
    const number = this.#numbers.get(`${caller} ${idKey(paramOf(frame, 'requestId') ?? '')}`);
    const pending = number === undefined ? undefined : this.#pending.get(number);
    if (pending === undefined || pending.told || !pending.taken) return;
    pending.told = true;
    this.say(readdress(frame, [[['params', 'requestId'], number!]]));
  }

  /** What the gateway itself says. */
  say(frame: Frame): void {
    this.#post({ frame }).catch((fault: unknown) =>
      this.fail(fault instanceof UpstreamFault ? fault : new UpstreamFault(String(fault), true, fault)),
    );
  }

  /** A message of the peer. */
  receive(frame: Frame): void {
    if (frame.kind === 'response') this.#answer(frame);
    else if (!this.#told(frame)) this.#stray(frame);
  }

  #answer(frame: Frame): void {
    // An error without an id, an answer under an id that was never given or is answered: nobody's.
    const pending = frame.id === undefined ? undefined : this.#pending.get(frame.id);
    if (pending === undefined) return;
    const values: (readonly [readonly string[], string])[] = [[ID, pending.id]];
    if (pending.listens) values.push([['result', '_meta', SUBSCRIPTION], pending.id]);
    pending.inbox.push(readdress(frame, values));
  }

  /** Hands a notification to the request that it belongs to; false when it belongs to none. */
  #told(frame: Frame): boolean {
    if (frame.kind !== 'notification') return false;
    if (frame.method === 'notifications/progress') {
      const pending = this.#pending.get(paramOf(frame, 'progressToken') ?? '');
      // Progress that nobody asked for, or asks for any more, is nobody's.
      if (pending?.token !== undefined) pending.inbox.push(readdress(frame, [[TOKEN_OUT, pending.token]]));
      return true;
    }
    if (frame.method === 'notifications/cancelled') {
      const pending = this.#pending.get(paramOf(frame, 'requestId') ?? '');
      // On stdio a server ends a listening stream so; over HTTP it says it with the result (duties C-04, L-04).
      if (pending?.listens === true) pending.inbox.push(ended(pending.id));
      return true;
    }
    const meta = member(member(frame.value, 'params'), '_meta');
    const subscription = member(meta, SUBSCRIPTION);
    if (subscription === undefined) return false;
    const pending = this.#pending.get(JSON.stringify(subscription));
    if (pending?.listens === true) {
      pending.inbox.push(readdress(frame, [[['params', '_meta', SUBSCRIPTION], pending.id]]));
    }
    return true;
  }

  /** The channel is over: everything in flight fails. */
  fail(fault: UpstreamFault): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    for (const { inbox } of this.#pending.values()) inbox.fail(fault);
  }
}

const ended = (id: string): Frame =>
  resultFrame(id, `{"resultType":"complete","_meta":{${JSON.stringify(SUBSCRIPTION)}:${id}}}`);
