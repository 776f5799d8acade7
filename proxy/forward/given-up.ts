import type { Signal } from '../abort.ts';
import { UpstreamFault } from './upstream.ts';

/** What the promise brings, unless the signal aborts first; what is awaited goes on without who left. */
export function unlessAborted<T>(promise: Promise<T>, signal: Signal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new UpstreamFault('given up by the gateway', false));
    if (signal.aborted) return onAbort();
    signal.on(onAbort);
    promise.then(resolve, reject).finally(() => signal.off(onAbort));
  });
}
