import t from 'tap';
import fc from 'fast-check';
import { parseTree } from '../../policies/json/tree.ts';
import { splice } from '../../policies/json/splice.ts';
import type { Json, JsonObject } from '../../policies/types.ts';
import { governCapabilities } from '../../proxy/modern/capabilities.ts';
import { ListenGate, closing, shrinkListen } from '../../proxy/modern/listen.ts';
import { StreamGate } from '../../proxy/modern/stream-gate.ts';
import { TaskOwners, checkCreatedTask, filterTaskList, requireTasks, taskIdOf } from '../../proxy/modern/tasks.ts';
import type { Frame } from '../../proxy/types.ts';
import { cutItems, cutMembers } from '../../proxy/wire/cut.ts';
import { answer, fromClient, fromServer, notification, request } from './frames.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

t.test('cutting leaves one comma between what stays, and every other unit as it was [J-09]', async (t) => {
  const space = fc.constantFrom('', ' ', '\n\t', '  ');
  const value = fc.constantFrom('9007199254740993', '1.0', '"a,b"', '{ "x" : [1 ,2]}', '[]', 'null', '"\\u002c"');
  const items = fc.array(fc.tuple(space, value, space, fc.boolean()), { maxLength: 7 });
  fc.assert(
    fc.property(items, space, (parts, inside) => {
      const list = parts.length === 0 ? `[${inside}]` : `[${parts.map(([a, v, b]) => a + v + b).join(',')}]`;
      const tree = parseTree(list);
      if (tree.type !== 'array') throw new Error('no array');
      const kept = new Map(tree.items.map((item, i) => [item, parts[i]![3]]));
      const cut = splice(
        list,
        cutItems(tree, (item) => kept.get(item) === true),
      );
      const left = parseTree(cut);
      if (left.type !== 'array') throw new Error('no array');
      t.strictSame(
        left.items.map(({ start, end }) => cut.slice(start, end)),
        parts.filter(([, , , keep]) => keep).map(([, text]) => text),
      );

      const object = `{${parts.map(([a, v, b], i) => `${a}"k${i}"${b}:${a}${v}${b}`).join(',')}}`;
      const node = parseTree(object);
      if (node.type !== 'object') throw new Error('no object');
      const shorter = splice(
        object,
        cutMembers(node, ({ key }) => parts[Number(key.slice(1))]![3]),
      );
      t.strictSame(
        JSON.parse(shorter),
        Object.fromEntries(parts.flatMap(([, text, , keep], i) => (keep ? [[`k${i}`, JSON.parse(text)]] : []))),
      );
      if (parts.every(([, , , keep]) => keep)) t.equal(shorter, object);
    }),
  );
});

const listenText = (filter: string, id = '7'): string =>
  `{"jsonrpc":"2.0", "id" : ${id},"method":"subscriptions/listen","params":{"big":9007199254740993,"not\\u0069fications":${filter},"one":1.0 }}`;
const sees = (uri: string): boolean => uri.startsWith('file:///open') || uri.startsWith('mail:');
const owns = (id: string): boolean => id === 'mine';

t.test('a listen request loses the resources and tasks that its caller may not see [L-03]', async (t) => {
  const shrunk = (filter: string): string => shrinkListen(fromClient(listenText(filter)), sees, owns).text;
  const cases: readonly [string, string][] = [
    ['{}', '{}'],
    ['{"toolsListChanged":true}', '{"toolsListChanged":true}'],
    [
      '{ "resourceSubscriptions" : [ "file:///open/a" , "file:///secret","mail:1" ], "x":-0 }',
      '{ "resourceSubscriptions" : [ "file:///open/a","mail:1" ], "x":-0 }',
    ],
    ['{"resource\\u0053ubscriptions":["file:\\/\\/\\/secret"]}', '{"resource\\u0053ubscriptions":[]}'],
    [
      '{"taskIds":["hers", "mine" ,"his"],"promptsListChanged":false}',
      '{"taskIds":["mine"],"promptsListChanged":false}',
    ],
  ];
  for (const [before, after] of cases) t.equal(shrunk(before), listenText(after), before);
  const wrong = [
    '[]',
    'null',
    '{"resourceSubscriptions":"file:///secret"}',
    '{"resourceSubscriptions":[["file:///secret"]]}',
    '{"taskIds":{"0":"hers"}}',
    '{"toolsListChanged":"true"}',
    '{"resourcesListChanged":1}',
  ];
  for (const filter of wrong) t.throws(() => shrunk(filter), { code: 'params_invalid', row: { rpc: -32602 } }, filter);
  const without = fromClient('{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}');
  t.throws(() => shrinkListen(without, sees, owns), { code: 'params_invalid' });
  t.throws(() => new ListenGate(without, sees), { code: 'params_invalid' });
});

