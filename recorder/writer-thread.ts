import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { WriterLoop } from './writer-loop.ts';
import type { WriterData } from './writer-loop.ts';

// The entry of the writer thread: it runs until `close`, and sleeps in Atomics.wait rather than in its event loop.
if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const loop = new WriterLoop(workerData as WriterData, {
    receive: () => receiveMessageOnPort(port)?.message,
    send: (report) => port.postMessage(report),
  });
  loop.run();
  port.close();
}
