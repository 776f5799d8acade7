import { FRAME_LIMITS, decodeFrame } from '../../proxy/wire/frame.ts';
import type { Frame } from '../../proxy/types.ts';
import type { JsonObject } from '../../policies/types.ts';

/** A message as a client sends it. */
export const fromClient = (text: string): Frame => decodeFrame(Buffer.from(text), FRAME_LIMITS);
/** A message as an upstream sends it. */
export const fromServer = (text: string): Frame => decodeFrame(Buffer.from(text), FRAME_LIMITS, 'server');

/** A modern request with these client capabilities. */
export function request(method: string, params: JsonObject = {}, capabilities: JsonObject = {}): Frame {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
  return fromClient(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }));
}

export const answer = (result: JsonObject): Frame =>
  fromServer(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { resultType: 'complete', ...result } }));

export const notification = (method: string, params: JsonObject = {}): Frame =>
  fromServer(JSON.stringify({ jsonrpc: '2.0', method, params }));
