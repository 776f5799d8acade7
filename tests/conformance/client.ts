import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/**
 * The client that the suite examines: `client.ts [<where>] <url>`. The suite names the scenario in the environment; the client talks to the URL, or
 * reports it to `where` and talks to the gateway that the answer names.
 */

const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? '';
const modern = process.env['MCP_CONFORMANCE_PROTOCOL_VERSION'] === '2026-07-28';
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context;

interface Context {
  readonly toolCalls?: readonly Call[];
}

interface Call {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

/** What the client does once it is connected, so that the suite sees what it wants to see. */
const SCENARIOS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  initialize: (client) => client.listTools(),
  async tools_call(client) {
    await client.listTools();
    await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
  },
  'elicitation-sep1034-client-defaults': (client) => client.callTool({ name: 'test_client_elicitation_defaults' }),
  'sse-retry': (client) => client.callTool({ name: 'test_reconnection' }),
  'request-metadata': (client) => client.listTools(),
  async 'sep-2322-client-request-state'(client) {
    await Promise.all([
      client.callTool({ name: 'test_mrtr_echo_state' }),
      client.callTool({ name: 'test_mrtr_unrelated' }),
    ]);
    await client.callTool({ name: 'test_mrtr_no_state' });
    await client.callTool({ name: 'test_mrtr_no_result_type' });
  },
  async 'http-standard-headers'(client) {
    const { tools } = await client.listTools();
    for (const { name } of tools.filter(({ name }) => /headers|hyphenated/.test(name))) await client.callTool({ name });
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name });
  },
  async 'http-custom-headers'(client) {
    await client.listTools();
    for (const { name, arguments: args } of context.toolCalls ?? []) await client.callTool({ name, arguments: args });
  },
  async 'http-invalid-tool-headers'(client) {
    const { tools } = await client.listTools();
    for (const { name } of tools.filter(({ name }) => /valid/.test(name)))
      await client.callTool({ name, arguments: { region: 'us-west1' } });
  },
  'json-schema-ref-no-deref': (client) => client.listTools(),
  async 'json-schema-2020-12-preservation'(client) {
    const { tools } = await client.listTools();
    const focal = tools.find(({ inputSchema }) => inputSchema['$defs'] !== undefined);
    const echo = tools.find(({ inputSchema }) => inputSchema.properties?.['schema'] !== undefined);
    await client.callTool({ name: echo!.name, arguments: { schema: focal!.inputSchema } });
  },
};

async function play(url: string, token: string | undefined): Promise<void> {
  const client = new Client(
    { name: 'conformance-client', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
      versionNegotiation: { mode: modern ? 'auto' : 'legacy' },
    },
  );
  const content: Record<string, boolean> = modern ? { confirmed: true } : {};
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content }));
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
    async fetch(to, init) {
      const response = await fetch(to, init);
      if (init?.method === 'GET') resolve();
      return response;
    },
  });
  await client.connect(transport);
  // What a server asks on the GET stream before that is open is lost, with a gateway or without.
  if (!modern) await listening;
  await SCENARIOS[scenario]!(client);
  await client.close();
}

const [url, where] = process.argv.slice(2).reverse();
if (where === undefined) {
  await play(url!, undefined);
} else {
  const response = await fetch(where, { method: 'POST', body: url! });
  const to = (await response.json()) as { readonly url: string; readonly token: string };
  await play(to.url, to.token);
}
