import { randomUUID } from 'node:crypto';
import { Abort } from '../../abort.ts';
import { GatewayError } from '../../errors.ts';
import { offsetProgress } from '../../progress.ts';
import type { Frame } from '../../types.ts';
import { idKey, objectMember } from '../../wire/frame.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { UpstreamFault, type Outgoing, type Upstream, type UpstreamAnswer } from '../upstream.ts';
import { messageEvent } from './legacy-event.ts';
import { readInputRequired, type InputRequired } from './legacy-input.ts';
import { answers, isRefusal, readMessage, sendLeg, withoutMessage, type Leg } from './legacy-leg.ts';
import { askClient } from './legacy-questions.ts';
import { envelopeOf, repeated, toModern, type Envelope } from './legacy-request.ts';
import { failed, toLegacyError, toLegacyResult } from './legacy-result.ts';
import type { LegacySession } from './legacy-session.ts';
import type { FaceOptions } from './options.ts';

type Events = NonNullable<UpstreamAnswer['events']>;

/** Rounds of questions that one call may ask. */
const MOST_ROUNDS = 8;
/** Requests whose server may answer with questions first (M-01). */
const MAY_ASK: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
/** Between rounds in which the server asks nothing but to be asked again, each time twice as long. */
const PAUSE_MS = 250;

/** What the server's last message means: the end of the call, as text for the client, or questions. */
type Said = { readonly final: string } | { readonly asks: InputRequired };

/** One request of a client with a session, until its one answer. */
export class LegacyCall {
  readonly #asked: Frame;
  readonly #outgoing: Outgoing;
  readonly #session: LegacySession;
  readonly #inner: Upstream;
  readonly #options: FaceOptions;
  readonly #envelope: Envelope;
  readonly #logs: boolean;
  readonly #abort = new Abort();
  readonly #giveUp = (): void => this.#abort.abort();
  readonly #key: string;
  /** The most progress that the client heard of, and that of the rounds before this one. */
  #progress = 0;
  #before = 0;

  constructor(asked: Frame, outgoing: Outgoing, session: LegacySession, inner: Upstream, options: FaceOptions) {
    this.#asked = asked;
    this.#outgoing = outgoing;
    this.#session = session;
    this.#inner = inner;
    this.#options = options;
    this.#envelope = envelopeOf(session.facts, session.logLevel);
    this.#logs = session.logLevel !== undefined;
    this.#key = idKey(asked.id!);
  }

