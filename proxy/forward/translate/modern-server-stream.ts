import { Abort } from '../../abort.ts';
import type { Frame } from '../../types.ts';
import type { FrameLimits } from '../../wire/frame.ts';
import type { UpstreamAnswer } from '../upstream.ts';
import type { FaceSession } from './modern-session.ts';
import { framesOf, pause } from './modern-stream.ts';

/** A server may send the headers of its stream only with the first event. */
const PATIENCE_MS = 1_000;
const BACK_OFF_MS = 100;
const MOST_BACK_OFF_MS = 30_000;
/** A stream that stood so long was a good one. */
const GOOD_MS = 1_000;

export interface StreamOptions {
  readonly session: FaceSession;
  readonly limits: FrameLimits;
  readonly onNotification: (notification: Frame) => void;
  /** The server does not know the session any more; must end it. */
  readonly onLost: () => void;
}

/**
 * The one GET stream of a session, on which the server says what belongs to no request: opened again when it breaks, unless the
 * server has none. Questions there go to the session's call in flight or are refused at once; none stays without an answer.
 */
export class ServerStream {
  readonly #options: StreamOptions;
  #stop: Abort | undefined;
  #begun: Promise<void> = Promise.resolve();
  #onBegun: (() => void) | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    options.session.ended.on(() => this.close());
  }

  /** Resolves when the stream stands, or is known not to, or is slow; a call sent then is one whose questions are heard. */
  open(): Promise<void> {
    if (this.#stop === undefined && !this.#options.session.ended.aborted) {
      const stop = (this.#stop = new Abort());
      this.#awaited(stop);
      // It is the server's loss if it says what cannot be understood: calls have streams of their own.
      void this.#follow(stop).catch(() => this.#onBegun?.());
    }
    return this.#begun;
  }

  close(): void {
    this.#stop?.abort();
    this.#stop = undefined;
  }

  #awaited(stop: Abort): void {
    const patience = new Abort();
    const end = (): void => patience.abort();
    stop.on(end);
    this.#onBegun = end;
    this.#begun = pause(PATIENCE_MS, patience).finally(() => stop.off(end));
  }

  async #follow(stop: Abort): Promise<void> {
    const { session } = this.#options;
    for (let wait = BACK_OFF_MS; !stop.aborted; wait = Math.min(2 * wait, MOST_BACK_OFF_MS)) {
      // A stream that cannot be had now is asked for again.
      const answer = await session.send(undefined, stop).catch(() => undefined);
      if (stop.aborted) return;
      if (answer?.mode === 'sse') {
        this.#onBegun?.();
        const since = performance.now();
        await this.#read(answer, stop).catch(() => undefined);
        if (stop.aborted) return;
        if (performance.now() - since >= GOOD_MS) {
          wait = BACK_OFF_MS;
          this.#awaited(stop);
        }
      } else if (answer !== undefined && answer.status >= 400 && answer.status < 500) {
        const none = answer.status === 405 || (answer.status === 404 && (await this.#isNone(stop)));
        this.#onBegun?.();
        // What it says of the session can only come with the answers to calls.
        if (none || stop.aborted) return;
      }
      await pause(wait, stop);
    }
  }

  /** A server without a GET stream may say so by 404 too, which for a POST means that the session is lost: that one tells. */
  async #isNone(stop: Abort): Promise<boolean> {
    const { session, onLost } = this.#options;
    if (!session.named) return true;
    const unknown = Symbol('unknown');
    const pinged = await session.ask('ping', {}, stop).catch(() => unknown);
    if (pinged === undefined) onLost();
    return pinged !== unknown;
  }

  async #read(answer: UpstreamAnswer, stop: Abort): Promise<void> {
    const { session, limits, onNotification } = this.#options;
    const stream = framesOf(answer, limits, stop, (last) => session.resume(last, stop));
    for await (const frames of stream) {
      for (const frame of frames) {
        if (frame.kind === 'request') await session.question(frame, stop);
        else if (frame.method === 'notifications/cancelled') session.calls.withdraw(frame);
        else if (frame.kind === 'notification') onNotification(frame);
      }
    }
  }
}
