import { setTimeout as wait } from 'node:timers/promises';
import {
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
  type CallToolResult,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { DDL, type Database } from './database.ts';

const DATABASE = 'shop';
const cell = z.union([z.string(), z.number(), z.null()]);
const rows = z.array(z.record(z.string(), cell));
const sql = z.string().min(1).max(20_000).describe('One SQLite statement.');
const database = z.literal(DATABASE).optional().describe('The database; there is only one.');

/** One MCP server over the shop's data; `stopped` ends what still runs. */
export function createShopServer(data: Database, stopped: AbortSignal): McpServer {
  const server = new McpServer(
    { name: 'shop', title: 'Demo shop', version: '1.0.0' },
    { instructions: 'A small shop: customers, products and orders in SQLite. All of it is invented.' },
  );
  registerData(server, data);
  registerReport(server, data, stopped);
  registerReading(server, data);
  return server;
}

function registerData(server: McpServer, data: Database): void {
  const readOnly = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
  server.registerTool(
    'query',
    {
      title: 'Query',
      description: 'Read rows with one SELECT or WITH statement. At most 1,000 rows are returned.',
      inputSchema: z.object({ sql }),
      outputSchema: z.object({ rows, truncated: z.boolean() }),
      annotations: readOnly,
    },
    (args) => attempt(() => data.query(args.sql)),
  );
  server.registerTool(
    'execute_sql',
    {
      title: 'Execute SQL',
      description: 'Run any single statement on the data or its tables, changes and deletions included.',
      inputSchema: z.object({ sql }),
      outputSchema: z.object({ changes: z.number().int(), rows, truncated: z.boolean() }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    },
    (args) => attempt(() => data.execute(args.sql)),
  );
  server.registerTool(
    'list_databases',
    {
      title: 'List databases',
      description: 'Name every database.',
      inputSchema: z.object({}),
      outputSchema: z.object({ databases: z.array(z.string()) }),
      annotations: readOnly,
    },
    () => attempt(() => ({ databases: [DATABASE] })),
  );
  server.registerTool(
    'list_tables',
    {
      title: 'List tables',
      description: 'Name the tables of a database.',
      inputSchema: z.object({ database }),
      outputSchema: z.object({ tables: z.array(z.string()) }),
      annotations: readOnly,
    },
    () => attempt(() => ({ tables: data.tables() })),
  );
  server.registerTool(
    'describe_table',
    {
      title: 'Describe table',
      description: 'Give the columns of a table.',
      inputSchema: z.object({ table: z.string().min(1).max(128), database }),
      outputSchema: z.object({
        columns: z.array(
          z.object({ name: z.string(), type: z.string(), nullable: z.boolean(), primary_key: z.boolean() }),
        ),
      }),
      annotations: readOnly,
    },
    (args) =>
      attempt(() => {
        const columns = data.columns(args.table);
        if (columns.length === 0) throw new Error(`no such table: ${args.table}`);
        return { columns };
      }),
  );
}

function registerReport(server: McpServer, data: Database, stopped: AbortSignal): void {
  server.registerTool(
    'export_report',
    {
      title: 'Export report',
      description: 'Write a report of what each customer bought. Slow; tells its progress when asked to.',
      inputSchema: z.object({
        format: z.enum(['csv', 'json']).default('csv'),
        steps: z.number().int().min(1).max(100).default(6).describe('Into how many parts the work is cut.'),
        pace_ms: z.number().int().min(0).max(10_000).default(500).describe('How long each part takes.'),
      }),
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    },
    async ({ format, steps, pace_ms }, ctx) => {
      const customers = data.customers();
      const signal = AbortSignal.any([ctx.mcpReq.signal, stopped]);
      for (let step = 1; step <= steps; step += 1) {
        await wait(pace_ms, undefined, { signal });
        const last = customers[Math.ceil((customers.length * step) / steps) - 1];
        await tellProgress(ctx, step, steps, `exported up to ${last?.['email'] ?? 'nobody'}`);
      }
      const lines = customers.map((row) => Object.values(row).join(','));
      const report =
        format === 'json' ? JSON.stringify(customers) : ['name,email,orders,total_cents', ...lines].join('\n');
      return { content: [{ type: 'text', text: report }] };
    },
  );
}

async function tellProgress(ctx: ServerContext, progress: number, total: number, message: string): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
}

function registerReading(server: McpServer, data: Database): void {
  server.registerResource(
    'schema',
    'shop://schema',
    { title: 'Schema', description: 'The statements that create the tables.', mimeType: 'application/sql' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'application/sql', text: DDL }] }),
  );
  server.registerResource(
    'customer',
    new ResourceTemplate('shop://customers/{id}', { list: undefined }),
    { title: 'Customer', description: 'One customer.', mimeType: 'application/json' },
    (uri, { id }) => {
      const customer = data.customer(Number(id));
      if (customer === undefined) throw new ResourceNotFoundError(uri.href);
      return { contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify(customer) }] };
    },
  );
  server.registerPrompt(
    'customer_summary',
    {
      title: 'Customer summary',
      description: 'Ask for a summary of one customer.',
      argsSchema: z.object({ customer_id: z.string().regex(/^\d{1,9}$/) }),
    },
    ({ customer_id }) => {
      const customer = data.customer(Number(customer_id));
      if (customer === undefined) throw new Error(`no customer ${customer_id}`);
      const text = `Summarise this customer in three sentences: ${JSON.stringify(customer)}`;
      return { messages: [{ role: 'user', content: { type: 'text', text } }] };
    },
  );
}

/** A tool result as text and as structure; a mistake in the caller's SQL is a result the model can read. */
function attempt(run: () => object): CallToolResult {
  try {
    const value = run();
    return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: { ...value } };
  } catch (error) {
    return { content: [{ type: 'text', text: error instanceof Error ? error.message : String(error) }], isError: true };
  }
}