  /** Sends the request; the answer is a stream when the server's is one, or when it asks the client something first. */
  async run(): Promise<UpstreamAnswer> {
    this.#enter();
    let streams = false;
    try {
      const frame = toModern(this.#asked, this.#envelope);
      const answer = await sendLeg(this.#leg(frame, false), this.#inner, this.#options);
      if (answer.mode === 'sse') {
        streams = true;
        return { status: 200, mode: 'sse', events: this.#rounds(frame, answer, undefined) };
      }
      const message = readMessage(answer.body, this.#options.limits);
      if (message === undefined || isRefusal(answer.status)) return withoutMessage(answer);
      const said = this.#read(message, frame);
      if ('final' in said) return { status: 200, mode: 'json', body: Buffer.from(said.final) };
      streams = true;
      return { status: 200, mode: 'sse', events: this.#rounds(frame, answer, said) };
    } finally {
      if (!streams) this.#leave();
    }
  }

  #enter(): void {
    this.#session.calls.set(this.#key, this.#giveUp);
    const { signal } = this.#outgoing;
    if (signal.aborted) this.#abort.abort();
    else signal.on(this.#giveUp);
  }

  #leave(): void {
    this.#outgoing.signal.off(this.#giveUp);
    if (this.#session.calls.get(this.#key) === this.#giveUp) this.#session.calls.delete(this.#key);
  }

  #leg(frame: Frame, begun: boolean): Leg {
    const { headers, caller } = this.#outgoing;
    return { frame, headers, signal: this.#abort, caller, begun };
  }

  #read(message: Frame, frame: Frame): Said {
    if (!answers(message, frame)) throw new GatewayError('upstream_invalid', 'an answer to another request');
    const result = objectMember(message.value, 'result');
    if (result === undefined) return { final: toLegacyError(message, this.#asked) };
    const type = Object.hasOwn(result, 'resultType') ? result['resultType'] : 'complete';
    if (type === 'complete') return { final: toLegacyResult(message, this.#asked) };
    if (type === 'task') {
      const sentence = 'the server began a task, which clients of this revision cannot follow; it may be running';
      return { final: failed(this.#asked, sentence) };
    }
    const asks = type === 'input_required' && MAY_ASK.has(this.#asked.method!) ? readInputRequired(message) : undefined;
    if (asks === undefined)
      throw new GatewayError('upstream_invalid', 'a result of a type that was not to be expected');
    return { asks };
  }

  /** All that the client hears of the call, over as many rounds as the server asks for. */
  async *#rounds(first: Frame, opening: UpstreamAnswer, read: Said | undefined): AsyncGenerator<readonly SseEvent[]> {
    try {
      let frame = first;
      let answer = opening;
      let said = read;
      for (let round = 1; ; round += 1) {
        said ??= yield* this.#hear(frame, answer);
        // The stream ended without an answer: the pipeline says that the call was lost.
        if (said === undefined) return;
        if ('final' in said) {
          yield [messageEvent(said.final)];
          return;
        }
        const { questions, state } = said.asks;
        if (round > MOST_ROUNDS) {
          const sentence = `the server asked for more than ${MOST_ROUNDS} rounds of input; the call was given up`;
          yield [messageEvent(failed(this.#asked, sentence))];
          return;
        }
        if (questions.length === 0) await this.#pause(PAUSE_MS * 2 ** (round - 1));
        const given = yield* askClient(this.#session, questions, this.#abort, this.#options.now);
        if ('refusal' in given) {
          yield [messageEvent(failed(this.#asked, given.refusal))];
          return;
        }
        const id = JSON.stringify(`portcullis:${randomUUID()}`);
        this.#before = this.#progress;
        frame = repeated(this.#asked, id, this.#envelope, { answers: given.answers, state });
        answer = await sendLeg(this.#leg(frame, true), this.#inner, this.#options);
        said = answer.mode === 'sse' ? undefined : this.#readWhole(answer, frame);
      }
    } finally {
      this.#leave();
    }
  }

  /** The answer to a later round, when it is no stream: the client's stream has begun, so what fails is said there. */
  #readWhole(answer: UpstreamAnswer, frame: Frame): Said {
    const message = isRefusal(answer.status) ? undefined : readMessage(answer.body, this.#options.limits);
    if (message !== undefined) return this.#read(message, frame);
    if (isRefusal(answer.status)) throw new GatewayError('upstream_refused', `status ${answer.status}`);
    throw new GatewayError('upstream_invalid', `status ${answer.status} without a message`);
  }

  /** Passes on what the server tells before its answer, which is returned. */
  async *#hear(frame: Frame, answer: UpstreamAnswer): AsyncGenerator<readonly SseEvent[], Said | undefined> {
    for await (const batch of answer.events as Events) {
      const passed: SseEvent[] = [];
      for (const event of batch) {
        if (event.data === undefined || event.data === '') {
          // Cursors and retry times of a server that cannot resume would promise what nobody keeps.
          if (event.id === undefined && event.retry === undefined) passed.push(event);
          continue;
        }
        const message = readMessage(event.data, this.#options.limits);
        if (message?.kind === 'response') {
          if (passed.length > 0) yield passed;
          return this.#read(message, frame);
        }
        if (message === undefined)
          throw new GatewayError('upstream_invalid', 'an event without a message that can be read');
        if (this.#passes(message)) passed.push(this.#restated(message, event));
      }
      yield passed;
    }
    if (this.#abort.aborted) throw new UpstreamFault('given up by the gateway', true);
    return undefined;
  }

  /** Progress goes on where the last round stopped: to the client it is one call (duty P-01). */
  #restated(message: Frame, event: SseEvent): SseEvent {
    const { text } = offsetProgress(message, this.#before);
    const progress =
      message.method === 'notifications/progress' ? objectMember(message.value, 'params')?.['progress'] : undefined;
    if (typeof progress === 'number') this.#progress = Math.max(this.#progress, this.#before + progress);
    return event.id === undefined && text === message.text ? event : messageEvent(text);
  }

  /**
   * A server of 2026-07-28 asks nothing on a stream (E-05), cancels nothing there, and logs only when it was told to: the rest would
   * be believed by clients to which such messages mean something.
   */
  #passes(message: Frame): boolean {
    if (message.kind !== 'notification') return false;
    if (message.method === 'notifications/message') return this.#logs;
    return (
      message.method !== 'notifications/cancelled' && message.method !== 'notifications/subscriptions/acknowledged'
    );
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let wake: (() => void) | undefined;
    const onAbort = (): void => wake?.();
    this.#abort.on(onAbort);
    await new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, this.#abort.aborted ? 0 : ms);
    });
    clearTimeout(timer);
    this.#abort.off(onAbort);
    if (this.#abort.aborted) throw new UpstreamFault('given up by the gateway', true);
  }
}
