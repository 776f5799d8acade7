import { Abort, type Signal } from '../../abort.ts';
import { splice } from '../../../policies/json/splice.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { Frame } from '../../types.ts';
import { objectMember, withText, type FrameLimits } from '../../wire/frame.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { UpstreamFault, type Outgoing, type UpstreamAnswer } from '../upstream.ts';
import { eventsOf, jsonAnswer, speaksByStatus } from './modern-answer.ts';
import type { Askable } from './modern-in-flight.ts';
import { Incoming } from './modern-incoming.ts';
import { refusalOf } from './modern-inputs.ts';
import { isWanted } from './modern-logs.ts';
import { legacyFrame, type ModernRequest } from './modern-request.ts';
import { INTERNAL, modernAnswer, URL_ELICITATION } from './modern-result.ts';
import { patient } from './modern-pool.ts';
import type { FaceSession } from './modern-session.ts';
import { framesOf, soon } from './modern-stream.ts';

export interface CallOptions {
  readonly session: FaceSession;
  readonly limits: FrameLimits;
  /** The transport does not tell whose a question is. */
  readonly channel: boolean;
  /** Makes the answer that asks the client for these; the call waits from then on. */
  readonly suspend: (call: Call, questions: readonly Frame[]) => Frame;
  /** What to make of an error -32042. */
  readonly openUrls: (error: Frame, request: ModernRequest) => { frame: Frame; status: number };
  /** The server may have lost the session without saying so as it should. */
  readonly distrust: () => void;
  /** A message about the session, not about this call. */
  readonly publish: (notification: Frame) => void;
  /** The call is over and needs its session no more. */
  readonly over: () => void;
}

/** The client of a call that takes longer learns that it runs, and is kept warm (duty H-10). */
const SOON_MS = 1_000;
/** Most questions of one round. */
const MOST_QUESTIONS = 32;
const TOO_MANY = { code: INTERNAL, message: 'too many questions at once' };
const ANSWERED = { code: INTERNAL, message: 'the call has its answer already' };

interface Batch {
  readonly out: readonly Frame[];
  /** The last of `out` answers the client's request: the call is over, or suspended. */
  readonly done: boolean;
  readonly status: number;
}

