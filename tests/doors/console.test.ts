import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream, type Upstream } from '../fixture/upstream.ts';
import { callTool, send, startGateway, textOf, type TestGateway } from '../gateway.ts';
import { request, statuses, talk } from './raw.ts';
import { found, parts, refusals } from './store.ts';

interface House {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly url: string;
}

/** Every call of `execute_sql` needs a DBA, and is answered at once with its pending review. */
async function start(t: Test, config: JsonObject = {}, clock?: () => number): Promise<House> {
  const upstream = await startUpstream({
    list: [{ name: 'execute_sql', description: 'Runs SQL.', inputSchema: { type: 'object' } }],
    tools: {
      execute_sql: (asked) => ({ result: { ...asked.complete, content: [{ type: 'text', text: 'rows: 1' }] } }),
    },
  });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(
    t,
    {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
      datamasking_rules: [
        {
          name: 'pii',
          connections: ['default'],
          supported_entity_types: [{ name: 'CONTACT', entity_types: ['EMAIL_ADDRESS'] }],
        },
      ],
      access_request_rules: [
        {
          name: 'writes',
          connections: ['default'],
          access_type: 'command',
          when: 'tool.name == "execute_sql"',
          reviewers_groups: ['dba'],
        },
      ],
      hold: { inline_timeout: '0s' },
      ...config,
    },
    undefined,
    clock,
  );
  return { gateway, upstream, url: `${gateway.url}/mcp` };
}

/** Asks for a call that needs people; answers the id of its review. */
async function ask({ url }: House, token: string, args: JsonObject = { sql: 'DELETE FROM orders' }): Promise<string> {
  const answer = await callTool(url, token, 'execute_sql', args);
  return /rev_[\w-]+/.exec(answer.text)?.[0] ?? `no review: ${answer.text}`;
}

interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A browser without script: one cookie, forms, no redirect followed. */
class Browser {
  readonly #url: string;
  cookie: string | undefined;

  constructor(gateway: TestGateway) {
    this.#url = gateway.url;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Page> {
    return this.#ask(path, { headers });
  }

  post(path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Page> {
    return this.#ask(path, { method: 'POST', body: new URLSearchParams(form), headers });
  }

  async signIn(token: string, next = '/'): Promise<Page> {
    const page = await this.post('/login', { token, next });
    this.cookie = page.headers.get('set-cookie')?.split(';')[0];
    return page;
  }

  /** The token of the forms on the page of this visitor. */
  async csrf(path = '/'): Promise<string> {
    return /name="csrf" value="([^"]+)"/.exec((await this.get(path)).text)?.[1] ?? 'none';
  }

  async #ask(
    path: string,
    init: { method?: string; body?: URLSearchParams; headers: Record<string, string> },
  ): Promise<Page> {
    const cookie: Record<string, string> = this.cookie === undefined ? {} : { cookie: this.cookie };
    const answer = await fetch(this.#url + path, {
      ...init,
      redirect: 'manual',
      headers: { ...cookie, ...init.headers },
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }
}

const stateOf = async ({ gateway }: House, id: string): Promise<string | undefined> =>
  (await gateway.portcullis.gateway.recorder.reviews.get(id))?.state;
const SIGN_IN = /<form[^>]*action="\/login"/;

