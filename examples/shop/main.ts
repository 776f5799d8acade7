import { parseArgs } from 'node:util';
import { startShop } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '3001' },
    host: { type: 'string', default: '127.0.0.1' },
    database: { type: 'string' },
  },
});

const shop = await startShop({
  port: Number(values.port),
  host: values.host,
  ...(values.database === undefined ? {} : { database: values.database }),
});
console.log(`the demo shop is at ${shop.url}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void shop.close());