/** One call at the legacy server. It outlives the request that began it when the server asks something of the client meanwhile. */
export class Call implements Askable {
  readonly #options: CallOptions;
  readonly #id: number;
  readonly #abort = new Abort();
  #request: ModernRequest;
  #signal: Signal;
  readonly #incoming = new Incoming({
    onOverflow: () => this.giveUp(),
    // A channel guesses: it may be meant for a call whose client waits, which this one's would keep waiting.
    elsewhere: (question) => this.#options.channel && this.session.calls.put(question),
  });
  /** Questions from elsewhere that have no answer yet. */
  readonly #adopted = new Set<Frame>();
  /** Its client is away, and knows what is asked. */
  suspended = false;
  #mode: UpstreamAnswer['mode'] = 'empty';
  #over = false;
  /** How many questions it has asked the client: their keys are never used again. */
  asked = 0;
  readonly #giveUp = (): void => this.giveUp();

  constructor(request: ModernRequest, outgoing: Outgoing, options: CallOptions) {
    this.#options = options;
    this.#request = request;
    this.#signal = outgoing.signal;
    this.#id = options.session.nextId();
  }

  get session(): FaceSession {
    return this.#options.session;
  }

  /** The request that waits for the answer now: the first one, or the last retry. */
  get request(): ModernRequest {
    return this.#request;
  }

  /** Sends the request; resolves with the answer as the client reads it, or with nothing: the session is lost, and nothing ran. */
  async begin(outgoing: Outgoing): Promise<UpstreamAnswer | undefined> {
    const { session } = this;
    const { level } = this.#request;
    if (outgoing.signal.aborted) throw this.#end(new UpstreamFault('given up by the gateway', false));
    let sent = false;
    try {
      if (!(await patient(session.logs.want(this.#id, level), outgoing.signal))) return this.#end(undefined);
      if (outgoing.signal.aborted) throw new UpstreamFault('given up by the gateway', false);
      outgoing.signal.on(this.#giveUp);
      sent = true;
      if (this.#request.asks) session.calls.add(this);
      const sending = session.send(legacyFrame(this.#request, this.#id), this.#abort, outgoing);
      const answer = await this.#incoming.unlessPut(sending);
      if (answer === undefined) {
        // Its server asks before it says anything on the stream of the call, which may be an answer that is yet to come.
        this.#mode = 'json';
        this.#incoming.from(this.#late(sending));
        return await this.#answer();
      }
      if (session.isLost(answer)) return this.#end(undefined);
      if (answer.status === 400 && session.named && answer.body?.includes('ession') === true) this.#options.distrust();
      if (speaksByStatus(answer)) return this.#end({ status: answer.status, mode: 'empty' });
      this.#mode = answer.mode;
      this.#incoming.from(this.#framesOf(answer));
    } catch (fault) {
      this.#end(undefined);
      throw sent || !(fault instanceof UpstreamFault) ? fault : new UpstreamFault(fault.message, false, fault);
    }
    return this.#answer();
  }

  /** The client is back: posts its answers to the server and goes on reading; the rest is the answer to this request. */
  async goOn(request: ModernRequest, outgoing: Outgoing, answers: readonly Frame[]): Promise<UpstreamAnswer> {
    this.#request = request;
    this.#signal = outgoing.signal;
    this.suspended = false;
    for (const question of this.#adopted)
      if (answers.some(({ id }) => id === question.id)) this.#adopted.delete(question);
    if (this.#over) throw new UpstreamFault('the call has ended meanwhile', true);
    if (outgoing.signal.aborted) this.giveUp();
    else outgoing.signal.on(this.#giveUp);
    try {
      this.session.logs.release(this.#id);
      await patient(this.session.logs.want(this.#id, request.level), outgoing.signal);
      for (const answer of answers) await this.session.tell(answer, this.#abort);
    } catch (fault) {
      this.giveUp();
      throw fault;
    }
    this.#incoming.readAhead(false);
    return this.#answer();
  }

  /** A question that did not come on the call's own stream: as if it had. */
  put(question: Frame): boolean {
    if (this.#over) return false;
    this.#adopted.add(question);
    const taken = this.#incoming.put(question);
    if (!taken) this.#adopted.delete(question);
    return taken;
  }

  withdraw(id: string): void {
    this.#incoming.withdraw(id);
    for (const question of this.#adopted) if (question.id === id) this.#adopted.delete(question);
  }

  /** Stops waiting for the server, which is told so. */
  giveUp(): void {
    if (this.#over) return;
    this.session.cancel(this.#id);
    this.#end(undefined);
    this.#abort.abort();
  }

  #end<T extends UpstreamAnswer | UpstreamFault | undefined>(last: T): T {
    if (this.#over) return last;
    this.#over = true;
    this.#signal.off(this.#giveUp);
    this.session.logs.release(this.#id);
    this.session.calls.delete(this);
    this.#incoming.close();
    // It did not wait for them; another call may.
    for (const question of this.#adopted) void this.session.question(question, this.session.ended);
    this.#adopted.clear();
    this.#options.over();
    return last;
  }

  #framesOf(answer: UpstreamAnswer): AsyncGenerator<readonly Frame[]> {
    const { session, limits } = this.#options;
    return framesOf(answer, limits, this.#abort, async (last) => {
      // Nobody asks for more while the client is away.
      await this.#incoming.wanted();
      return session.resume(last, this.#abort);
    });
  }

  /** The same of an answer that comes after its server asked something. */
  async *#late(sending: Promise<UpstreamAnswer>): AsyncGenerator<readonly Frame[]> {
    const answer = await sending;
    if (this.session.isLost(answer) || speaksByStatus(answer))
      throw new UpstreamFault(`the server asked something and then refused the call (${answer.status})`, true);
    yield* this.#framesOf(answer);
  }

  async #answer(): Promise<UpstreamAnswer> {
    // What a stream begins with tells its status, if it comes soon; one event without a message, of a stream that can be resumed,
    // may come before.
    let first = this.#pull();
    let batch = await soon(first, SOON_MS);
    if (batch?.out.length === 0 && !batch.done) batch = await soon((first = this.#pull()), SOON_MS);
    if (batch?.done === true && batch.out.length === 1 && (this.#mode === 'json' || batch.status !== 200))
      return jsonAnswer(batch.out[0]!, batch.status);
    const events = Object.assign(this.#events(first), { ready: batch !== undefined });
    return { status: 200, mode: 'sse', events };
  }

  async *#events(first: Promise<Batch>): AsyncGenerator<readonly SseEvent[]> {
    let done = false;
    try {
      for (let next = first; ; next = this.#pull()) {
        const batch = await next;
        done = batch.done;
        yield eventsOf(batch.out);
        if (done) return;
      }
    } finally {
      // Whoever read it left before the end.
      if (!done) this.giveUp();
    }
  }

  async #pull(): Promise<Batch> {
    try {
      const frames = await this.#incoming.next();
      if (this.#over) throw new UpstreamFault('given up by the gateway', true);
      return await this.#sort(frames);
    } catch (fault) {
      if (!(fault instanceof UpstreamFault)) this.giveUp();
      this.#end(undefined);
      throw fault;
    }
  }

  async #sort(frames: readonly Frame[]): Promise<Batch> {
    const out: Frame[] = [];
    const questions: Frame[] = [];
    for (const frame of frames) {
      if (frame.kind === 'request') {
        const refusal = refusalOf(frame, this.#request.capabilities);
        // A transport that does not say which call a question is of guesses the newest, which may be one that cannot ask.
        if (!this.#request.asks) await this.session.question(frame, this.#abort);
        else if (frame.method === 'ping' || refusal !== undefined) await this.#decline(frame, refusal);
        else if (questions.length === MOST_QUESTIONS) await this.#decline(frame, TOO_MANY);
        else questions.push(frame);
      } else if (frame.kind === 'notification') {
        const passed = this.#notification(frame, questions);
        if (passed !== undefined) out.push(passed);
      } else if (frame.id === undefined || frame.id === String(this.#id)) {
        const { frame: final, status } = this.#final(frame);
        out.push(final);
        // The server may keep its stream open behind the answer.
        this.#incoming.close();
        // It did not wait for what it asked.
        for (const question of questions) if (!this.#adopted.has(question)) void this.#decline(question, ANSWERED);
        this.#end(undefined);
        return { out, done: true, status };
      }
    }
    if (questions.length === 0) return { out, done: false, status: 200 };
    this.#signal.off(this.#giveUp);
    out.push(this.#options.suspend(this, questions));
    this.suspended = true;
    this.#incoming.readAhead(true);
    return { out, done: true, status: 200 };
  }

  #final(frame: Frame): { frame: Frame; status: number } {
    const code = objectMember(frame.value, 'error')?.['code'];
    if (code === URL_ELICITATION && this.#request.asks) return this.#options.openUrls(frame, this.#request);
    return modernAnswer(frame, this.#request);
  }

  #notification(frame: Frame, questions: Frame[]): Frame | undefined {
    const params = objectMember(frame.value, 'params');
    switch (frame.method) {
      case 'notifications/progress': {
        const { token } = this.#request;
        const said = find(parseTree(frame.text), 'params', 'progressToken');
        if (token === undefined || said === undefined || String(params?.['progressToken']) !== String(this.#id))
          return undefined;
        return withText(frame, splice(frame.text, [{ start: said.start, end: said.end, text: token }]));
      }
      case 'notifications/message':
        return isWanted(params?.['level'], this.#request.level) ? frame : undefined;
      case 'notifications/cancelled': {
        const at = questions.findIndex(({ id }) => JSON.stringify(params?.['requestId']) === id);
        if (at >= 0) for (const withdrawn of questions.splice(at, 1)) this.#adopted.delete(withdrawn);
        return undefined;
      }
      default:
        this.#options.publish(frame);
        return undefined;
    }
  }

  async #decline(question: Frame, refusal?: { code: number; message: string }): Promise<void> {
    this.#adopted.delete(question);
    await this.session.decline(question, this.#abort, refusal);
  }
}