const EVERYTHING: JsonObject = {
  toolsListChanged: true,
  promptsListChanged: false,
  resourceSubscriptions: ['file:///open/dir', 'mail:/'],
  taskIds: ['mine'],
  vendorThing: {},
};
const gate = (filter: JsonObject = EVERYTHING, id = '7'): ListenGate =>
  new ListenGate(fromClient(listenText(JSON.stringify(filter), id)), sees);
const told = (method: string, params: JsonObject = {}, id: Json = 7): Frame =>
  notification(method, { ...params, _meta: { [SUBSCRIPTION]: id } });
const acknowledged = (notifications: Json, id: Json = 7): Frame =>
  told('notifications/subscriptions/acknowledged', { notifications }, id);
const open = (filter?: JsonObject): ListenGate => {
  const opened = gate(filter);
  if (opened.fault(acknowledged({})) !== undefined) throw new Error('not acknowledged');
  return opened;
};

t.test('a listen stream begins with the acknowledgement of what was asked for, and no more [L-01]', async (t) => {
  const list = told('notifications/tools/list_changed');
  const first = gate();
  t.match(first.fault(list), /before the acknowledgement/);
  t.equal(first.fault(acknowledged(EVERYTHING)), undefined);
  t.match(first.fault(acknowledged({})), /second/);
  t.equal(first.fault(list), undefined);

  const honest: Json[] = [
    {},
    { toolsListChanged: true },
    { promptsListChanged: false },
    { taskIds: [] },
    { taskIds: ['mine'] },
  ];
  for (const subset of honest) t.equal(gate().fault(acknowledged(subset)), undefined, JSON.stringify(subset));
  const others: Json[] = [
    { promptsListChanged: true },
    { resourcesListChanged: true },
    { resourceSubscriptions: ['file:///open/dir', 'file:///secret'] },
    { taskIds: ['hers'] },
    { otherVendor: true },
    { toolsListChanged: 1 },
    [],
    null,
  ];
  for (const other of others) {
    const refused = gate();
    t.type(refused.fault(acknowledged(other)), 'string', JSON.stringify(other));
    t.match(refused.fault(list), /before the acknowledgement/, 'which then does not count');
  }
});

t.test('every message carries the id of its subscription with its JSON type [L-01]', async (t) => {
  for (const wrong of ['7', 8, null, [7], 7.5]) t.match(gate().fault(acknowledged({}, wrong)), /without the id/);
  t.match(gate(EVERYTHING, '"7"').fault(acknowledged({}, 7)), /without the id/);
  t.equal(gate(EVERYTHING, '"7"').fault(acknowledged({}, '7')), undefined);
  t.equal(gate(EVERYTHING, '"\\u0037"').fault(acknowledged({}, '7')), undefined, 'escapes do not count');
  t.match(open().fault(notification('notifications/tools/list_changed')), /without the id/);
  t.match(open().fault(told('notifications/tools/list_changed', {}, 8)), /without the id/);
});

