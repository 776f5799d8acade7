import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { ConfigFault, loadConfig, type Config } from '../../proxy/config.ts';
import { CHART, findHelm, helm, VALUE_SETS } from '../../scripts/verify-chart.ts';

/* oxlint-disable typescript/no-explicit-any -- manifests are documents of somebody else's schema */
type Manifest = any;

const EXAMPLE = join(CHART, '../examples/sidecar.yaml');
const SECRETS = '/run/secrets';
// What the Secrets of the value sets would hold.
const FILES = ['portcullis-key/master', 'portcullis/old-key/master'];
const ENV = { UPSTREAM_TOKEN: 'not-a-real-token' };

const found = await findHelm();
const skip = 'missing' in found ? found.missing : false;
const program = 'helm' in found ? found.helm : '';

function documents(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS();
  });
}

function only(manifests: readonly Manifest[], kind: string): Manifest {
  const all = manifests.filter((each) => each?.kind === kind);
  if (all.length !== 1) throw new Error(`${all.length} of kind ${kind}`);
  return all[0];
}

async function render(t: Test, values: object): Promise<{ status: number; text: string }> {
  const file = join(t.testdir(), 'values.json');
  writeFileSync(file, JSON.stringify(values));
  return helm(program, 'template', 'check', CHART, '--namespace', 'tools', '--values', file);
}

/** The configuration as the gateway in the pod would read it, with the mounted secrets in a folder of the test. */
function load(t: Test, manifests: readonly Manifest[]): Config {
  const folder = t.testdir();
  for (const file of FILES) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), Buffer.alloc(32, 7).toString('base64'));
  }
  const text: string = only(manifests, 'ConfigMap').data['config.yaml'];
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text.replaceAll(SECRETS, folder));
  return loadConfig(file, ENV);
}

function gatewayOf(manifests: readonly Manifest[]): { deployment: Manifest; pod: Manifest; container: Manifest } {
  const deployment = only(manifests, 'Deployment');
  const pod = deployment.spec.template.spec;
  return { deployment, pod, container: pod.containers.find((each: Manifest) => each.name === 'portcullis') };
}

