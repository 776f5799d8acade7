import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { JsonObject } from '../../policies/types.ts';
import { timeline } from '../../proxy/cli/replay.ts';
import { safe, shorten, styleFor } from '../../proxy/cli/terminal.ts';
import type { Demo } from './tour.ts';

const style = styleFor(process.stdout, process.env);

/** Plays the tour with a real MCP client; the exit code says whether each step ended as it should. */
export async function play(demo: Demo): Promise<number> {
  const client = new Client({ name: 'portcullis-demo', version: '1' });
  const headers = { Authorization: `Bearer ${demo.users.engineer}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${demo.url}/mcp`), { requestInit: { headers } }));
  let failures = 0;
  const step = (title: string, text: string, ok: boolean): void => {
    if (!ok) failures += 1;
    console.log(`${ok ? style.good('ok ') : style.bad('BAD')} ${style.bold(title)}\n    ${shorten(safe(text), 300)}\n`);
  };
  const call = async (name: string, args: Record<string, unknown>): Promise<{ text: string; isError: boolean }> => {
    const result = await client.callTool({ name, arguments: args });
    const content = result.content as { text?: string }[];
    return { text: content.map((block) => block.text ?? '').join(' '), isError: result.isError === true };
  };

  const { tools } = await client.listTools();
  step(
    'tools of the shop, and those that Portcullis adds',
    tools.map((tool) => tool.name).join(', '),
    tools.some((tool) => tool.name === 'reviews_wait'),
  );

  const query = await call('query', { sql: 'SELECT name, email, card_number FROM customers LIMIT 2' });
  step(
    'a query arrives masked',
    query.text,
    query.text.includes('<EMAIL_ADDRESS>') && query.text.includes('<CREDIT_CARD>'),
  );

  const drop = await call('execute_sql', { sql: 'DROP TABLE customers' });
  step('DROP TABLE is blocked', drop.text, drop.isError && drop.text.includes('not allowed'));

  const held = call('execute_sql', { sql: 'DELETE FROM orders WHERE id = 1' });
  const review = await pendingReview(demo);
  step(
    'DELETE is held for approval',
    `${String(review['id'])}: ${String(review['input'])}`,
    review['status'] === 'PENDING',
  );

  const own = await api(demo, demo.users.engineer, 'PUT', `/api/reviews/${String(review['id'])}`, {
    status: 'APPROVED',
  });
  step('its author cannot approve it', JSON.stringify(own['error']), Object.hasOwn(own, 'error'));

  const approved = await api(demo, demo.users.dba, 'PUT', `/api/reviews/${String(review['id'])}`, {
    status: 'APPROVED',
  });
  step('the DBA approves', String(approved['status']), approved['status'] === 'APPROVED');
  const ran = await held;
  step('the held call ran, once, and answered', ran.text, !ran.isError);

  const sessions = await api(demo, demo.users.engineer, 'GET', '/api/sessions?connection=default', undefined);
  const session = (sessions['items'] as JsonObject[])[0]!;
  const content = await api(
    demo,
    demo.users.engineer,
    'GET',
    `/api/sessions/${String(session['id'])}/content`,
    undefined,
  );
  console.log(`${style.bold('the session, replayed from the record')}\n`);
  console.log(timeline(content, style));
  await client.close();
  console.log(
    failures === 0
      ? style.good('every step ended as it should')
      : style.bad(`${failures} steps did not end as they should`),
  );
  return failures === 0 ? 0 : 1;
}

/** The held call shows up in the DBA's list; reviews_wait needs an id, so the list is asked until it is there. */
async function pendingReview(demo: Demo): Promise<JsonObject> {
  for (;;) {
    const list = await api(demo, demo.users.dba, 'GET', '/api/reviews?status=PENDING', undefined);
    const first = (list['items'] as JsonObject[])[0];
    if (first !== undefined) return first;
  }
}

async function api(
  demo: Demo,
  token: string,
  method: string,
  path: string,
  body: JsonObject | undefined,
): Promise<JsonObject> {
  const response = await fetch(`${demo.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as JsonObject;
}
