import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import type { Test } from 'tap';
import { z } from 'zod';

export interface ModernServer {
  readonly url: string;
  readonly notify: ReturnType<typeof createMcpHandler>['notify'];
  /** Resolves when a call of `wait` was given up by its caller. */
  readonly givenUp: Promise<void>;
  /** Resolves when a call of `wait` has begun. */
  readonly begun: Promise<void>;
  /** Lets a call of `steps` answer: its progress has been heard. */
  readonly goOn: () => void;
}

const text = (value: string): { readonly content: { readonly type: 'text'; readonly text: string }[] } => ({
  content: [{ type: 'text', text: value }],
});

/** A server of the official SDK that serves 2026-07-28 and nothing else. */
export async function startModernServer(t: Test): Promise<ModernServer> {
  const begun = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<void>();
  const givenUp = Promise.withResolvers<void>();
  const build = (): McpServer => {
    const capabilities = {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
    };
    const server = new McpServer({ name: 'modern-only', version: '1' }, { capabilities, instructions: 'Ask nicely.' });
    server.registerTool('echo', { inputSchema: z.object({ text: z.string() }) }, ({ text: said }) => text(said));
    const region = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } };
    server.registerTool('region', { inputSchema: fromJsonSchema<{ region?: string }>(region as never) }, (args) =>
      text(`in ${String(args.region)}`),
    );
    server.registerTool('steps', { inputSchema: z.object({}) }, async (_args, ctx) => {
      const { progressToken } = ctx.mcpReq._meta ?? {};
      for (const progress of [1, 2]) {
        if (progressToken === undefined) throw new Error('no token came');
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 2 } });
      }
      await heard.promise;
      await ctx.mcpReq.log('warning', 'nearly done');
      return text('done');
    });
    server.registerTool('wait', { inputSchema: z.object({}) }, async (_args, ctx) => {
      begun.resolve();
      await new Promise<void>((resolve) => ctx.mcpReq.signal.addEventListener('abort', () => resolve()));
      givenUp.resolve();
      return text('never heard');
    });
    server.registerTool('form', { inputSchema: z.object({}) }, (_args, ctx) => {
      const answer = ctx.mcpReq.inputResponses?.['who'];
      if (answer !== undefined) return text(JSON.stringify(answer));
      const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } };
      return inputRequired({ inputRequests: { who: inputRequired.elicit({ message: 'Who?', requestedSchema }) } });
    });
    server.registerTool('url', { inputSchema: z.object({}) }, (_args, ctx) => {
      const answer = ctx.mcpReq.inputResponses?.['login'];
      if (answer !== undefined) return text(JSON.stringify(answer));
      const login = inputRequired.elicitUrl({ message: 'Log in', url: 'https://example.com/login' });
      return inputRequired({ inputRequests: { login }, requestState: 'as it was' });
    });
    server.registerTool('several', { inputSchema: z.object({}) }, (_args, ctx) => {
      const { inputResponses } = ctx.mcpReq;
      if (inputResponses?.['roots'] !== undefined) return text(JSON.stringify(inputResponses));
      const model = inputRequired.createMessage({
        messages: [{ role: 'user', content: { type: 'text', text: 'Capital of France?' } }],
        maxTokens: 10,
      });
      return inputRequired({ inputRequests: { model, roots: inputRequired.listRoots() } });
    });
    server.registerPrompt('letter', { argsSchema: z.object({ to: z.string() }) }, ({ to }) => ({
      messages: [{ role: 'user', content: { type: 'text', text: `Dear ${to}` } }],
    }));
    server.registerResource('note', 'test://note', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'a note' }] }));
    const template = new ResourceTemplate('test://day/{day}', { list: undefined });
    server.registerResource('day', template, {}, (uri) => ({ contents: [{ uri: uri.href, text: 'a day' }] }));
    return server;
  };
  const handler = createMcpHandler(build, { legacy: 'reject' });
  const http = createServer(toNodeHandler(handler));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    notify: handler.notify,
    begun: begun.promise,
    givenUp: givenUp.promise,
    goOn: heard.resolve,
  };
}