t.test('nothing comes that was not asked for, no progress, no log, no request [L-02] [L-05] [E-05]', async (t) => {
  const fault = (frame: Frame): string | undefined => open().fault(frame);
  t.equal(fault(told('notifications/tools/list_changed')), undefined);
  t.match(fault(told('notifications/prompts/list_changed')), /not asked for/);
  t.match(fault(told('notifications/resources/list_changed')), /not asked for/);
  t.equal(fault(told('notifications/tasks', { taskId: 'mine' })), undefined);
  t.match(fault(told('notifications/tasks', { taskId: 'hers' })), /not asked for/);
  t.match(fault(told('notifications/tasks')), /not asked for/);
  for (const method of [
    'notifications/progress',
    'notifications/message',
    'notifications/vendor',
    'notifications/initialized',
  ])
    t.match(fault(told(method, { progressToken: 7, progress: 1, level: 'error' })), /no place/);
  t.match(fault(fromServer('{"jsonrpc":"2.0","id":1,"method":"roots/list"}')), /a request/);
  t.equal(fault(notification('notifications/cancelled', { requestId: 7 })), undefined);
  t.match(fault(notification('notifications/cancelled', { requestId: '7' })), /another request/);

  const uris: readonly [string, boolean][] = [
    ['file:///open/dir', true],
    ['file:///open/dir/sub', true],
    ['file:///open/dir#part', true],
    ['file:///open/dir?v=2', true],
    ['mail:/1', true],
    ['file:///open/directory', false],
    ['file:///open', false],
    ['file:///secret', false],
    ['FILE:///open/dir', false],
    ['file:///open/dir/../other', false],
    ['file:///open/dir/..', false],
    ['file:///open/dir/%2E%2e/other', false],
    ['file:///open/dir/a%2f..%2f..%2fother', false],
    ['file:///open/dir\\..\\other', false],
  ];
  for (const [uri, admitted] of uris)
    t.equal(fault(told('notifications/resources/updated', { uri })) === undefined, admitted, uri);
  t.match(fault(told('notifications/resources/updated', { uri: 7 })), /not asked for/);
  const blind = new ListenGate(fromClient(listenText('{"resourceSubscriptions":["file:///open/dir"]}')), (uri) =>
    uri.endsWith('dir'),
  );
  blind.fault(acknowledged({}));
  t.match(blind.fault(told('notifications/resources/updated', { uri: 'file:///open/dir/hidden' })), /not asked for/);
});

t.test('a listen stream ends with its own result [L-04]', async (t) => {
  const end = (id: Json, subscription: Json): Frame =>
    fromServer(
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: { resultType: 'complete', _meta: { [SUBSCRIPTION]: subscription } },
      }),
    );
  t.equal(open().fault(end(7, 7)), undefined);
  t.match(open().fault(end('7', 7)), /another request/);
  t.match(open().fault(end(7, '7')), /without the id/);
  t.match(open().fault(fromServer('{"jsonrpc":"2.0","id":7,"result":{}}')), /without the id/);
  t.match(gate().fault(end(7, 7)), /before the acknowledgement/);
  t.equal(gate().fault(fromServer('{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no"}}')), undefined);
  for (const id of ['7', '"7"', '"\\u0037 \\""']) {
    const frame = closing(id);
    t.equal(
      frame.text,
      `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete","_meta":{"${SUBSCRIPTION}":${id}}}}`,
    );
    const own = gate(EVERYTHING, id);
    own.fault(
      fromServer(
        `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"${SUBSCRIPTION}":${id}}}}`,
      ),
    );
    t.equal(own.fault(frame), undefined);
  }
  t.throws(() => closing('{}'), TypeError);
});

const call = (meta: string): Frame =>
  fromClient(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{${meta}}}}`);
const progress = (token: string, value: string): Frame =>
  fromServer(
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${value}}}`,
  );

t.test("progress comes with the request's own token, by its type, and increases [P-01] [E-05]", async (t) => {
  const cases: readonly [string, string, boolean][] = [
    ['1', '1', true],
    ['1', '"1"', false],
    ['"1"', '1', false],
    ['"1"', '"\\u0031"', true],
    ['1', '2', false],
    ['1e3', '1000', true],
    ['9007199254740993', '9007199254740993', true],
    ['9007199254740993', '9007199254740992', false],
    ['"a"', '"A"', false],
    ['null', 'null', false],
    ['{}', '{}', false],
  ];
  for (const [token, came, admitted] of cases) {
    const fault = new StreamGate(call(`"progressToken":${token}`), 'modern').fault(progress(came, '1'));
    t.equal(fault === undefined, admitted, `${token} ${came}`);
  }
  t.match(new StreamGate(call(''), 'modern').fault(progress('1', '1')), /another request/);
  for (const value of ['null', '"1"', 'true', '[1]'])
    t.match(new StreamGate(call('"progressToken":1'), 'modern').fault(progress('1', value)), /not a number/);

  fc.assert(
    fc.property(fc.array(fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))), (values) => {
      const stream = new StreamGate(call('"progressToken":"p"'), 'modern');
      let last = Number.NEGATIVE_INFINITY;
      for (const value of values) {
        const fault = stream.fault(progress('"p"', JSON.stringify(value)));
        t.equal(fault === undefined, value > last);
        last = Math.max(last, value);
      }
    }),
  );
});

