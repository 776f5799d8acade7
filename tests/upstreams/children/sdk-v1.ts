/** A server of the SDK for JavaScript 1.x on standard input and output. */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const server = new McpServer({ name: 'sdk-v1', version: '1' });
server.registerTool('greet', { inputSchema: { who: z.string() } }, ({ who }) => ({
  content: [{ type: 'text', text: `hello ${who}` }],
}));
server.registerTool('roots', {}, async () => {
  const { roots } = await server.server.listRoots();
  return { content: [{ type: 'text', text: roots.map(({ uri }) => uri).join(' ') }] };
});
await server.connect(new StdioServerTransport());
