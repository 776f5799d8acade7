import { callBody, resultBody } from './payload.ts';

/** An answer that is large or long: what it costs a proxy is throughput and memory, not latency. */
export interface Shape {
  readonly key: string;
  readonly name: string;
  readonly tool: string;
  /** Events of an answer that is a stream; 0: the answer is one JSON body. */
  readonly events: number;
  readonly connections: readonly number[];
  /** A block ends after this many calls, so that recording does not fill the disk. */
  readonly mostCalls: number;
}

export const SHAPES: readonly Shape[] = [
  {
    key: 'events',
    name: 'SSE answers of 1,000 events',
    tool: 'lookup_events',
    events: 1000,
    connections: [1, 8],
    mostCalls: 400,
  },
  {
    key: 'large',
    name: '10 MB JSON answers',
    tool: 'lookup_large',
    events: 0,
    connections: [1, 4],
    mostCalls: 24,
  },
];

/** The rows that answer them. */
export const SHAPE_ROWS: readonly string[] = ['direct', 'nginx', 'bare', 'record', 'all'];

export const LARGE_BYTES = 10 * 1024 * 1024;
const PROGRESS_TOKEN = 'bench';

/** The call that is answered so; it asks for progress, without which the events would be none of its business. */
export function shapeRequest(shape: Shape): Buffer {
  const body = callBody(shape.tool, 'which kettles are in stock');
  return Buffer.from(body.replace('"_meta":{', `"_meta":{"progressToken":"${PROGRESS_TOKEN}",`));
}

/** Type and body of the answer; a stream event by event, as a server writes it. */
export function shapeAnswer(shape: Shape): { readonly type: string; readonly pieces: readonly Buffer[] } {
  if (shape.events === 0) {
    const line = 'row: kettle, blue enamel, shelf 17, 12 in stock | ';
    const room = LARGE_BYTES - resultBody('').length;
    const text = line.repeat(Math.ceil(room / line.length)).slice(0, room);
    return { type: 'application/json', pieces: [Buffer.from(resultBody(text))] };
  }
  const pieces = Array.from({ length: shape.events - 1 }, (_, at) => {
    const message = `read row ${at + 1}: kettle, blue enamel, shelf ${(at * 7) % 90}, ${(at * 13) % 40} in stock`;
    const params = { progressToken: PROGRESS_TOKEN, progress: at + 1, total: shape.events - 1, message };
    return event(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params }));
  });
  return { type: 'text/event-stream', pieces: [...pieces, event(resultBody('all rows read'))] };
}

const event = (data: string): Buffer => Buffer.from(`event: message\ndata: ${data}\n\n`);
