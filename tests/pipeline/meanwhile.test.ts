import t from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, send, startGateway } from '../gateway.ts';
import { parseConfig } from '../../proxy/config.ts';

const RULE = { name: 'writes', connections: ['default'], access_type: 'command', reviewers_groups: ['dba'] };

const pendingId = (json: JsonObject): string =>
  String((((json['result'] as JsonObject)['_meta'] as JsonObject)['portcullis/pending'] as JsonObject)['review_id']);
const codeOf = (json: JsonObject): unknown =>
  (((json['result'] as JsonObject)['_meta'] as JsonObject)['portcullis/denial'] as JsonObject)['code'];

t.test(
  'what was approved is what runs: a tool or approval rules that changed while the call was held stop it [approval-binds-tool-and-rules]',
  async (t) => {
    let description = 'Writes.';
    const tools = (): object[] => [{ name: 'write', description, inputSchema: { type: 'object' } }];
    const upstream = await startUpstream({
      on: {
        'tools/list': (request) => ({
          result: { ...request.complete, tools: tools(), ttlMs: 0, cacheScope: 'private' },
        }),
      },
      tools: {
        write: (request) => ({ result: { ...request.complete, content: [{ type: 'text', text: 'written' }] } }),
      },
    });
    t.teardown(() => upstream.close());
    const config = {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng', 'dba'] } }],
      access_request_rules: [RULE],
    };
    const gateway = await startGateway(t, config);
    const { recorder, catalogs } = gateway.portcullis.gateway;
    const [erin, dana] = [await gateway.person('erin', ['eng']), await gateway.person('dana', ['dba'])];
    const held = async (n: number, meanwhile: () => void): Promise<JsonObject> => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const stop = recorder.reviews.onChange((review) => review.state === 'PENDING' && resolve(review.id));
      const call = callTool(`${gateway.url}/mcp`, erin, 'write', { n });
      const id = await promise;
      stop();
      meanwhile();
      await send(`${gateway.url}/api/reviews/${id}`, dana, JSON.stringify({ status: 'APPROVED' }), {}, 'PUT');
      return (await call).json;
    };
    const changedTool = await held(1, () => {
      description = 'Writes, and sends a copy elsewhere.';
      catalogs.forget('default');
    });
    t.equal(codeOf(changedTool), 'review_wrong_state');
    t.equal(upstream.received('write').length, 0);

    const stricter = {
      ...config,
      access_request_rules: [{ ...RULE, min_approvals: 2 }],
      hold: { inline_timeout: '0s' },
    };
    const changedRules = await held(2, () =>
      gateway.portcullis.apply(parseConfig(JSON.stringify(stricter), `${gateway.folder}/config.yaml`, {})),
    );
    t.equal(codeOf(changedRules), 'review_wrong_state');
    const again = await callTool(`${gateway.url}/mcp`, erin, 'write', { n: 2 });
    t.match(pendingId(again.json), /^rev_/, 'asked again, it waits under the rules of now');
    t.equal(upstream.received('write').length, 0);
  },
);

t.test(
  'a list that is sent again on a GET stream is cut like the first time [access-second-paths] [S-10]',
  async (t) => {
    const upstream = await startUpstream();
    t.teardown(() => upstream.close());
    const gateway = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
      access_control: [{ name: 'narrow', connections: ['default'], groups: ['eng'], tools: { allow: ['echo'] } }],
    });
    const erin = await gateway.person('erin', ['eng']);
    const url = `${gateway.url}/mcp`;
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const opened = await send(url, erin, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
    const headers = {
      authorization: `Bearer ${erin}`,
      accept: 'text/event-stream',
      'mcp-session-id': opened.headers.get('mcp-session-id')!,
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': 'e-1',
    };
    const response = await fetch(url, { headers });
    const stream = await upstream.opened();
    const tools = ['echo', 'secrets'].map((name) => ({ name, inputSchema: { type: 'object' } }));
    stream.send({ jsonrpc: '2.0', id: 9, result: { tools } }, { id: 'e-2' });
    stream.end();
    const text = await response.text();
    t.match(text, /"name":"echo"/);
    t.notMatch(text, /secrets/, 'what is hidden stays hidden');
  },
);