t.test('log messages come only when the request asked, and at its level [E-05]', async (t) => {
  const log = (level: Json): Frame => notification('notifications/message', { level, data: 'x' });
  const at = (level: string): StreamGate =>
    new StreamGate(call(`"io.modelcontextprotocol/log\\u004cevel":${level}`), 'modern');
  t.match(new StreamGate(call(''), 'modern').fault(log('emergency')), /did not ask/);
  for (const odd of ['"verbose"', '7', 'null', '"Debug"']) t.match(at(odd).fault(log('emergency')), /did not ask/);
  t.equal(at('"debug"').fault(log('debug')), undefined);
  t.equal(at('"warning"').fault(log('warning')), undefined);
  t.equal(at('"warning"').fault(log('critical')), undefined);
  t.match(at('"warning"').fault(log('notice')), /below/);
  for (const odd of ['verbose', 7, null]) t.match(at('"debug"').fault(log(odd)), /below/);
});

t.test('the stream of a modern request carries nothing else [E-05]', async (t) => {
  const stream = new StreamGate(call('"progressToken":1,"io.modelcontextprotocol/logLevel":"debug"'), 'modern');
  const methods = [
    'notifications/subscriptions/acknowledged',
    'notifications/tools/list_changed',
    'notifications/resources/updated',
    'notifications/tasks',
    'notifications/cancelled',
    'notifications/vendor',
  ];
  for (const method of methods) t.match(stream.fault(notification(method)), /no place/, method);
  t.match(stream.fault(fromServer('{"jsonrpc":"2.0","id":"s","method":"elicitation/create"}')), /a request/);
  t.equal(stream.fault(answer({})), undefined);
});

t.test('on a legacy stream only progress of another token is out of place [P-01]', async (t) => {
  const stream = new StreamGate(call('"progressToken":"p"'), 'legacy');
  t.equal(stream.fault(progress('"p"', '1')), undefined);
  t.match(stream.fault(progress('"p"', '1.0')), /does not increase/);
  t.match(stream.fault(progress('"q"', '2')), /another request/);
  t.equal(stream.fault(fromServer('{"jsonrpc":"2.0","id":"s","method":"roots/list"}')), undefined);
  t.equal(stream.fault(notification('notifications/message', { level: 'info' })), undefined);
  t.equal(new StreamGate(call(''), 'legacy').fault(progress('"q"', '2')), undefined);
});

t.test('capabilities of which the caller may see nothing are not told [V-02]', async (t) => {
  const text = (capabilities: string): string =>
    `{"jsonrpc":"2.0","id":1,"result":{"n":9007199254740993,"capab\\u0069lities" : ${capabilities},"tools":{"x":1.0}}}`;
  const all = { tools: true, prompts: true, resources: true };
  const cases: readonly [string, typeof all, string][] = [
    ['{"tools":{},"logging":{ }}', { ...all, prompts: false }, '{"logging":{ }}'],
    ['{ "logging":{} , "too\\u006cs":{"listChanged":true} }', all, '{ "logging":{} }'],
    ['{"tools":{}, "prompts":{},\n"resources":{"subscribe":true},"x":{"tools":1.0}}', all, '{"x":{"tools":1.0}}'],
    ['{"prompts":{},"tools":{},"resources":{}}', { ...all, tools: false }, '{"tools":{}}'],
    ['{ "tools":{} }', all, '{  }'],
    ['{"Tools":{},"toString":{},"extensions":{}}', all, '{"Tools":{},"toString":{},"extensions":{}}'],
    ['[]', all, '[]'],
  ];
  for (const [before, hidden, after] of cases)
    t.equal(governCapabilities(fromServer(text(before)), hidden).text, text(after), before);
  const frame = fromServer(text('{"tools":{}}'));
  t.equal(governCapabilities(frame, { tools: false, prompts: true, resources: true }), frame);
  t.equal(governCapabilities(frame, { tools: false, prompts: false, resources: false }), frame);
  const error = fromServer('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}');
  t.equal(governCapabilities(error, all), error);
});

