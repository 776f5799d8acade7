import { parseConfig } from '../../proxy/config.ts';
import { createLog } from '../../proxy/log.ts';
import { createPortcullis } from '../../proxy/main.ts';

/** What the test says to this process, and what it answers. */
export type Order =
  | { readonly type: 'later'; readonly ms: number }
  /** Everything unreachable is collected first. */
  | { readonly type: 'memory' };
export interface Memory {
  readonly rss: number;
  readonly heap: number;
  readonly sessions: number;
}

/** A gateway in a process of its own whose clock the test moves on. Its configuration comes as the first argument. */
const [, , text, file] = process.argv;
const log = createLog({ level: 'error', format: 'json', sink: { write: (line) => void process.stderr.write(line) } });
let offset = 0;
const portcullis = await createPortcullis(parseConfig(text!, file!, {}), log, { clock: () => Date.now() + offset });
process.on('message', (order: Order) => {
  if (order.type === 'later') {
    offset += order.ms;
    return;
  }
  const { gc } = globalThis as { gc?: () => void };
  // Twice: what finalizers let go of is collected by the second.
  gc?.();
  setImmediate(() => {
    gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    process.send!({ rss, heap: heapUsed, sessions: portcullis.gateway.sessions.size } satisfies Memory);
  });
});
process.on('disconnect', () => process.exit());
process.send!({ url: await portcullis.listen() });
