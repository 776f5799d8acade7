import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { loadConfig } from '../../proxy/config.ts';
import { createLog } from '../../proxy/log.ts';
import { createPortcullis, type Portcullis } from '../../proxy/main.ts';
import { mintToken } from '../../proxy/identity/tokens.ts';
import { startShop } from '../shop/server.ts';
import { play } from './play.ts';
import { tour } from './tour.ts';

const root = join(import.meta.dirname, '../..');

/** A demo user with a gateway token of his own. */
async function addUser(portcullis: Portcullis, subject: string, groups: readonly string[]): Promise<string> {
  const { token, id, hash } = mintToken();
  const email = `${subject}@example.com`;
  const record = { id, hash, name: `demo ${subject}`, subject, email, groups, createdAt: Date.now() };
  await portcullis.gateway.recorder.tokens.create(record, { issuer: 'portcullis:local', subject: 'demo' });
  return token;
}

async function main(): Promise<void> {
  const playing = process.argv.includes('--play');
  // Each start is the first one: the demo's users, their tokens and its record live only as long as it runs.
  const data = mkdtempSync(join(tmpdir(), 'portcullis-demo-'));
  process.once('exit', () => rmSync(data, { recursive: true, force: true }));
  const key = randomBytes(16).toString('hex');
  const shop = await startShop({ require: { header: 'x-shop-key', value: key } });
  const listen = process.env['PORTCULLIS_LISTEN'] ?? (playing ? '127.0.0.1:0' : '127.0.0.1:8800');
  const env = { DEMO_LISTEN: listen, DEMO_DATA: data, DEMO_UPSTREAM: shop.url, DEMO_SHOP_KEY: key };
  const config = loadConfig(join(root, 'examples/demo/config.yaml'), { ...process.env, ...env });
  const portcullis = await createPortcullis(config, createLog(config.log));
  const url = await portcullis.listen();
  const users = {
    engineer: await addUser(portcullis, 'erin', ['engineering']),
    dba: await addUser(portcullis, 'dana', ['dba']),
  };

  const close = async (): Promise<void> => {
    await portcullis.close();
    await shop.close();
  };
  if (playing) {
    try {
      process.exitCode = await play({ url, users });
    } finally {
      await close();
    }
    return;
  }
  console.log(tour({ url, users }));
  await new Promise<void>((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  process.once('SIGINT', () => process.exit(130));
  await close();
  console.log('\nstopped');
}

await main().catch((fault: NodeJS.ErrnoException) => {
  const hint = fault.code === 'EADDRINUSE' ? ' (set PORTCULLIS_LISTEN=127.0.0.1:8801 to use another port)' : '';
  console.error(`the demo could not start: ${fault.message}${hint}`);
  process.exit(1);
});
