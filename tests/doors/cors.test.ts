import t, { type Test } from 'tap';
import { startUpstream } from '../fixture/upstream.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { dial, request, talk } from './raw.ts';

const SITE = 'https://inspector.example.com';
const OWN = 'http://127.0.0.1:8800';
const EVIL = 'https://evil.example';
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const EXPOSED = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After';

async function start(t: Test): Promise<{ gateway: TestGateway; erin: string; requests: readonly unknown[] }> {
  const upstream = await startUpstream({ sessions: false });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(t, {
    server: { listen: '127.0.0.1:0', public_url: OWN, allowed_origins: [SITE], max_in_flight: 1 },
    connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
  });
  return { gateway, erin: await gateway.person('erin', ['eng']), requests: upstream.requests };
}

/** The answer to a request: its status, and its headers in lower case. */
function parse(answer: string): { readonly status: number; readonly headers: ReadonlyMap<string, string> } {
  const [head = ''] = answer.split('\r\n\r\n');
  const [line = '', ...rest] = head.split('\r\n');
  const headers = rest.map((each): [string, string] => {
    const colon = each.indexOf(':');
    return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()];
  });
  return { status: Number(line.split(' ')[1]), headers: new Map(headers) };
}

const grants = (headers: ReadonlyMap<string, string>): readonly string[] =>
  [...headers.keys()].filter((name) => name.startsWith('access-control-'));

t.test(
  'scripts of an allowed site may read every answer, refusals too; others never [H-01] [cors-by-configuration]',
  async (t) => {
    const { gateway, erin } = await start(t);
    const bearer = `Authorization: Bearer ${erin}`;
    const rows: readonly (readonly [title: string, status: number, bytes: Parameters<typeof request>[0]])[] = [
      ['an answer', 200, { headers: [bearer], body: PING }],
      ['no token', 401, { body: PING }],
      ['no JSON', 400, { headers: [bearer], body: '{' }],
      ['another type', 415, { headers: [bearer, 'Content-Type: text/plain'], body: PING }],
      ['a malformed type', 415, { headers: [bearer, 'Content-Type: ,'], body: PING }],
      ['a method that is not served', 405, { headers: [bearer], method: 'PUT' }],
      ['an unknown connection', 404, { headers: [bearer], body: PING, target: '/mcp/nothing' }],
      ['the gateway itself', 200, { headers: [bearer], body: PING, target: '/api/mcp' }],
      ['an operation', 200, { headers: [bearer], method: 'GET', target: '/api/me' }],
      ['an operation without a token', 401, { method: 'GET', target: '/api/me' }],
      ['an operation that fails', 403, { headers: [bearer], method: 'GET', target: '/api/tokens' }],
    ];
    for (const [title, status, each] of rows) {
      for (const origin of [SITE, OWN]) {
        const bytes = request({ ...each, headers: [...(each.headers ?? []), `Origin: ${origin}`] });
        const answer = parse(await talk(gateway.url, bytes));
        t.equal(answer.status, status, title);
        t.equal(answer.headers.get('access-control-allow-origin'), origin, title);
        t.equal(answer.headers.get('access-control-expose-headers'), EXPOSED, title);
        t.match(answer.headers.get('vary'), /\bOrigin\b/, title);
        t.notOk(answer.headers.has('access-control-allow-credentials'), title);
      }
      const evil = parse(
        await talk(gateway.url, request({ ...each, headers: [...(each.headers ?? []), `Origin: ${EVIL}`] })),
      );
      t.equal(evil.status, 403, title);
      t.same(grants(evil.headers), [], title);
      const plain = parse(await talk(gateway.url, request(each)));
      t.same([plain.status, grants(plain.headers)], [status, []], `${title}, from a program`);
    }
    t.equal(
      parse(await talk(gateway.url, request({ body: PING, headers: [`Origin: ${SITE}`] }))).headers.has(
        'www-authenticate',
      ),
      true,
    );

    const stream = dial(gateway.url);
    stream.write(request({ method: 'GET', headers: [bearer, `Origin: ${SITE}`, 'Accept: text/event-stream'] }));
    const opened = parse(await stream.until(/\n\n/));
    t.match(opened.headers.get('content-type'), 'text/event-stream');
    t.equal(opened.headers.get('access-control-allow-origin'), SITE, 'streams too');
    stream.drop();
  },
);

t.test(
  'a preflight is answered without a token, for allowed sites on our own host only [H-01] [H-02] [cors-by-configuration]',
  async (t) => {
    const { gateway, requests } = await start(t);
    const ask = async (
      origin: string,
      target: string,
      ...more: readonly string[]
    ): Promise<ReturnType<typeof parse>> => {
      const headers = [`Origin: ${origin}`, 'Access-Control-Request-Method: POST', ...more];
      return parse(await talk(gateway.url, request({ method: 'OPTIONS', target, headers })));
    };
    for (const target of ['/mcp', '/mcp/default', '/mcp/nothing', '/api/mcp', '/api/me']) {
      const { status, headers } = await ask(SITE, target);
      t.equal(status, 204, target);
      t.equal(headers.get('access-control-allow-origin'), SITE);
      t.match(headers.get('access-control-allow-methods'), target === '/api/me' ? /^GET$/ : /^GET, POST, DELETE$/);
      t.match(
        headers.get('access-control-allow-headers'),
        /^Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name$/,
      );
      t.match(headers.get('access-control-max-age'), /^\d+$/);
      t.match(headers.get('vary'), /Origin/);
      t.notOk(headers.has('access-control-allow-credentials'));
      const evil = await ask(EVIL, target);
      t.same([evil.status, grants(evil.headers)], [403, []], `${target} for another site`);
      const rebound = await ask(SITE, target, 'Host: evil.example');
      t.same([rebound.status, grants(rebound.headers)], [421, []], `${target} under another name`);
    }
    t.same(grants((await ask('null', '/mcp')).headers), []);

    const asked = [
      'mcp-param-region',
      'Mcp-Param-Tenant',
      'x-other',
      'mcp-param-',
      'mcp-param-a b',
      ...Array.from({ length: 60 }, (_, n) => `mcp-param-n${n}`),
    ];
    const { headers } = await ask(SITE, '/mcp', `Access-Control-Request-Headers: ${asked.join(', ')}`);
    const allowed = headers.get('access-control-allow-headers')?.split(', ').slice(8) ?? [];
    t.same(
      allowed.slice(0, 3),
      ['mcp-param-region', 'Mcp-Param-Tenant', 'mcp-param-n0'],
      'headers of a tool, and no others',
    );
    t.equal(allowed.length, 50);

    const plain = parse(await talk(gateway.url, request({ method: 'OPTIONS' })));
    t.equal(plain.status, 401, 'OPTIONS that is no preflight is a request like any other');
    t.equal(requests.length, 0, 'nothing reached the upstream');
  },
);
