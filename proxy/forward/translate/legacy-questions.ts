import { idKey, notificationFrame, objectMember } from '../../wire/frame.ts';
import { memberSpan } from '../../../policies/json/member.ts';
import { find, parseTree } from '../../../policies/json/tree.ts';
import type { Signal } from '../../abort.ts';
import type { Frame } from '../../types.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { UpstreamFault } from '../upstream.ts';
import { messageEvent } from './legacy-event.ts';
import { canAnswer, questionFrame, type Question } from './legacy-input.ts';
import type { LegacySession } from './legacy-session.ts';

/** How long a client may take for the questions of one round. */
const PATIENCE_MS = 600_000;
/** While people answer, the server behind is not what is silent: the pipeline hears so. */
const SIGN_MS = 1_000;

/** The answers as `"key":result` texts, or the sentence that says why there are none. */
export type Answers = { readonly answers: readonly string[] } | { readonly refusal: string };

/**
 * Asks the client on the stream of its own call, and waits until it has answered every question. Answers that come to no
 * question of its session are ignored; what was asked is forgotten when this ends, however it ends.
 */
export async function* askClient(
  session: LegacySession,
  questions: readonly Question[],
  signal: Signal,
  now: () => number,
): AsyncGenerator<readonly SseEvent[], Answers> {
  const impossible = questions.find((question) => !canAnswer(question, session.facts));
  if (impossible !== undefined) {
    return { refusal: `the server asks for ${impossible.method}, which this client has not declared to support` };
  }
  const answers = new Map<string, string>();
  const ids: string[] = [];
  let refusal: string | undefined;
  let wake: (() => void) | undefined;
  const onAbort = (): void => wake?.();
  const frames = questions.map((question) => {
    const frame = questionFrame(question, session.facts);
    const id = idKey(frame.id!);
    ids.push(id);
    session.questions.set(id, (answer) => {
      session.questions.delete(id);
      const result = resultText(answer);
      if (result === undefined) refusal ??= `the client did not answer ${question.method}${reasonOf(answer)}`;
      else answers.set(question.key, result);
      wake?.();
    });
    return frame;
  });
  signal.on(onAbort);
  const startedAt = now();
  try {
    yield frames.map((frame) => messageEvent(frame.text));
    while (answers.size < questions.length) {
      if (signal.aborted) throw new UpstreamFault('given up by the gateway', true);
      if (now() - startedAt > PATIENCE_MS) refusal ??= 'the client did not answer the questions of the server in time';
      if (refusal !== undefined) {
        yield ids.filter((id) => session.questions.has(id)).map(withdrawn);
        return { refusal };
      }
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, SIGN_MS);
      });
      clearTimeout(timer);
      wake = undefined;
      yield [];
    }
    return { answers: questions.map(({ key }) => `${key}:${answers.get(key)!}`) };
  } finally {
    signal.off(onAbort);
    for (const id of ids) session.questions.delete(id);
  }
}

/** Nobody needs to answer any more. */
const withdrawn = (id: string): SseEvent =>
  messageEvent(
    notificationFrame('notifications/cancelled', `{"requestId":${id},"reason":"the call that asked is over"}`).text,
  );

/** The client's own words, exactly; undefined when it answered with an error. */
function resultText({ text }: Frame): string | undefined {
  const span = memberSpan(text, 0, 'result') ?? find(parseTree(text), 'result');
  return span === undefined ? undefined : text.slice(span.start, span.end);
}

function reasonOf(answer: Frame): string {
  const message = objectMember(answer.value, 'error')?.['message'];
  return typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
}
