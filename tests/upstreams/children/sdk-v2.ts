/** A server of the SDK for JavaScript 2.x on standard input and output: both eras, each connection one of them. */
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

serveStdio(() => {
  const server = new McpServer({ name: 'sdk-v2', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  server.registerTool('greet', { inputSchema: z.object({ who: z.string() }) }, ({ who }) => ({
    content: [{ type: 'text', text: `hello ${who}` }],
  }));
  server.registerTool('change', { inputSchema: z.object({}) }, async () => {
    await server.server.notification({ method: 'notifications/tools/list_changed' });
    return { content: [{ type: 'text', text: 'changed' }] };
  });
  return server;
});
