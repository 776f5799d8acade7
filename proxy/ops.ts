import type { FastifyInstance } from 'fastify';
import type { Metrics } from './metrics.ts';

export interface OpsOptions {
  readonly metrics: Metrics;
  readonly troubles: () => Promise<readonly string[]>;
}

/** `/healthz`: the process answers. `/readyz`: it can serve calls. `/metrics`: Prometheus. None needs a token, none tells a secret. */
export function opsDoor(app: FastifyInstance, { metrics, troubles }: OpsOptions): void {
  app.get('/healthz', async (_request, reply) => reply.send({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const found = await troubles();
    return reply
      .code(found.length === 0 ? 200 : 503)
      .send({ status: found.length === 0 ? 'ready' : 'not ready', troubles: found });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