t.test(
  'a token signs a person in; the cookie holds it sealed and stays with the browser [console-cookie]',
  async (t) => {
    const house = await start(t);
    const { gateway } = house;
    const token = await gateway.person('dana', ['dba']);
    const browser = new Browser(gateway);
    t.match((await browser.get('/')).text, SIGN_IN);

    const page = await browser.signIn(token);
    t.equal(page.status, 303);
    t.equal(page.headers.get('location'), '/');
    const cookie = page.headers.get('set-cookie') ?? '';
    t.match(cookie, /^portcullis=[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    t.strictSame(
      parts(token).filter((part) => cookie.includes(part) || Buffer.from(cookie.slice(11), 'base64url').includes(part)),
      [],
    );
    const inbox = await browser.get('/');
    t.match(inbox.text, /dana \(dba\)/);
    t.match(inbox.text, /Nothing waits for approval/);
    t.strictSame(
      parts(token).filter((part) => inbox.text.includes(part)),
      [],
      'no page shows the token',
    );
    t.strictSame(found(gateway, parts(token)), []);

    const again = new Browser(gateway);
    for (const wrong of [
      '',
      ' ',
      'wrong',
      `pct_${'A'.repeat(49)}`,
      `${token}x`,
      'a\r\nX: b',
      '<script>',
      token.slice(0, -1),
    ]) {
      const refused = await again.signIn(wrong);
      t.equal(refused.status, 401, JSON.stringify(wrong));
      t.notOk(refused.headers.has('set-cookie'));
      t.match(refused.text, /This token was not accepted/);
      t.notMatch(refused.text, /pct_|<script>/, 'what was typed is not shown again');
    }
    const kept = await refusals(gateway);
    t.equal(kept.length, 8, 'each is on record');
    t.match(kept.at(-1), { code: 'token_invalid', route: '/api' });
  },
);

t.test('over https the cookie is bound to this host and never sent in the clear [console-cookie]', async (t) => {
  const { gateway } = await start(t, { server: { listen: '127.0.0.1:0', public_url: 'https://gateway.example' } });
  const page = await new Browser(gateway).signIn(await gateway.person('dana', ['dba']));
  t.match(
    page.headers.get('set-cookie'),
    /^__Host-portcullis=[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure$/,
  );
});

t.test('after signing in nobody is sent to another site [no-open-redirect]', async (t) => {
  const { gateway } = await start(t);
  const token = await gateway.person('dana', ['dba']);
  const browser = new Browser(gateway);
  for (const next of [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/%2f%2fevil.example',
    '/reviews/../../evil',
    '/reviews/x?y=//evil.example',
    '/reviews/x#y',
    '/reviews/x/y',
    '/reviews/x\r\nSet-Cookie: a=b',
    'javascript:alert(1)',
    'reviews/x',
    '',
    ' /',
    '/logout',
    '/mcp',
  ]) {
    const page = await browser.signIn(token, next);
    t.equal(page.status, 303, JSON.stringify(next));
    t.equal(page.headers.get('location'), '/', JSON.stringify(next));
  }
  t.equal(
    (await browser.signIn(token, '/reviews/rev_a-B9')).headers.get('location'),
    '/reviews/rev_a-B9',
    'a review of ours is fine',
  );
  const hostile = await browser.post('/login', { token: 'wrong', next: '"><script>alert(1)</script>' });
  t.notMatch(hostile.text, /<script/, 'and what came as next is escaped');
});

t.test(
  'a reviewer finds what waits, approves it by a form, and the call may then run once [console-decides]',
  async (t) => {
    const house = await start(t);
    const { gateway, upstream, url } = house;
    const erin = await gateway.person('erin', ['eng']);
    const id = await ask(house, erin, { sql: "DELETE FROM orders WHERE mail = 'bob@example.com'" });
    const dana = new Browser(gateway);
    await dana.signIn(await gateway.person('dana', ['dba']));
    const inbox = await dana.get('/');
    t.match(inbox.text, new RegExp(`<a href="/reviews/${id}">${id}</a>`));
    t.match(inbox.text, /erin/);
    t.match(inbox.text, /execute_sql/);
    t.match(inbox.text, /&lt;EMAIL_ADDRESS&gt;/, 'people see the masked form');
    t.notMatch(inbox.text, /bob@example\.com/);
    t.match(inbox.text, /writes \(1 of dba\)/);

    const page = await dana.post(`/reviews/${id}`, { csrf: await dana.csrf(), status: 'APPROVED' });
    t.equal(page.status, 200);
    t.match(page.text, /The review is now APPROVED/);
    t.match(page.text, /APPROVED by dana/);
    t.notMatch(page.text, /value="APPROVED"/, 'it cannot be decided twice');
    t.equal(upstream.received('execute_sql').length, 0, 'an approval alone runs nothing');
    t.match((await dana.get('/')).text, /Nothing waits/);
    t.match(
      (await dana.post(`/reviews/${id}`, { csrf: await dana.csrf(), status: 'REJECTED' })).text,
      /review is in wrong state: APPROVED/,
    );
    t.match(
      textOf(await callTool(url, erin, 'execute_sql', { sql: "DELETE FROM orders WHERE mail = 'bob@example.com'" })),
      /rows: 1/,
    );
    t.equal(upstream.received('execute_sql').length, 1);

    const decided = (await gateway.exchanges()).filter(({ name }) => name === 'reviews_update');
    t.strictSame(
      decided.map(({ connection, outcome }) => [connection, outcome]),
      [
        ['gateway', 'answered'],
        ['gateway', 'answered'],
      ],
      'a decision is a call on record like any other',
    );
  },
);

t.test('a reviewer rejects with a reason, and the agent reads it', async (t) => {
  const house = await start(t);
  const { gateway, upstream } = house;
  const erin = await gateway.person('erin', ['eng']);
  const id = await ask(house, erin);
  const dana = new Browser(gateway);
  await dana.signIn(await gateway.person('dana', ['dba']));
  const page = await dana.post(`/reviews/${id}`, {
    csrf: await dana.csrf(`/reviews/${id}`),
    status: 'REJECTED',
    reason: '  use the archive job <b>  ',
  });
  t.match(page.text, /The review is now REJECTED/);
  const review = await send(`${gateway.url}/api/reviews/${id}`, erin, undefined, {}, 'GET');
  t.match(review.json, { status: 'REJECTED', votes: [{ status: 'REJECTED', reason: 'use the archive job <b>' }] });
  t.match(
    (await dana.post(`/reviews/${id}`, { csrf: await dana.csrf(), status: 'NONSENSE' })).text,
    /invalid arguments/,
  );
  t.equal(upstream.received('execute_sql').length, 0);
});

t.test('Enter in the field for the reason cannot approve: approving has a form of its own', async (t) => {
  const house = await start(t);
  await ask(house, await house.gateway.person('erin', ['eng']));
  const dana = new Browser(house.gateway);
  await dana.signIn(await house.gateway.person('dana', ['dba']));
  const forms = (await dana.get('/')).text.match(/<form[^>]*action="\/reviews\/[^]*?<\/form>/g) ?? [];
  t.equal(forms.length, 2);
  t.ok(
    forms.every((form) => (form.match(/<button/g) ?? []).length === 1),
    'one button each',
  );
  t.notMatch(
    forms.find((form) => form.includes('name="reason"')),
    /APPROVED/,
  );
});

t.test('a form that was not made for this very visit decides nothing [console-csrf]', async (t) => {
  const house = await start(t);
  const { gateway } = house;
  const id = await ask(house, await gateway.person('erin', ['eng']));
  const token = await gateway.person('dana', ['dba']);
  const dana = new Browser(gateway);
  await dana.signIn(token);
  const good = await dana.csrf();
  const other = new Browser(gateway);
  await other.signIn(await gateway.person('dora', ['dba']));
  const earlier = new Browser(gateway);
  await earlier.signIn(token);
  const path = `/reviews/${id}`;
  for (const [title, csrf] of [
    ['none', undefined],
    ['an empty one', ''],
    ['a wrong one', 'A'.repeat(good.length)],
    ['a longer one', `${good}A`],
    ['one of another person', await other.csrf()],
    ['one of another visit of the same person', await earlier.csrf()],
  ] as const) {
    for (const status of ['APPROVED', 'REJECTED']) {
      const page = await dana.post(path, { status, ...(csrf === undefined ? {} : { csrf }) });
      t.equal(page.status, 403, `${title}, ${status}`);
    }
  }
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:9']) {
    t.equal((await dana.post(path, { csrf: good, status: 'APPROVED' }, { origin })).status, 401, `from ${origin}`);
    t.equal(
      (await other.post('/login', { token, next: '/' }, { origin })).status,
      401,
      `nor does ${origin} sign anybody in`,
    );
  }
  t.equal(
    (await new Browser(gateway).post(path, { csrf: good, status: 'APPROVED' })).status,
    401,
    'without the cookie',
  );
  t.equal((await dana.get(`${path}?status=APPROVED&csrf=${good}`)).status, 200, 'a link decides nothing');
  t.equal((await dana.post('/logout', { csrf: 'wrong' })).status, 403, 'nor is anybody signed out');
  t.equal(await stateOf(house, id), 'PENDING');

  const cookie = dana.cookie!;
  const rest = await send(`${gateway.url}/api/me`, undefined, undefined, { cookie }, 'GET');
  t.equal(rest.status, 401, 'the cookie opens the pages only, so REST and MCP need no such token');
  t.equal((await send(`${gateway.url}/mcp`, undefined, '{}', { cookie })).status, 401);
  t.equal(
    (await dana.post(path, { csrf: good, status: 'APPROVED' }, { origin: 'http://127.0.0.1:8800' })).status,
    200,
    'the page itself may',
  );
  t.equal(await stateOf(house, id), 'APPROVED');
});

t.test(
  'nobody approves his own request on the page, and only reviewers decide [no-self-approval] [reviewers-only]',
  async (t) => {
    const house = await start(t);
    const { gateway } = house;
    const root = await gateway.person('root', ['admin', 'dba', 'eng']);
    const id = await ask(house, root);
    const own = new Browser(gateway);
    await own.signIn(root);
    const page = await own.get('/');
    t.match(page.text, /Your own request: somebody else must approve it/);
    t.notMatch(page.text, /value="APPROVED"/);
    t.match(
      (await own.post(`/reviews/${id}`, { csrf: await own.csrf(), status: 'APPROVED' })).text,
      /unable to self approve review/,
      'nor by a form of his own making',
    );

    const stranger = new Browser(gateway);
    await stranger.signIn(await gateway.person('sam', ['eng']));
    t.match((await stranger.get('/')).text, /Nothing waits/);
    const hidden = await stranger.get(`/reviews/${id}`);
    t.equal(hidden.status, 404);
    t.equal(
      hidden.text,
      (await stranger.get('/reviews/rev_nothing')).text,
      'what is not his to see is as if it were not there',
    );
    t.equal((await stranger.post(`/reviews/${id}`, { csrf: await stranger.csrf(), status: 'APPROVED' })).status, 404);
    const admin = new Browser(gateway);
    await admin.signIn(await gateway.person('ada', ['admin']));
    t.match(
      (await admin.post(`/reviews/${id}`, { csrf: await admin.csrf(), status: 'APPROVED' })).text,
      /not eligible for review/,
    );
    t.equal(await stateOf(house, id), 'PENDING');
  },
);

t.test('what an agent writes can neither act on the page nor hide on it [console-escapes]', async (t) => {
  const house = await start(t);
  const { gateway, url } = house;
  const subject = '"><img src=x onerror=alert(1)>';
  const erin = await gateway.person(subject, ['eng', '</span><script>alert(2)</script>']);
  const unseen = [
    '\u202e',
    '\u2066',
    '\u200b',
    '\u200d',
    '\u061c',
    '\u00ad',
    '\ufeff',
    '\u2028',
    '\u3164',
    '\u{e0041}',
    '\u0085',
    '\u0000',
    '\u001b[31m',
  ];
  const id = await ask(house, erin, {
    sql: '</pre><script>alert(3)</script>',
    '<b onclick=x>': ['\'"&', `DROP ${unseen.join('')} TABLE`, '{{7*7}} ${7*7} &lt;'],
  });
  // Numbers as the upstream will read them, and a word spelt with escapes, which JSON.parse alone would change or nobody could read.
  const envelope =
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
  const exact = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_sql","arguments":{"sql":"\\u0044ELETE","n":[9007199254740993,1.0,1e400,-0]},${envelope}}}`;
  const second = /rev_[\w-]+/.exec(
    (
      await send(url, erin, exact, {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'execute_sql',
      })
    ).text,
  )?.[0];

  const dana = new Browser(gateway);
  await dana.signIn(await gateway.person('dana', ['dba']));
  for (const path of ['/', `/reviews/${id}`]) {
    const { text } = await dana.get(path);
    t.notMatch(text, /<(?:script|img|b |b>)/i, `${path}: no markup of the agent`);
    t.notMatch(text, /<[^>]*\s(?:on\w+|style)=/i, `${path}: no attribute that acts`);
    t.notMatch(text, /[^\P{C}\n]/u, `${path}: no control or direction mark as it is`);
    t.match(text, /&lt;\/pre&gt;&lt;script&gt;alert\(3\)/);
    t.match(text, /&quot;&gt;&lt;img src=x onerror/, `${path}: neither in a name`);
    for (const mark of [
      '\\u202e',
      '\\u200b',
      '\\u061c',
      '\\u00ad',
      '\\u2028',
      '\\u3164',
      '\\u{e0041}',
      '\\u0000',
      '\\u001b',
    ])
      t.ok(text.includes(mark), `${path}: ${mark} can be seen`);
  }
  const { text } = await dana.get(`/reviews/${String(second)}`);
  for (const shown of ['9007199254740993', '1.0', '1e400', '-0', '&quot;DELETE&quot;'])
    t.ok(text.includes(shown), shown);
  const lines = await ask(house, erin, { sql: 'SELECT 1\n",\n"approved": true', path: 'C:\\new' });
  const page = (await dana.get(`/reviews/${lines}`)).text;
  t.match(
    page,
    /SELECT 1\\n\n {4}\\&quot;,\\n\n {4}\\&quot;approved\\&quot;: true&quot;/,
    'lines below each other, and no quote that could end them',
  );
  t.match(page, /C:\\\\new&quot;/);
  t.match(page, /<details>/, 'the envelope is folded away');
  const odd = exact.replace('"name":', '"extra":{"sql":"DROP"},"name":').replace('ELETE', 'ELETE 2');
  const third = /rev_[\w-]+/.exec(
    (
      await send(url, erin, odd, {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'execute_sql',
      })
    ).text,
  )?.[0];
  const whole = (await dana.get(`/reviews/${String(third)}`)).text;
  t.match(whole, /DROP/);
  t.notMatch(whole, /<details>/, 'but nothing is, when something unusual stands beside the arguments');
  const own = new Browser(gateway);
  await own.signIn(erin);
  t.notMatch((await own.get('/')).text, /<script|<img/, 'nor can a name of his act on himself');
  for (const path of ['/reviews/%3Cscript%3Ealert(1)%3C%2Fscript%3E', '/reviews/%22%3E%3Cimg%3E', '/%3Cscript%3E'])
    t.notMatch((await new Browser(gateway).get(path)).text, /<script|<img/, path);
});

t.test('what is too long for the inbox is decided on its own page only, where all of it is seen', async (t) => {
  const house = await start(t);
  const { gateway } = house;
  const erin = await gateway.person('erin', ['eng']);
  const id = await ask(house, erin, { sql: `SELECT 1 ${'-- '.repeat(10_000)} DROP TABLE orders` });
  const dana = new Browser(gateway);
  await dana.signIn(await gateway.person('dana', ['dba']));
  const inbox = (await dana.get('/')).text;
  t.match(inbox, /Its arguments are long/);
  t.notMatch(inbox, /value="APPROVED"|SELECT 1/);
  const whole = (await dana.get(`/reviews/${id}`)).text;
  t.match(whole, /DROP TABLE orders/);
  t.match(whole, /value="APPROVED"/);
});

t.test('every page forbids scripts, frames, sniffing and storing [console-headers]', async (t) => {
  const house = await start(t);
  const { gateway } = house;
  const id = await ask(house, await gateway.person('erin', ['eng']));
  const dana = new Browser(gateway);
  const login = await dana.signIn(await gateway.person('dana', ['dba']));
  const pages: readonly (readonly [string, Page])[] = [
    ['sign-in', await new Browser(gateway).get('/')],
    ['signed in', login],
    ['refused', await new Browser(gateway).post('/login', { token: 'x' })],
    ['inbox', await dana.get('/')],
    ['review', await dana.get(`/reviews/${id}`)],
    ['no review', await dana.get('/reviews/rev_no')],
    ['foreign form', await dana.post(`/reviews/${id}`, { status: 'APPROVED' })],
    ['style', await dana.get('/assets/console.css')],
    ['signed out', await dana.post('/logout', { csrf: await dana.csrf() })],
  ];
  for (const [title, { headers, text }] of pages) {
    const policy = headers.get('content-security-policy') ?? '';
    for (const part of [
      "default-src 'none'",
      "style-src 'self'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
      t.ok(policy.split('; ').includes(part), `${title}: ${part}`);
    t.notMatch(policy, /unsafe|\*|script-src/, title);
    t.match(Object.fromEntries(headers), {
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    });
    if (title !== 'style')
      t.notMatch(
        text,
        /<script|<style|javascript:|https?:\/\/(?!127)/i,
        `${title}: nothing inline, nothing from elsewhere`,
      );
  }
  t.equal(pages.at(-1)![1].status, 303);
  t.match(pages.at(-1)![1].headers.get('set-cookie'), /^portcullis=; .*Max-Age=0/);
  t.match(pages[7]![1].headers.get('content-type'), /^text\/css/);
});

t.test(
  'a session of the console ends with its token, its time, or its seal [revoked-at-once] [console-session-ends]',
  async (t) => {
    let now = Date.now();
    const house = await start(t, {}, () => now);
    const { gateway } = house;
    const id = await ask(house, await gateway.person('erin', ['eng']));
    const token = await gateway.person('dana', ['dba']);
    const dana = new Browser(gateway);
    await dana.signIn(token);
    const csrf = await dana.csrf();
    const sealed = dana.cookie!;
    for (const cookie of [
      sealed.slice(0, -4),
      `${sealed}AAAA`,
      sealed.replace(/.(?=.{30}$)/, (char) => (char === 'A' ? 'B' : 'A')),
      'portcullis=',
      `portcullis=${'A'.repeat(200)}`,
      `portcullis=${token}`,
    ]) {
      dana.cookie = cookie;
      t.match((await dana.get('/')).text, SIGN_IN, `${cookie.slice(0, 20)}...`);
      t.equal((await dana.post(`/reviews/${id}`, { csrf, status: 'APPROVED' })).status, 401);
    }
    const elsewhere = await start(t);
    const foreign = new Browser(elsewhere.gateway);
    await foreign.signIn(await elsewhere.gateway.person('dana', ['dba']));
    dana.cookie = foreign.cookie;
    t.match((await dana.get('/')).text, SIGN_IN, 'a cookie of another gateway');

    dana.cookie = sealed;
    t.match((await dana.get('/')).text, /Waiting for approval/, 'the untouched one is still good');
    now += 12 * 3_600_000 + 1;
    t.match((await dana.get('/')).text, SIGN_IN, 'twelve hours later it is not');
    await dana.signIn(token);
    t.match((await dana.get('/')).text, /Waiting for approval/);
    const { tokens } = gateway.portcullis.gateway.recorder;
    await tokens.revoke((await tokens.list()).find(({ name }) => name === 'dana')!.id, {
      issuer: 'test',
      subject: 'test',
    });
    t.match((await dana.get('/')).text, SIGN_IN, 'nor after the token was revoked');
    t.equal((await dana.post(`/reviews/${id}`, { csrf: 'any', status: 'APPROVED' })).status, 401);
    t.equal(await stateOf(house, id), 'PENDING');
  },
);

t.test('forms of another type or size are refused without harm', async (t) => {
  const { gateway } = await start(t);
  const login = (headers: readonly string[], body: string): Promise<string> =>
    talk(gateway.url, request({ target: '/login', headers, body }));
  t.strictSame(statuses(await login([], '{"token":"x"}')), [415]);
  t.strictSame(statuses(await login(['Content-Type: multipart/form-data; boundary=x'], '--x--')), [415]);
  t.strictSame(
    statuses(await login(['Content-Type: application/x-www-form-urlencoded'], `token=${'a'.repeat(20_000)}`)),
    [413],
  );
  t.strictSame(
    statuses(await login(['Content-Type: application/x-www-form-urlencoded'], 'token=a&token=b&%&=&%zz=%')),
    [401],
  );
  t.strictSame(
    statuses(await login(['Content-Type: application/x-www-form-urlencoded', 'Host: evil.example'], 'token=a')),
    [401],
  );
  for (const target of ['/login', '/logout'])
    t.strictSame(statuses(await talk(gateway.url, request({ method: 'GET', target }))), [404], `GET ${target}`);
});
