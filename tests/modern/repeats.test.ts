import t from 'tap';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../policies/types.ts';
import { GatewayError } from '../../proxy/errors.ts';
import { checkInputRequired, inputRequestsOf } from '../../proxy/modern/input-required.ts';
import { stripOwnInputs, unwrapState, wrapState } from '../../proxy/modern/request-state.ts';
import { Seal } from '../../proxy/seal.ts';
import type { Frame } from '../../proxy/types.ts';
import { answer, fromClient, fromServer, request } from './frames.ts';

const seal = new Seal([Buffer.alloc(32, 7)], 'request-state');
const ada = { principal: { issuer: 'https://id.test', subject: 'ada' }, connection: 'shop' };
const NOON = 1_800_000_000_000;

/** Odd white space, escaped names, numbers that no parser keeps: all of it must come out as it went in. */
const ANSWER = [
  ' { "jsonrpc":"2.0",\t"id" : 7 ,\n"result":{"big":9007199254740993,"res\\u0075ltType":"input\\u005frequired", "request\\u0053tate" :\n',
  ' ,"one":1.0,"neg":-0,"huge":1e400,"inputRequests":{"a":{"method":"roots/list"}},"unknown":["\\/"]} }\n',
] as const;
const REPEAT = [
  '{"params": {"name":"pay","arguments":{"amount":9007199254740993,"rate":1.0},\t"request\\u0053tate" : ',
  ',"inputResponses":{"a" : {"roots":[]}},"extra":-0 },"jsonrpc":"2.0","id":"8","method":"tools/call"}',
] as const;
const FIRST = fromClient(
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"extra":-0,"arguments":{"rate":1.0,"amount":9007199254740993},"_meta":{"x":1},"name":"pay"}}',
);

const upstreamSays = (token: string): Frame => fromServer(ANSWER.join(token));
const wrapped = (token: string, owner = ada, first = FIRST): string => {
  const { text } = wrapState(upstreamSays(token), { ...owner, request: first }, seal, NOON);
  if (!text.startsWith(ANSWER[0]) || !text.endsWith(ANSWER[1])) throw new Error(`something else changed: ${text}`);
  return text.slice(ANSWER[0].length, -ANSWER[1].length);
};
const repeat = (token: string): Frame => fromClient(REPEAT.join(token));

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return 'admitted';
}