const ada = { issuer: 'https://id.test', subject: 'ada' };
const eve = { issuer: 'https://id.test', subject: 'eve' };
const adaElsewhere = { issuer: 'https://other.test', subject: 'ada' };
const made = (taskId: Json, ttlMs: Json = 60_000): Frame => answer({ resultType: 'task', taskId, ttlMs });
const madeIn2025 = (taskId: Json, ttl: Json = 60_000): Frame => answer({ task: { taskId, ttl } });

t.test('a task belongs to whom it was made for, at its connection, for its time [A-09]', async (t) => {
  for (const make of [made, madeIn2025]) {
    const owners = new TaskOwners();
    t.ok(owners.learn(make('a'), 'tools/call', 'shop', ada, 1000));
    t.ok(owners.owns('shop', 'a', ada, 60_999));
    t.notOk(owners.owns('shop', 'a', eve, 1000));
    t.notOk(owners.owns('shop', 'a', adaElsewhere, 1000));
    t.notOk(owners.owns('bank', 'a', ada, 1000));
    t.notOk(owners.owns('shop', 'b', ada, 1000));
    t.notOk(owners.learn(make('a'), 'tools/call', 'shop', eve, 1000), 'nobody takes it over');
    t.ok(owners.owns('shop', 'a', ada, 1000));
    t.notOk(owners.owns('shop', 'a', ada, 61_000), 'its time is over');
    t.ok(owners.learn(make('forever', null), 'tools/call', 'shop', ada, 0));
    t.ok(owners.owns('shop', 'forever', ada, 86_399_999));
    t.notOk(owners.owns('shop', 'forever', ada, 86_400_000));
  }
  t.notOk(new TaskOwners().owns('shop', 'a', ada, 0), 'after a restart nobody owns anything');
});

t.test('a polled task lives as long as the upstream now says, and is never learnt by polling [A-09]', async (t) => {
  const owners = new TaskOwners();
  const polled = (taskId: string, ttlMs: number): Frame => answer({ taskId, status: 'working', ttlMs });
  owners.learn(made('a', 1000), 'tools/call', 'shop', ada, 0);
  t.ok(owners.learn(polled('a', 5000), 'tasks/get', 'shop', ada, 500));
  t.ok(owners.owns('shop', 'a', ada, 4999));
  t.notOk(owners.owns('shop', 'a', ada, 5000));
  t.ok(owners.learn(polled('b', 5000), 'tasks/get', 'shop', ada, 0));
  t.notOk(owners.owns('shop', 'b', ada, 0));
  owners.learn(made('c'), 'tools/call', 'shop', eve, 0);
  t.notOk(owners.learn(polled('c', 5000), 'tasks/get', 'shop', ada, 0), "somebody else's task in the answer");
  for (const frame of [
    answer({ content: [], _meta: { taskId: 'x' } }),
    answer({ task: { taskId: 7 } }),
    answer({ task: [] }),
  ])
    t.ok(owners.learn(frame, 'tools/call', 'shop', ada, 0), 'no task at all');
  t.ok(owners.learn(made('d'), 'prompts/get', 'shop', ada, 0));
  t.notOk(owners.owns('shop', 'd', ada, 0));
  t.notOk(owners.learn(made(''), 'tools/call', 'shop', ada, 0));
  t.notOk(owners.learn(made('x'.repeat(257)), 'tools/call', 'shop', ada, 0));
});

