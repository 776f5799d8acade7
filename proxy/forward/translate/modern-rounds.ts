import type { Frame } from '../../types.ts';
import { errorFrame, resultFrame } from '../../wire/frame.ts';
import type { Outgoing, UpstreamAnswer } from '../upstream.ts';
import { errorAnswer, jsonAnswer } from './modern-answer.ts';
import type { Call } from './modern-call.ts';
import { inputOf, inputRequired, inputResponses, takesUrls, urlInputs, type Input } from './modern-inputs.ts';
import { ownerOf } from './modern-pool.ts';
import { digestOf, type ModernRequest } from './modern-request.ts';
import { INTERNAL, INVALID_PARAMS } from './modern-result.ts';
import { SuspendedCalls, type Waiting } from './modern-suspended.ts';

const MISSING_CAPABILITY = -32021;

/** What a client was asked, and what waits for its answers: a call, or, without one, the permission to begin it anew. */
interface Round extends Waiting {
  readonly call: Call | undefined;
  readonly inputs: ReadonlyMap<string, Input>;
  /** The server's requests by the same keys. */
  readonly questions: ReadonlyMap<string, Frame>;
  /** Answers as JSON texts. */
  readonly answers: Map<string, string>;
}

/** Calls that wait for input, in the modern manner: the client is told what is needed, and comes back with it. */
export class Rounds {
  readonly #suspended: SuspendedCalls<Round>;

  constructor(now: () => number) {
    this.#suspended = new SuspendedCalls(now);
  }

  get size(): number {
    return this.#suspended.size;
  }

  /** Lets a call wait for these questions of its server; the answer that puts them to the client. */
  suspend(call: Call, questions: readonly Frame[], owner: string): Frame {
    const inputs = new Map<string, Input>();
    const byKey = new Map<string, Frame>();
    for (const question of questions) {
      const key = `input-${(call.asked += 1)}`;
      inputs.set(key, inputOf(question));
      byKey.set(key, question);
    }
    const digest = digestOf(call.request);
    const expire = (): void => call.giveUp();
    return this.#ask({ owner, digest, call, inputs, questions: byKey, answers: new Map(), expire }, call.request);
  }

  /** An error -32042 says which URLs the client must open before it calls again; the modern wire asks for that as for any input. */
  openUrls(error: Frame, request: ModernRequest, owner: string): { frame: Frame; status: number } {
    const list = urlInputs(error);
    const { message } = error.value['error'] as { message: string };
    if (list.length === 0) return { frame: errorFrame(request.id, { code: INTERNAL, message }), status: 200 };
    if (!takesUrls(request.capabilities)) {
      const data = { requiredCapabilities: { elicitation: { url: {} } } };
      return { frame: errorFrame(request.id, { code: MISSING_CAPABILITY, message, data }), status: 400 };
    }
    const inputs = new Map(list.map((input, at) => [`input-${at + 1}`, input]));
    const round: Round = {
      owner,
      digest: digestOf(request),
      call: undefined,
      inputs,
      questions: new Map(),
      answers: new Map(),
      expire: () => undefined,
    };
    return { frame: this.#ask(round, request), status: 200 };
  }

  /** The answer to a retry; undefined when the call may now begin anew. */
  async retry(request: ModernRequest, outgoing: Outgoing): Promise<UpstreamAnswer | undefined> {
    const state = request.params['requestState'];
    const answers = inputResponses(request.frame);
    if (typeof state !== 'string' || answers === undefined)
      return errorAnswer(request.id, INVALID_PARAMS, 'requestState must be a string, and inputResponses hold objects');
    const round = this.#suspended.take(state, ownerOf(outgoing.caller.principal), digestOf(request));
    if (round === undefined)
      return errorAnswer(request.id, INVALID_PARAMS, 'requestState names no call of yours that waits for input');
    for (const key of round.inputs.keys()) if (answers.has(key)) round.answers.set(key, answers.get(key)!);
    const missing = [...round.inputs].filter(([key]) => !round.answers.has(key));
    if (missing.length > 0) return jsonAnswer(this.#ask({ ...round, inputs: new Map(missing) }, request));
    if (round.call === undefined) return agreed(round) ? undefined : declined(request);
    const frames = [...round.questions].map(([key, { id }]) => resultFrame(id!, round.answers.get(key)!));
    return round.call.goOn(request, outgoing, frames);
  }

  sweep(): void {
    this.#suspended.sweep();
  }

  close(): void {
    this.#suspended.close();
  }

  #ask(round: Round, request: ModernRequest): Frame {
    return inputRequired(request.id, round.inputs, this.#suspended.add(round));
  }
}

const agreed = ({ answers }: Round): boolean =>
  [...answers.values()].every((answer) => (JSON.parse(answer) as { action?: unknown }).action === 'accept');

function declined(request: ModernRequest): UpstreamAnswer {
  const text = 'the server needs a page to be opened first, and that was declined';
  if (request.method !== 'tools/call') return errorAnswer(request.id, INTERNAL, text);
  const result = { resultType: 'complete', content: [{ type: 'text', text }], isError: true };
  return jsonAnswer(resultFrame(request.id, JSON.stringify(result)));
}
