import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../policies/types.ts';
import { startUpstream } from '../fixture/upstream.ts';
import { callTool, startGateway, textOf } from '../gateway.ts';

/** A self-signed certificate for this name, made for this run only. */
function certificate(
  t: Test,
  name: string,
): { readonly file: string; readonly tls: { readonly key: string; readonly cert: string } } {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${/^[\d.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`];
  const made = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    file,
  ];
  execFileSync('openssl', [...made, ...subject], { stdio: 'pipe' });
  return { file, tls: { key: readFileSync(key, 'utf8'), cert: readFileSync(file, 'utf8') } };
}

const errorOf = (json: JsonObject): unknown =>
  ((json['error'] as JsonObject | undefined)?.['data'] as JsonObject | undefined)?.['code'];

t.test(
  'an upstream whose certificate is not trusted, or names another host, is never spoken to [upstream-tls-verified]',
  async (t) => {
    const own = certificate(t, '127.0.0.1');
    const foreign = certificate(t, 'other.example.com');
    const call = async (
      tls: { key: string; cert: string },
      ca: string | undefined,
    ): Promise<{ json: JsonObject; text: string; reached: number }> => {
      const upstream = await startUpstream({ tls });
      t.teardown(() => upstream.close());
      const gateway = await startGateway(t, {
        connections: [
          {
            name: 'default',
            upstream: { url: upstream.url, ...(ca === undefined ? {} : { ca: { file: ca } }) },
            credential: { type: 'static', header: 'Authorization', value: 'Bearer fake-credential-of-a-test' },
            access: { groups: ['eng'] },
          },
        ],
      });
      const answer = await callTool(`${gateway.url}/mcp`, await gateway.person('erin', ['eng']), 'echo', {
        hello: 'tls',
      });
      return { json: answer.json, text: textOf(answer), reached: upstream.requests.length };
    };
    const unknown = await call(own.tls, undefined);
    t.equal(errorOf(unknown.json), 'upstream_unreachable', 'self-signed');
    t.equal(unknown.reached, 0, 'neither the call nor the credential left');
    const misnamed = await call(foreign.tls, foreign.file);
    t.equal(errorOf(misnamed.json), 'upstream_unreachable', 'trusted, but for another host');
    t.equal(misnamed.reached, 0);
    const trusted = await call(own.tls, own.file);
    t.match(trusted.text, /tls/, 'the configured authority is trusted');
  },
);

t.test(
  'a redirect of the upstream is not followed, so no credential goes where it points [upstream-redirect-refused]',
  async (t) => {
    const elsewhere = await startUpstream();
    t.teardown(() => elsewhere.close());
    const upstream = await startUpstream(() => ({ status: 307, headers: { location: elsewhere.url }, body: '' }));
    t.teardown(() => upstream.close());
    const gateway = await startGateway(t, {
      connections: [{ name: 'default', upstream: { url: upstream.url }, access: { groups: ['eng'] } }],
    });
    const answer = await callTool(`${gateway.url}/mcp`, await gateway.person('erin', ['eng']), 'echo');
    t.equal(errorOf(answer.json), 'upstream_refused');
    t.notMatch(answer.text, elsewhere.url);
    t.equal(elsewhere.requests.length, 0);
  },
);