t.test('no more tasks are remembered than the limit: the oldest goes first', async (t) => {
  const owners = new TaskOwners(3);
  for (const id of ['a', 'b', 'c', 'd']) owners.learn(made(id), 'tools/call', 'shop', ada, 0);
  t.strictSame(
    ['a', 'b', 'c', 'd'].map((id) => owners.owns('shop', id, ada, 0)),
    [false, true, true, true],
  );
});

t.test('a list of tasks holds only those of its caller', async (t) => {
  const list = (tasks: string): Frame =>
    fromServer(`{"jsonrpc":"2.0","id":1,"result":{"t\\u0061sks": ${tasks},"n":1.0}}`);
  const kept = (tasks: string): string => filterTaskList(list(tasks), owns).text;
  t.equal(
    kept('[ {"taskId":"hers"}, {"task\\u0049d":"mine","ttl":9007199254740993} ,{"taskId":7},{},"mine"]'),
    list('[ {"task\\u0049d":"mine","ttl":9007199254740993}]').text,
  );
  t.equal(kept('[]'), list('[]').text);
  t.throws(() => kept('{"0":{"taskId":"hers"}}'), { code: 'upstream_invalid' });
  const error = fromServer('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}');
  t.equal(filterTaskList(error, owns), error);
});

t.test('the task of a request or notification is told by its id [A-09]', async (t) => {
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel', 'tasks/result'])
    t.equal(taskIdOf(request(method, { taskId: 'a' })), 'a');
  for (const method of ['notifications/tasks', 'notifications/tasks/status'])
    t.equal(taskIdOf(notification(method, { taskId: 'a' })), 'a');
  for (const odd of [{ taskId: 7 }, { taskId: ['a'] }, { taskId: null }, {}] as JsonObject[])
    t.equal(taskIdOf(request('tasks/get', odd)), '', 'which nobody owns');
  t.notOk(new TaskOwners().owns('shop', '', ada, 0));
  t.equal(taskIdOf(request('tasks/list')), undefined);
  t.equal(taskIdOf(request('tools/call', { taskId: 'a' })), undefined);
});

const WITH_TASKS: JsonObject = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

t.test('a task is made only for a tools/call that declares the extension [V-04]', async (t) => {
  const declared = request('tools/call', {}, WITH_TASKS);
  t.equal(checkCreatedTask(made('a'), declared), undefined);
  t.match(checkCreatedTask(made('a'), request('tools/call')), /does not declare/);
  t.match(
    checkCreatedTask(made('a'), request('tools/call', {}, { extensions: ['io.modelcontextprotocol/tasks'] })),
    /does not/,
  );
  t.match(checkCreatedTask(made('a'), request('prompts/get', {}, WITH_TASKS)), /prompts\/get/);
  t.match(checkCreatedTask(answer({ resultType: 'task', taskId: 'a', requestState: 's' }), declared), /requestState/);
  for (const id of [7, '', null, 'x'.repeat(257)]) t.match(checkCreatedTask(made(id), declared), /usable/);
  const escaped = fromServer('{"jsonrpc":"2.0","id":1,"result":{"resultType":"t\\u0061sk","taskId":"a"}}');
  t.match(checkCreatedTask(escaped, request('tools/call')), /does not declare/);
  t.equal(checkCreatedTask(answer({ taskId: 'a', content: [] }), request('tools/call')), undefined);
});

t.test('requests about tasks that do not declare the extension are refused by its name [V-04] [E-11]', async (t) => {
  const refusal = {
    code: 'capability_missing',
    row: { rpc: -32021, http: 400 },
    data: { requiredCapabilities: WITH_TASKS },
  };
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    t.throws(() => requireTasks(request(method, { taskId: 'a' })), refusal);
    t.doesNotThrow(() => requireTasks(request(method, { taskId: 'a' }, WITH_TASKS)));
  }
  t.throws(() => requireTasks(request('subscriptions/listen', { notifications: { taskIds: [] } })), refusal);
  t.doesNotThrow(() => requireTasks(request('subscriptions/listen', { notifications: { toolsListChanged: true } })));
  t.doesNotThrow(() => requireTasks(request('tools/call', { name: 'a' })));
});