/** What holds for every way to deploy the gateway. */
function checkPod(t: Test, manifests: readonly Manifest[], config: Config): void {
  const { deployment, pod, container } = gatewayOf(manifests);
  t.equal(deployment.spec.replicas, 1);
  t.equal(deployment.spec.strategy.type, 'Recreate', 'two never write one record');
  t.equal(pod.automountServiceAccountToken, false);
  t.equal(pod.securityContext.runAsNonRoot, true);
  t.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault');
  for (const each of pod.containers) {
    t.match(each.securityContext, {
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { drop: ['ALL'] },
    });
    t.notOk(each.securityContext.capabilities.add, 'no capability comes back');
  }

  const [port] = container.ports;
  t.equal(config.server.listen.port, port.containerPort, 'the gateway listens where the pod says it does');
  t.equal(config.server.listen.host, '0.0.0.0', 'probes and Service reach it');
  for (const [probe, path] of [
    ['startupProbe', '/healthz'],
    ['livenessProbe', '/healthz'],
    ['readinessProbe', '/readyz'],
  ] as const) {
    t.match(container[probe].httpGet, { path, port: port.name }, probe);
  }
  t.ok(deployment.spec.template.spec.terminationGracePeriodSeconds * 1000 > config.server.graceMs, 'time to stop');
  const service = only(manifests, 'Service');
  t.match(deployment.spec.template.metadata.labels, service.spec.selector, 'the Service finds the pod');
  t.match(deployment.spec.template.metadata.labels, deployment.spec.selector.matchLabels);
  t.strictSame(
    service.spec.ports.map((each: Manifest) => each.targetPort),
    [port.name],
    'nothing but the gateway can be reached',
  );

  const mounts = new Map<string, Manifest>(container.volumeMounts.map((each: Manifest) => [each.mountPath, each]));
  const volumes = new Map<string, Manifest>(pod.volumes.map((each: Manifest) => [each.name, each]));
  for (const [path, mount] of mounts) t.ok(volumes.has(mount.name), `${path} has its volume`);
  t.equal(volumes.size, mounts.size, 'no volume without a mount');
  t.equal(volumes.get(mounts.get('/etc/portcullis').name).configMap.name, only(manifests, 'ConfigMap').metadata.name);
  t.notOk(mounts.get('/etc/portcullis').subPath, 'changes of the ConfigMap arrive');
  t.strictSame(container.args, ['serve', '--config', '/etc/portcullis/config.yaml']);
  t.ok(
    config.recorder.path.startsWith('/data/') && mounts.get('/data').readOnly !== true,
    'the record is on the volume',
  );
  const writable = [...mounts].filter(([, mount]) => mount.readOnly !== true).map(([path]) => path);
  t.strictSame(writable.sort(), ['/data', '/tmp'], 'nothing else can be written');

  const claim = volumes.get('data').persistentVolumeClaim?.claimName;
  const claims = manifests.filter((each) => each?.kind === 'PersistentVolumeClaim').map((each) => each.metadata.name);
  t.ok(
    claims.every((name) => name === claim),
    'the claim is the one that is mounted',
  );
  for (const each of container.env ?? []) {
    if (Object.hasOwn(ENV, each.name))
      t.ok(each.valueFrom?.secretKeyRef?.name && each.value === undefined, `${each.name} is from a Secret`);
  }
  const names = new Set((container.env ?? []).map((each: Manifest) => each.name));
  const text: string = only(manifests, 'ConfigMap').data['config.yaml'];
  for (const [, name] of text.matchAll(/(?<!\$)\$\{(\w+)\}/g)) t.ok(names.has(name), `\${${name}} is set in the pod`);
  for (const [, folder] of text.matchAll(/(\/run\/secrets\/(?:portcullis-key|portcullis\/[^/\s]+))\//g)) {
    t.ok(mounts.get(folder!)?.readOnly, `${folder} is mounted, read-only`);
    t.ok(volumes.get(mounts.get(folder!).name).secret.secretName, 'from a Secret');
  }
}

for (const name of readdirSync(VALUE_SETS)) {
  t.test(
    `the chart with ${name} is locked down and its configuration loads [chart-locked-down] [chart-config-accepted]`,
    { skip },
    async (t) => {
      const linted = await helm(program, 'lint', '--strict', CHART, '--values', join(VALUE_SETS, name));
      t.equal(linted.status, 0, linted.text);
      const { status, text } = await helm(program, 'template', 'check', CHART, '--values', join(VALUE_SETS, name));
      t.equal(status, 0, text);
      const manifests = documents(text);
      const config = load(t, manifests);
      checkPod(t, manifests, config);
      t.equal(config.server.publicUrl, 'https://mcp.example.com');
      const account = manifests.find((each) => each.kind === 'ServiceAccount');
      t.notOk(account?.automountServiceAccountToken, 'no token of the account is mounted');
    },
  );
}

t.test('values reach the place they name', { skip }, async (t) => {
  const rendered = async (file: string): Promise<Manifest[]> =>
    documents(
      (await helm(program, 'template', 'check', CHART, '--namespace', 'tools', '--values', join(VALUE_SETS, file)))
        .text,
    );

  const full = await rendered('full.yaml');
  const { deployment, pod, container } = gatewayOf(full);
  t.equal(deployment.metadata.name, 'gatekeeper');
  t.match(container.image, /^registry\.example\.com\/portcullis@sha256:0123/);
  t.match(pod, {
    serviceAccountName: 'existing',
    imagePullSecrets: [{ name: 'regcred' }],
    nodeSelector: { 'kubernetes.io/os': 'linux' },
  });
  t.match(deployment.spec.template.metadata, {
    labels: { team: 'platform' },
    annotations: { 'prometheus.io/scrape': 'true' },
  });
  t.strictSame(
    full.filter((each) => ['ServiceAccount', 'PersistentVolumeClaim'].includes(each.kind)),
    [],
    'what exists is not made',
  );
  const config = load(t, full);
  t.match(config.server, { messageSizeBytes: 4_000_000, maxInFlight: 1_000_000 }, 'large numbers survive');
  t.strictSame(
    config.server.allowedHosts,
    ['mcp.internal', 'gatekeeper', 'gatekeeper.tools', 'gatekeeper.tools.svc', 'gatekeeper.tools.svc.cluster.local'],
    'the names of the Service are added',
  );
  t.match(config.rules.guardrails, [{ input: { rules: [{ message: 'DDL is not allowed: {{ braces }} stay' }] } }]);
  t.match(config.keys.master.file, /portcullis-key\/master$/);

  const minimal = await rendered('minimal.yaml');
  t.match(
    only(minimal, 'PersistentVolumeClaim').metadata.annotations,
    { 'helm.sh/resource-policy': 'keep' },
    'evidence is kept',
  );
  t.equal(load(t, minimal).keys.master.file, '/data/portcullis.key');
  t.ok(load(t, minimal).server.allowedHosts.includes('check-portcullis.tools.svc:8800'));
  t.match(gatewayOf(minimal).container.image, /^portcullis:\d+\.\d+\.\d+$/);

  const ephemeral = gatewayOf(await rendered('ephemeral.yaml'));
  t.strictSame(ephemeral.pod.volumes.find((each: Manifest) => each.name === 'data').emptyDir, {});
  t.notOk(Object.hasOwn(ephemeral.pod.securityContext, 'runAsUser'), 'the platform may choose the user');
  t.notOk(ephemeral.deployment.spec.template.metadata.annotations, 'the gateway reloads by itself');
});

t.test('a changed configuration changes the pod', { skip }, async (t) => {
  const sum = async (timeout: string): Promise<string> => {
    const { text } = await render(t, { config: { ...minimalConfig, hold: { inline_timeout: timeout } } });
    return gatewayOf(documents(text)).deployment.spec.template.metadata.annotations['checksum/config'];
  };
  const first = await sum('40s');
  t.match(first, /^[0-9a-f]{64}$/);
  t.equal(await sum('40s'), first);
  t.not(await sum('41s'), first);
});

const upstream = { url: 'http://mcp-server:3001/mcp' };
const minimalConfig = {
  server: { public_url: 'https://mcp.example.com' },
  connections: [{ name: 'default', upstream }],
};
const credential = (value: unknown): object => ({
  ...minimalConfig,
  connections: [{ name: 'default', upstream, credential: { type: 'static', value } }],
});

t.test('values that cannot work are refused with the reason [chart-refuses-what-fails]', { skip }, async (t) => {
  const cases: readonly [string, object, RegExp][] = [
    ['two replicas', { config: minimalConfig, replicaCount: 2 }, /replicaCount: 2 is refused: the record is in SQLite/],
    ['no URL', { config: { connections: minimalConfig.connections } }, /config\.server\.public_url is not set/],
    ['no connection', { config: { server: minimalConfig.server } }, /config\.connections is empty/],
    [
      'a listen address',
      { config: { ...minimalConfig, server: { ...minimalConfig.server, listen: '127.0.0.1:1' } } },
      /use containerPort/,
    ],
    ['a path of the record', { config: { ...minimalConfig, recorder: { path: '/tmp/x.db' } } }, /see persistence/],
    ['a path of the key', { config: { ...minimalConfig, keys: { master: { file: '/tmp/key' } } } }, /use masterKey/],
    [
      'a secret in the ConfigMap',
      { config: credential('Bearer not-a-real-token') },
      /\(default\): credential\.value would stand in a ConfigMap/,
    ],
    ['an unknown value', { config: minimalConfig, replicas: 1 }, /replicas/],
    ['a value of the wrong type', { config: minimalConfig, containerPort: 'http' }, /containerPort/],
    ['a privileged port', { config: minimalConfig, containerPort: 80 }, /containerPort/],
    ['a shared volume', { config: minimalConfig, persistence: { accessModes: ['ReadWriteMany'] } }, /accessModes/],
  ];
  for (const [name, values, reason] of cases) {
    const { status, text } = await render(t, values);
    t.not(status, 0, `${name} is refused`);
    t.match(text, reason, name);
    t.notMatch(text, /not-a-real-token/, 'and no secret is repeated');
  }
  for (const value of ['Bearer ${UPSTREAM_TOKEN}', { file: '/run/secrets/portcullis/token/token' }]) {
    t.equal((await render(t, { config: credential(value) })).status, 0, JSON.stringify(value));
  }
});

t.test('a mistake in the configuration is left to the gateway, which names it', { skip }, async (t) => {
  const { status, text } = await render(t, { config: { ...minimalConfig, hold: { inline_timeout: 'soon' } } });
  t.equal(status, 0);
  t.throws(() => load(t, documents(text)), ConfigFault);
});

t.test(
  'the sidecar example is locked down, reaches its server on loopback only, and its configuration loads [chart-locked-down]',
  async (t) => {
    const manifests = documents(readFileSync(EXAMPLE, 'utf8'));
    const config = load(t, manifests);
    checkPod(t, manifests, config);
    const [connection] = config.connections;
    t.match(connection, { name: 'default', upstream: { url: 'http://127.0.0.1:3001/mcp' } });
    const server = gatewayOf(manifests).pod.containers.find((each: Manifest) => each.name === 'mcp-server');
    t.strictSame(server.env, [
      { name: 'HOST', value: '127.0.0.1' },
      { name: 'PORT', value: '3001' },
    ]);
    t.notOk(server.ports, "its port is nobody else's business");
    t.strictSame(config.warnings, []);
  },
);
