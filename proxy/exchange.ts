import { Abort, type Signal } from './abort.ts';
import type { Decision, Finding } from '../policies/types.ts';
import type { DecisionRecord, Entry, Outcome } from '../recorder/types.ts';
import { createHash } from 'node:crypto';
import { endRecording, endSession, type Ending } from './ending.ts';
import { GatewayError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import type { Asked } from './identify.ts';
import type { Ticket } from './limits/limits.ts';
import { newId } from './ids.ts';
import { idKey } from './wire/frame.ts';
import type { Recording } from './recordings.ts';
import type { Frame } from './types.ts';

export interface Closing {
  readonly outcome: Outcome;
  readonly isError: boolean;
  /** The upstream asks for input first (`input_required`): the call has not run yet. */
  readonly incomplete?: boolean;
  readonly code?: string;
  /** The final answer as the client gets it. */
  readonly frame?: Frame;
}

/** A review that this exchange executes: settled together with the exchange. */
export interface Claim {
  settle(closing: Closing): Promise<void>;
  /** The caller has the answer: what is kept for a repeat may go. */
  delivered(): Promise<void>;
}

/** One call and everything until its answer. Opened before anything leaves, closed exactly once before the answer does. */
export class Exchange {
  readonly id = newId('exc');
  asked: Asked;
  readonly decision: Decision;
  readonly gateway: Gateway;
  readonly session: string;
  readonly startedAt: number;
  /** Added to by the inspector as the answer passes. */
  readonly findings: Finding[] = [];
  /** Set while a review decides over this call. */
  review: string | undefined;
  heldMs = 0;
  upstreamMs = 0;
  bytesOut = 0;
  /** What upstream progress must add so that it exceeds the hold's own (progress must increase). */
  progressOffset = 0;
  /** True once an event stream was begun: status and mode are final. */
  streaming = false;
  /** True once the message went to the upstream. */
  sent = false;
  claim: Claim | undefined;
  /** What was counted of this call under limits. */
  ticket: Ticket | undefined;
  /** Requests of the server that this call waits for the client to answer. */
  questions = 0;
  /** What is over with this exchange: the session it belongs to, or a recording that was opened for it alone. */
  ends: Ending | 'done' | undefined;
  #closed = false;
  readonly #opening: Entry | undefined;
  readonly #abort = new Abort();
  #cancelled = false;
  #clean: Frame | undefined;

  constructor(asked: Asked, decision: Decision, recording: Recording, gateway: Gateway) {
    this.asked = asked;
    this.decision = decision;
    this.gateway = gateway;
    this.session = recording.id;
    this.#opening = recording.opened;
    if (recording.single === true) this.ends = 'done';
    this.startedAt = gateway.now();
    const { gone } = asked.arrival;
    if (gone.aborted) this.#abort.abort();
    else gone.on(this.#onGone);
    const key = this.#flightKey();
    if (key !== undefined && asked.session?.flights.has(key) === true) throw new GatewayError('duplicate_request');
    if (key !== undefined) {
      asked.session?.flights.set(key, {
        cancel: () => {
          this.#cancelled = true;
          this.#abort.abort();
        },
        exchange: this,
      });
    }
  }

  /** Under which its session knows it while it lasts: the request's id, or, for a GET stream, a name that no id can be. */
  #flightKey(): string | undefined {
    const { frame, arrival } = this.asked;
    if (frame?.kind === 'request') return idKey(frame.id!);
    return arrival.httpMethod === 'GET' ? this.id : undefined;
  }

  /** Modern: closing the stream is the cancel. Legacy: only a call that was not sent yet, one to the gateway itself, or a listening stream ends with it. */
  readonly #onGone = (): void => {
    const { era, frame, connection } = this.asked;
    const waiting = !this.sent || frame === undefined || connection.transport === 'gateway';
    if (era === 'modern' || waiting) this.#abort.abort();
  };

  /** A stream for listening outlives the rules it began with: from now on those of now judge it. True if its caller may see other things. */
  adoptRules(): boolean {
    const { rules: before, principal, call } = this.asked;
    const settings = this.gateway.settings();
    const rules = settings.rulebook.connection(call.connection);
    if (rules === undefined) return false;
    this.asked = { ...this.asked, settings, rulebook: settings.rulebook, rules };
    return before.filters(principal) || rules.filters(principal) || before.holds !== rules.holds;
  }

  /** Aborts when the call must be given up. */
  get signal(): Signal {
    return this.#abort;
  }

  /** Ends the call at its upstream, because the time for it is over. */
  giveUp(): void {
    this.#abort.abort();
  }

  /** The client said notifications/cancelled: it wants no answer. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The message about to be recorded holds nothing that the record must not: it need not be read again. */
  noteClean(frame: Frame): void {
    this.#clean = frame;
  }

  /** The form of a message that may be stored. */
  #body(frame: Frame | undefined): Buffer | undefined {
    if (frame === undefined) return undefined;
    if (frame === this.#clean) return frame.bytes;
    const text = this.asked.rules.redact(this.asked.connection.scrub(frame.text));
    return text === frame.text ? frame.bytes : Buffer.from(text);
  }

  #name(name: string): string {
    // Letters alone spell nothing that is masked.
    if (/^[a-z_/]{0,64}$/.test(name)) return name;
    const text = JSON.stringify(name.slice(0, 1024));
    const redacted = this.asked.rules.redact(text);
    return redacted === text ? name.slice(0, 1024) : (JSON.parse(redacted) as string);
  }

  /** A denial's reason may name what was asked for: it is stored as names are. */
  #decided(): DecisionRecord {
    const { decision } = this;
    const { action, findings } = decision;
    if (decision.action === 'deny') {
      const { rule, reason, code } = decision.denial;
      return { action, rules: [rule], reason: this.#name(reason), code, findings };
    }
    return { action, rules: decision.action === 'hold' ? decision.requirements.map((r) => r.rule) : [], findings };
  }

  async open(): Promise<this> {
    const { call, rulebook, frame } = this.asked;
    const { recorder } = this.gateway;
    try {
      // What cannot be made fit for the record is not recorded, and so not made.
      const body = this.#body(frame);
      const entry: Entry = {
        type: 'exchange.opened',
        at: this.startedAt,
        id: this.id,
        session: this.session,
        connection: call.connection,
        kind: call.kind,
        method: call.method,
        name: this.#name(call.name),
        decision: this.#decided(),
        rulebook: rulebook.revision,
      };
      const session = this.#opening === undefined ? [] : [recorder.append(this.#opening)];
      // One depth of waiting for all calls: those that came in one write leave in their order.
      await Promise.all([...session, recorder.append(entry, body)]);
    } catch (cause) {
      // Nothing was recorded of this call, so there is nothing to close.
      this.#closed = true;
      this.#release();
      if (this.#opening !== undefined) this.gateway.recordings.forget(this.session);
      const { session } = this.asked;
      if (this.#opening !== undefined && session !== undefined) session.recording = undefined;
      throw new GatewayError('record_unavailable', '', { cause });
    }
    this.gateway.metrics.opened(call.connection, this.decision.action);
    return this;
  }

  /** Writes down messages that pass together before the final answer, each as `recordable` made it. */
  async messages(bodies: readonly Buffer[], direction: 'to_client' | 'to_upstream'): Promise<void> {
    if (bodies.length === 0) return;
    const entry: Entry = {
      type: 'exchange.message',
      at: this.gateway.now(),
      id: this.id,
      direction,
      ...(bodies.length === 1 ? {} : { parts: bodies.map(({ length }) => length) }),
    };
    try {
      await this.gateway.recorder.append(entry, bodies.length === 1 ? bodies[0] : Buffer.concat(bodies));
    } catch (cause) {
      throw new GatewayError('record_lost', '', { cause });
    }
  }

  /** The form of a message that passes which may be stored. */
  recordable(frame: Frame): Buffer {
    this.bytesOut += frame.bytes.length;
    return this.#body(frame)!;
  }

  async close(closing: Closing): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    const now = this.gateway.now();
    const size = closing.frame?.bytes.length ?? 0;
    this.bytesOut += size;
    // What the gateway itself says is no answer.
    this.ticket?.release(closing.code === undefined ? this.bytesOut : this.bytesOut - size);
    const totalMs = now - this.startedAt;
    if (this.sent) this.gateway.catalogs.note(this.asked.connection.name, closing.outcome);
    this.gateway.metrics.closed(this.asked.call.connection, closing.outcome, totalMs, this.upstreamMs, this.findings);
    const entry: Entry = {
      type: 'exchange.closed',
      at: now,
      id: this.id,
      outcome: closing.outcome,
      isError: closing.isError,
      ...(closing.code === undefined ? {} : { code: closing.code }),
      findings: this.findings,
      heldMs: this.heldMs,
      upstreamMs: this.upstreamMs,
      totalMs,
      bytesIn: this.asked.frame?.bytes.length ?? 0,
      bytesOut: this.bytesOut,
    };
    try {
      await this.gateway.recorder.append(entry, this.#answer(closing.frame));
      // After the evidence: a crash between the two settles the review as unknown, never as runnable.
      await this.claim?.settle(closing);
      await this.#end();
    } catch (cause) {
      throw new GatewayError('record_lost', '', { cause });
    }
  }

  async #end(): Promise<void> {
    const { ends } = this;
    if (ends === undefined) return;
    const { session } = this.asked;
    if (ends === 'done' || session === undefined) await endRecording(this.session, ends, this.gateway);
    else await endSession(session, ends, this.gateway);
  }

  #release(): void {
    const { arrival, session } = this.asked;
    arrival.gone.off(this.#onGone);
    const key = this.#flightKey();
    if (key !== undefined) session?.flights.delete(key);
  }

  /** Of what the gateway says of itself only size and digest are kept. */
  #answer(frame: Frame | undefined): Buffer | undefined {
    if (frame === undefined || this.asked.connection.transport !== 'gateway') return this.#body(frame);
    const sha256 = createHash('sha256').update(frame.bytes).digest('hex');
    return Buffer.from(JSON.stringify({ bytes: frame.bytes.length, sha256 }));
  }
}
