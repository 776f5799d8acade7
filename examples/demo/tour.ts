export interface Demo {
  readonly url: string;
  readonly users: { readonly engineer: string; readonly dba: string };
}

const curl = ({ url, users }: Demo, tool: string, args: Record<string, string>): string => {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args, _meta } };
  return [
    `curl -sN ${url}/mcp -H 'Authorization: Bearer ${users.engineer}'`,
    `-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'`,
    `-H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: ${tool}'`,
    `-d '${JSON.stringify(body)}'`,
  ].join(' \\\n    ');
};

/** What a newcomer sees after `npm start`: where it is, who he can be, and three things to try. */
export function tour(demo: Demo): string {
  return `
Portcullis is in front of the demo shop. Stop it with Ctrl-C.

  MCP endpoint   ${demo.url}/mcp      (point your MCP client here, with one of the tokens as bearer token)
  approvals      ${demo.url}/         (sign in with the DBA's token)
  engineer       ${demo.users.engineer}
  DBA            ${demo.users.dba}

Paste these into another terminal.

1. A query: e-mails, phones, cards and SSNs arrive masked.
  ${curl(demo, 'query', { sql: 'SELECT name, email, phone, card_number, ssn FROM customers LIMIT 2' })}

2. A DROP TABLE: blocked, with the rule's own sentence.
  ${curl(demo, 'execute_sql', { sql: 'DROP TABLE customers' })}

3. A DELETE: held until the DBA approves it on the approvals page, or by the command below, with the id from the page.
  ${curl(demo, 'execute_sql', { sql: 'DELETE FROM orders WHERE id = 1' })}

  npm run -s portcullis -- --url ${demo.url} --token ${demo.users.dba} reviews list --status pending
  npm run -s portcullis -- --url ${demo.url} --token ${demo.users.dba} reviews approve REVIEW_ID

Everything above is on record:
  npm run -s portcullis -- --url ${demo.url} --token ${demo.users.engineer} sessions list
`;
}
