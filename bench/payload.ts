/** What is sent and answered: the same bytes in every row, so that rows differ by what stands between only. */

export interface Size {
  readonly name: string;
  readonly bytes: number;
  /** A block ends after this many calls, so that recording large answers does not fill the disk. */
  readonly mostCalls: number;
}

export const SIZES: readonly Size[] = [
  { name: '1 KB', bytes: 1024, mostCalls: 1_000_000 },
  { name: '100 KB', bytes: 102_400, mostCalls: 2000 },
];

export const VERSION = '2026-07-28';
const REQUEST_BYTES = 300;
const CLEAN = 'lookup';
const PERSONAL = 'people';

/** `lookup_1024`: an answer without anything to mask; `people_1024`: one with an e-mail address and a card number in each KB. */
export function toolOf(size: Size, personal: boolean): string {
  return `${personal ? PERSONAL : CLEAN}_${size.bytes}`;
}

/** Every tool that the upstream has, with the answer it gives. */
export function answers(): ReadonlyMap<string, Buffer> {
  const all = new Map<string, Buffer>();
  for (const size of SIZES) {
    for (const personal of [false, true]) all.set(toolOf(size, personal), answerOf(size.bytes, personal));
  }
  return all;
}

/** A tools/call of 300 bytes, with the id 1. */
export function requestBody(tool: string): Buffer {
  const empty = callBody(tool, '');
  return Buffer.from(callBody(tool, 'which kettles are in stock '.repeat(9).slice(0, REQUEST_BYTES - empty.length)));
}

/** A tools/call with a text of one's own. */
export function callBody(tool: string, question: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: tool,
      arguments: { q: question },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': VERSION,
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  });
}

/** The headers that a 2026-07-28 client sends with a tools/call. */
export function headersOf(tool: string, token: string | undefined): Record<string, string> {
  return {
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    'MCP-Protocol-Version': VERSION,
    'Mcp-Method': 'tools/call',
    'Mcp-Name': tool,
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
}

/** The whole request as it goes over the socket. */
export function rawRequest(
  port: number,
  tool: string,
  token: string | undefined,
  body: Buffer = requestBody(tool),
): Buffer {
  const headers = { Host: `127.0.0.1:${port}`, ...headersOf(tool, token), 'Content-Length': String(body.length) };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST /mcp HTTP/1.1\r\n${head.join('')}\r\n`), body]);
}

/** `text` as the JSON-RPC answer to the request with the id 1. */
export function resultBody(text: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    result: { resultType: 'complete', content: [{ type: 'text', text }], isError: false },
  });
}

function answerOf(bytes: number, personal: boolean): Buffer {
  const room = bytes - resultBody('').length;
  let text = '';
  for (let row = 1; text.length < room; row += 1) {
    text += `row ${row}: kettle, blue enamel, shelf ${(row * 7) % 90}, ${(row * 13) % 40} in stock | `;
    // One of each in every KB: what is masked grows with the answer.
    if (personal && row % 16 === 3) text += `ordered by customer${row}@example.com with card 4111 1111 1111 1111 | `;
  }
  return Buffer.from(resultBody(text.slice(0, room)));
}
