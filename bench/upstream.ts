import { createServer, type AddressInfo, type Socket } from 'node:net';
import { answers, requestBody, VERSION } from './payload.ts';
import { shapeAnswer, shapeRequest, SHAPES } from './shapes.ts';

/**
 * The MCP server behind every row: answers to the load are whole, prepared buffers; what a gateway asks for itself
 * (discover, initialize, lists) is answered properly.
 */

const HEAD_END = Buffer.from('\r\n\r\n');
const TOOLS = [...answers()].map(([tool, body]) => ({
  tool,
  request: requestBody(tool),
  answer: http(200, body),
  body,
}));
const LONG = SHAPES.map((shape) => {
  const { type, pieces } = shapeAnswer(shape);
  return {
    tool: shape.tool,
    request: shapeRequest(shape),
    answer: shape.events > 0 ? streamed(type, pieces) : http(200, pieces[0]!),
  };
});
const TOOL_LIST = ['execute_sql', ...[...TOOLS, ...LONG].map(({ tool }) => tool)].map((name) => ({
  name,
  description: 'A tool of the benchmark.',
  inputSchema: { type: 'object', properties: { q: { type: 'string' } } },
  annotations: { readOnlyHint: name !== 'execute_sql' },
}));
const SERVER = { name: 'bench', version: '1.0.0' };
const LASTING = { resultType: 'complete', ttlMs: 3_600_000, cacheScope: 'public' };

function http(status: number, body: Buffer | string): Buffer {
  const reason = status === 200 ? 'OK' : status === 202 ? 'Accepted' : 'Not here';
  const type = body.length === 0 ? '' : 'Content-Type: application/json\r\n';
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${type}Content-Length: ${body.length}\r\n\r\n`),
    Buffer.from(body),
  ]);
}

/** A chunk for each event, and the header by which servers ask proxies not to collect them. */
function streamed(type: string, pieces: readonly Buffer[]): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunks = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')]);
}

function resultOf(method: string): object | undefined {
  if (method === 'server/discover') {
    const _meta = { 'io.modelcontextprotocol/serverInfo': SERVER };
    return { ...LASTING, supportedVersions: [VERSION], capabilities: { tools: {} }, _meta };
  }
  if (method === 'initialize')
    return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: SERVER };
  if (method === 'tools/list') return { ...LASTING, tools: TOOL_LIST };
  if (method === 'ping') return { resultType: 'complete' };
  return undefined;
}

function answer(verb: string, body: Buffer): Buffer {
  for (const known of TOOLS) if (known.request.equals(body)) return known.answer;
  for (const known of LONG) if (known.request.equals(body)) return known.answer;
  if (verb !== 'POST') return http(405, '');
  const message = JSON.parse(body.toString()) as { id?: unknown; method: string; params?: { name?: string } };
  if (message.id === undefined) return http(202, '');
  const envelope = { jsonrpc: '2.0', id: message.id };
  const tool = message.method === 'tools/call' ? TOOLS.find((each) => each.tool === message.params?.name) : undefined;
  const result = tool === undefined ? resultOf(message.method) : JSON.parse(tool.body.toString()).result;
  if (result !== undefined) return http(200, JSON.stringify({ ...envelope, result }));
  const error = { code: message.method === 'tools/call' ? -32602 : -32601, message: `not served: ${message.method}` };
  return http(message.method === 'tools/call' ? 200 : 404, JSON.stringify({ ...envelope, error }));
}

function serve(socket: Socket): void {
  let kept: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (;;) {
      const end = kept.indexOf(HEAD_END);
      if (end < 0) return;
      const head = kept.toString('latin1', 0, end);
      const from = end + HEAD_END.length;
      const whole = /\r\ntransfer-encoding: *chunked/i.test(head)
        ? chunkedBody(kept, from)
        : fixedBody(kept, from, head);
      if (whole === undefined) return;
      kept = kept.subarray(whole.end);
      socket.write(answer(head.slice(0, head.indexOf(' ')), whole.body));
    }
  });
  // A client that goes away is no fault of the benchmark's; errors are counted where the answers are read.
  socket.on('error', () => socket.destroy());
}

interface Whole {
  readonly body: Buffer;
  readonly end: number;
}

function fixedBody(bytes: Buffer, from: number, head: string): Whole | undefined {
  const end = from + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  return bytes.length < end ? undefined : { body: bytes.subarray(from, end), end };
}

function chunkedBody(bytes: Buffer, from: number): Whole | undefined {
  const parts: Buffer[] = [];
  for (let at = from; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const end = line + 2 + size + 2;
    if (!(size >= 0)) throw new Error('a chunk without a size');
    if (bytes.length < end) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), end };
    parts.push(bytes.subarray(line + 2, end - 2));
    at = end;
  }
}

const server = createServer(serve);
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () =>
  process.send!({ port: (server.address() as AddressInfo).port }),
);
process.on('disconnect', () => process.exit());
// A terminal sends Ctrl-C to all; the parent ends this process in its turn.
process.on('SIGINT', () => undefined);