/** Any string as JSON, with or without escapes. */
const tokens = fc
  .tuple(fc.string({ unit: 'grapheme' }), fc.boolean())
  .map(([value, escaped]) =>
    escaped
      ? `"${Array.from(value.toWellFormed(), (unit) => [...Array(unit.length).keys()].map((i) => `\\u${unit.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')).join('')}"`
      : JSON.stringify(value.toWellFormed()),
  );

t.test('an upstream gets its own state back in its exact bytes, and nothing else changes [M-05] [J-09]', async (t) => {
  fc.assert(
    fc.property(tokens, (token) => {
      const held = wrapped(token);
      t.match(held, /^"gw\.[A-Za-z0-9_-]+"$/);
      const spelt = held.replace('gw.', '\\u0067w\\u002e');
      for (const back of [held, spelt])
        t.equal(unwrapState(repeat(back), ada, seal, NOON + 1).text, REPEAT.join(token));
    }),
  );
  t.notOk(wrapped('"secret-of-the-upstream"').includes('secret'), 'the client cannot read it');
});

t.test('an answer without a state gets none, and other answers are left alone [M-05]', async (t) => {
  for (const text of [
    '{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}}',
    '{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","requestState":"x","note":"input_required"}}',
    '{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"input_required","data":{"requestState":"x"}}}',
  ]) {
    const frame = fromServer(text);
    t.equal(wrapState(frame, { ...ada, request: FIRST }, seal, NOON), frame);
  }
  for (const token of ['7', 'null', '{}', `"${'x'.repeat(400_000)}"`])
    t.equal(
      refused(() => wrapped(token)),
      'upstream_invalid',
      token.slice(0, 9),
    );
});

t.test(
  'a state of another principal, connection, method or parameters, an altered or expired one is refused [M-04]',
  async (t) => {
    const held = wrapped('"s"');
    const eve = { ...ada, principal: { issuer: 'https://id.test', subject: 'eve' } };
    const elsewhere = { ...ada, principal: { issuer: 'https://other.test', subject: 'ada' } };
    const other = { ...ada, connection: 'bank' };
    const is = (name: string, expected: string, run: () => unknown): void => {
      t.equal(refused(run), expected, name);
    };
    const bad = 'request_state_invalid';
    is('as it was made', 'admitted', () => unwrapState(repeat(held), ada, seal, NOON));
    is('in its last moment', 'admitted', () => unwrapState(repeat(held), ada, seal, NOON + 3_599_999));
    is('an hour later', bad, () => unwrapState(repeat(held), ada, seal, NOON + 3_600_000));
    is('another subject', bad, () => unwrapState(repeat(held), eve, seal, NOON));
    is('another issuer', bad, () => unwrapState(repeat(held), elsewhere, seal, NOON));
    is('another connection', bad, () => unwrapState(repeat(held), other, seal, NOON));
    is('another key', bad, () =>
      unwrapState(repeat(held), ada, new Seal([Buffer.alloc(32, 8)], 'request-state'), NOON),
    );
    is('another purpose', bad, () => unwrapState(repeat(held), ada, new Seal([Buffer.alloc(32, 7)], 'x'), NOON));
    is('appended to', bad, () => unwrapState(repeat(held.replace(/"$/, '-TAMPERED"')), ada, seal, NOON));
    for (const token of ['"s"', '"gw."', '""', '"gw.AAAA"', 'null', '7', '{}', `"gw.${'A'.repeat(600_000)}"`])
      is(token.slice(0, 12), bad, () => unwrapState(repeat(token), ada, seal, NOON));
    const changed = (from: string, to: string): Frame => fromClient(repeat(held).text.replace(from, to));
    is('another tool', bad, () => unwrapState(changed('"pay"', '"refund"'), ada, seal, NOON));
    is('another digit', bad, () => unwrapState(changed('740993', '740992'), ada, seal, NOON));
    is('another lexeme', bad, () => unwrapState(changed('1.0', '1'), ada, seal, NOON));
    is('another member', bad, () => unwrapState(changed('"extra"', '"extras"'), ada, seal, NOON));
    is('another method', bad, () => unwrapState(changed('tools/call', 'prompts/get'), ada, seal, NOON));
    is('other answers', 'admitted', () => unwrapState(changed('"roots":[]', '"roots":[1]'), ada, seal, NOON));
    is('a new id', 'admitted', () => unwrapState(changed('"id":"8"', '"id":99'), ada, seal, NOON));
    const flips = fc.nat({ max: held.length - 6 });
    fc.assert(
      fc.property(flips, fc.constantFrom('A', 'b', '_', '9'), (at, letter) => {
        const forged = held.slice(0, at + 4) + letter + held.slice(at + 5);
        if (forged === held) return;
        t.equal(
          refused(() => unwrapState(repeat(forged), ada, seal, NOON)),
          bad,
        );
      }),
    );
  },
);

t.test('requests without a state, and other methods, pass as they are', async (t) => {
  for (const frame of [
    FIRST,
    request('tools/call', { name: 'x', arguments: { requestState: 'gw.x' } }),
    request('tools/list', { requestState: 'theirs' }),
  ])
    t.equal(unwrapState(frame, ada, seal, NOON), frame);
});

t.test("answers to the gateway's own questions never reach an upstream [M-08]", async (t) => {
  const text = (responses: string): string =>
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a", "input\\u0052esponses" : ${responses} ,"n":1.0}}`;
  const cases: readonly [string, string | undefined][] = [
    ['{ "portcullis.a":{}, "b" : {"x":1.0} }', '{ "b" : {"x":1.0} }'],
    ['{ "b" : {"x":1.0} ,\n"portcullis\\u002ea":{} }', '{ "b" : {"x":1.0} }'],
    ['{"a":1,"portcullis.1":{},"portcullis.2":[],"c":-0}', '{"a":1,"c":-0}'],
    [
      '{"a":{"portcullis.":1},"Portcullis.b":2,"portcullis":3}',
      '{"a":{"portcullis.":1},"Portcullis.b":2,"portcullis":3}',
    ],
    ['{}', '{}'],
    ['[]', '[]'],
    ['{"portcullis.a":{},"portcullis.b":1}', undefined],
  ];
  for (const [before, after] of cases) {
    const expected =
      after === undefined
        ? '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a" ,"n":1.0}}'
        : text(after);
    t.equal(stripOwnInputs(fromClient(text(before))).text, expected, before);
    t.equal(unwrapState(fromClient(text(before)), ada, seal, NOON).text, expected, before);
  }
});

const elicitation = (params?: JsonObject): JsonObject => ({
  method: 'elicitation/create',
  ...(params && { params: { message: 'm', ...params } }),
});
const asks = (...questions: JsonObject[]): Frame =>
  answer({ resultType: 'input_required', inputRequests: Object.fromEntries(questions.map((q, i) => [`q${i}`, q])) });

t.test('input is asked for only at the three requests that may be repeated [M-01]', async (t) => {
  for (const method of ['tools/call', 'prompts/get', 'resources/read'])
    t.equal(checkInputRequired(asks({ method: 'roots/list' }), request(method, {}, { roots: {} })), undefined);
  for (const method of ['tools/list', 'completion/complete', 'server/discover', 'tasks/get'])
    t.match(checkInputRequired(asks({ method: 'roots/list' }), request(method, {}, { roots: {} })), method);
  t.equal(checkInputRequired(answer({ content: [] }), request('tools/list')), undefined);
});

t.test('an answer that asks for input holds questions of the three kinds, or a state [M-02]', async (t) => {
  const call = request('tools/call', {}, { roots: {}, sampling: {}, elicitation: {} });
  const fault = (result: JsonObject): string | undefined =>
    checkInputRequired(answer({ resultType: 'input_required', ...result }), call);
  t.equal(fault({ requestState: 's' }), undefined);
  t.equal(fault({ requestState: '', inputRequests: {} }), undefined);
  t.match(fault({}), /neither/);
  t.match(fault({ inputRequests: {} }), /neither/);
  t.match(fault({ requestState: 7 }), /not a string/);
  t.match(fault({ requestState: 's', inputRequests: [] }), /not an object/);
  const none: Json[] = [{ method: 'tools/call' }, { method: 7 }, {}, 'roots/list', null, { method: 'Roots/List' }];
  for (const question of none) t.match(fault({ inputRequests: { a: question } }), /none of/, JSON.stringify(question));
  t.match(fault({ inputRequests: { a: { method: 'roots/list', params: [] } } }), /params/);
  t.match(
    fault({ inputRequests: { a: { method: 'roots/list' }, 'portcullis.a': { method: 'roots/list' } } }),
    /reserved/,
  );
  t.match(fault({ inputRequests: { a: { method: 'elicitation/create', params: { mode: 'voice' } } } }), /mode/);
  const escaped = fromServer('{"jsonrpc":"2.0","id":1,"result":{"resultType":"input\\u005frequired"}}');
  t.match(checkInputRequired(escaped, call), /neither/, 'however it is spelt');
});

t.test('only kinds and modes that this very request declares are asked for [M-03]', async (t) => {
  const form = elicitation({ mode: 'form' });
  const url = elicitation({ mode: 'url', url: 'https://a.test' });
  const sampling = { method: 'sampling/createMessage', params: { messages: [] } };
  const withTools = { method: 'sampling/createMessage', params: { messages: [], tools: [] } };
  const withChoice = { method: 'sampling/createMessage', params: { messages: [], toolChoice: {} } };
  const roots = { method: 'roots/list' };
  const cases: readonly [JsonObject, JsonObject, boolean][] = [
    [form, {}, false],
    [form, { elicitation: {} }, true],
    [elicitation(), { elicitation: {} }, true],
    [form, { elicitation: { form: {} } }, true],
    [form, { elicitation: { url: {} } }, false],
    [url, { elicitation: {} }, false],
    [url, { elicitation: { form: {} } }, false],
    [url, { elicitation: { url: {} } }, true],
    [sampling, {}, false],
    [sampling, { sampling: {} }, true],
    [sampling, { sampling: null }, false],
    [withTools, { sampling: {} }, false],
    [withTools, { sampling: { tools: {} } }, true],
    [withChoice, { sampling: {} }, false],
    [roots, {}, false],
    [roots, { roots: {} }, true],
    [roots, { elicitation: {}, sampling: {} }, false],
  ];
  for (const [question, capabilities, able] of cases) {
    const name = `${JSON.stringify(question)} with ${JSON.stringify(capabilities)}`;
    const call = request('tools/call', {}, capabilities);
    t.equal(checkInputRequired(asks(question), call) === undefined, able, name);
    t.equal(checkInputRequired(asks(roots, question), call) === undefined, able && 'roots' in capabilities, name);
    const polled = answer({ taskId: 't', status: 'input_required', inputRequests: { q: question } });
    const poll = request('tasks/get', { taskId: 't' }, capabilities);
    t.equal(checkInputRequired(polled, poll) === undefined, able, `as the question of a task: ${name}`);
  }
});

t.test('every question can be judged with its exact text', async (t) => {
  const text =
    '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"a b":{"method":"elicitation\\/create", "params" : {"n":1.0, "x":9007199254740993} },"r":{"method":"roots/list"}}}}';
  const [first, second, ...rest] = inputRequestsOf(fromServer(text));
  t.match(first, {
    key: 'a b',
    method: 'elicitation/create',
    text: '{"n":1.0, "x":9007199254740993}',
    params: { n: 1 },
  });
  t.equal(text.slice(first!.span!.start, first!.span!.end), first!.text);
  t.strictSame(second, { key: 'r', method: 'roots/list', params: {}, text: '{}' });
  t.strictSame(rest, []);
  const notified = fromServer(
    '{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t","inputRequests":{"a":{"method":"roots/list"}}}}',
  );
  t.equal(inputRequestsOf(notified).length, 1);
  t.strictSame(inputRequestsOf(answer({ structuredContent: { inputRequests: { a: 1 } }, inputRequests: {} })), []);
});
