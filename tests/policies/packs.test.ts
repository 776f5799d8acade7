import { readFileSync, readdirSync } from 'node:fs';
import t from 'tap';
import { compileRulebook } from '../../policies/compile.ts';
import type { RuleDocuments } from '../../policies/documents.ts';
import type { Call, Finding, JsonObject, Principal } from '../../policies/types.ts';
import { ConfigFault, parseConfig } from '../../proxy/config.ts';
import { PACK_NAMES, loadPack, parsePack, rulesOf } from '../../proxy/config/packs.ts';
import type { PackExample, PackName } from '../../proxy/config/packs.ts';

const WHO: Principal = {
  issuer: 'i',
  subject: 's',
  groups: ['eng'],
  roles: [],
  authenticatedBy: 'token',
  actors: [],
};

function callOf(tool: string, args: Record<string, unknown>): Call {
  const annotations = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true };
  const text = JSON.stringify({ name: tool, arguments: args });
  return {
    connection: 'shop',
    kind: 'tool',
    method: 'tools/call',
    name: tool,
    arguments: args as JsonObject,
    text,
    annotations,
  };
}

function rulebookOf(name: PackName): ReturnType<typeof compileRulebook> {
  const documents: RuleDocuments = {
    ...({ guardrails: [], datamasking_rules: [], access_request_rules: [], access_control: [], limits: [] } as object),
    ...rulesOf({ name }),
    connections: [{ name: 'shop', attributes: [], access: { groups: ['eng'] } }],
  } as unknown as RuleDocuments;
  return compileRulebook(documents);
}

/** The rules that speak about an example. */
function speakers(name: PackName, example: PackExample): ReadonlySet<string> {
  const rules = rulebookOf(name).connection('shop')!;
  const call = callOf(example.tool ?? 'query', example.arguments ?? {});
  const findings: Finding[] = [...rules.decide(call, WHO, {}).findings];
  if (example.answer !== undefined) {
    const answer = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      result: { content: [{ type: 'text', text: example.answer }] },
    });
    findings.push(...rules.inspect(answer, call, WHO, {}).findings);
  }
  return new Set(findings.map(({ rule }) => rule));
}

t.test('every example of every pack says what its rule says [packs-examples]', async (t) => {
  for (const name of PACK_NAMES) {
    const { examples, guardrails, datamasking_rules } = loadPack(name);
    const rules = [...guardrails, ...datamasking_rules].map((rule) => rule.name);
    t.same([...rules].toSorted(), examples.map(({ rule }) => rule).toSorted(), `${name}: every rule has examples`);
    for (const { rule, matches, passes } of examples) {
      for (const example of matches) {
        t.ok(speakers(name, example).has(`${name}/${rule}`), `${name}/${rule} speaks about ${JSON.stringify(example)}`);
      }
      for (const example of passes) {
        t.notOk(
          speakers(name, example).has(`${name}/${rule}`),
          `${name}/${rule} is silent about ${JSON.stringify(example)}`,
        );
      }
    }
  }
});

t.test('the folder holds the packs that the configuration knows, and each is named as its file', async (t) => {
  const files = readdirSync(new URL('../../policies/packs', import.meta.url)).toSorted();
  t.same(files, PACK_NAMES.map((name) => `${name}.yaml`).toSorted());
  for (const name of PACK_NAMES) t.equal(loadPack(name).name, name);
});

const BASE = {
  connections: [
    { name: 'shop', upstream: { url: 'http://127.0.0.1:9/mcp' }, access: { groups: ['eng'] }, attributes: ['sql'] },
    { name: 'default', upstream: { url: 'http://127.0.0.1:9/mcp' }, access: { groups: ['eng'] } },
  ],
};
const load = (more: object): ReturnType<typeof parseConfig> =>
  parseConfig(JSON.stringify({ ...BASE, ...more }), 'config.yaml', {});
const faultsOf = (more: object): readonly string[] => {
  try {
    load(more);
  } catch (fault) {
    if (!(fault instanceof ConfigFault)) throw fault;
    return fault.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

t.test('packs add their rules behind the written ones, bound and marked [packs-bound]', async (t) => {
  const own = { name: 'own', input: { rules: [{ type: 'deny_words_list', words: ['x'] }] } };
  const { rules } = load({
    guardrails: [own],
    packs: [
      { name: 'destructive-sql', connections: ['shop'], mode: 'observe', dialect: 'mysql' },
      { name: 'pci', attributes: ['sql'] },
      'secrets',
    ],
  });
  t.same(
    rules.guardrails.map(({ name, connections, attributes, mode, managed_by }) => [
      name,
      connections,
      attributes,
      mode,
      managed_by,
    ]),
    [
      ['own', undefined, undefined, undefined, undefined],
      ['destructive-sql/statements', ['shop'], undefined, 'observe', 'pack'],
      ['destructive-sql/words', ['shop'], undefined, 'observe', 'pack'],
      ['pci/authentication-data', undefined, ['sql'], undefined, 'pack'],
      ['secrets/keys-in-calls', undefined, undefined, undefined, 'pack'],
    ],
  );
  t.equal(rules.guardrails[1]?.input?.rules[0]?.dialect, 'mysql');
  t.same(
    rules.datamasking_rules.map(({ name }) => name),
    ['pci/card-numbers', 'secrets/secrets'],
  );
  t.doesNotThrow(() => compileRulebook(rules));
});

t.test('mistakes about packs stand where the pack is named [packs-bound]', async (t) => {
  t.match(faultsOf({ packs: ['pcl'] }), [/^packs\[0\]: .*expected/]);
  t.match(faultsOf({ packs: [{ name: 'pci', connections: ['nowhere'] }] }), [
    /^packs\[0\]\.connections\[0\]: there is no/,
  ]);
  t.match(faultsOf({ packs: ['pci', { name: 'pci', connections: ['shop'] }] }), [
    /^packs\[1\]: pci: the name .* taken/,
  ]);
  t.match(faultsOf({ packs: [{ name: 'pci', connection: ['shop'] }] }), [/^packs\[0\]\.connection: /]);
  t.match(faultsOf({ guardrails: [{ name: 'g', managed_by: 'pack' }] }), [/managed_by/], 'nobody writes that by hand');
});

t.test('mistakes in a pack are named with their place in the pack [packs-bound]', async (t) => {
  const text = readFileSync(new URL('../../policies/packs/pci.yaml', import.meta.url), 'utf8');
  const faults = (changed: string): string => {
    try {
      parsePack(changed, 'pci.yaml');
    } catch (fault) {
      if (!(fault instanceof ConfigFault)) throw fault;
      return fault.message;
    }
    return '';
  };
  t.equal(faults(text), '');
  t.match(
    faults(text.replace('pattern_match', 'pattern_matsch')),
    /^pci\.yaml:\d+:\d+: guardrails\[0\]\.input\.rules\[0\]\.type/,
  );
  t.match(faults(text.replace('examples:', 'example:')), /pci\.yaml:.*examples/s);
  t.match(faults('name: ['), /^pci\.yaml:\d+:\d+: not valid YAML/);
});
