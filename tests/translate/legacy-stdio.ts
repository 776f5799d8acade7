import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { buildLegacy } from './legacy-server.ts';

// The server as a program that speaks on its standard input and output.
const nothing = (): void => undefined;
await buildLegacy({ subscribed: new Set(), waiting: nothing, cancelled: nothing, later: nothing }).connect(
  new StdioServerTransport(),
);
