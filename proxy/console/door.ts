import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Abort } from '../abort.ts';
import type { JsonObject } from '../../policies/types.ts';
import { operate, type OperationAnswer } from '../doors/operate.ts';
import type { Gateway } from '../gateway.ts';
import type { CookieSeal } from './cookie.ts';
import { inboxPage, loginPage, messagePage, reviewPage, STYLE, type Notice, type Viewer } from './pages.ts';

export interface ConsoleOptions {
  readonly gateway: Gateway;
  readonly seal: CookieSeal;
  readonly addressOf: (request: FastifyRequest) => string;
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
};

/** The approvers' pages: plain forms, no script. Everything they do is an operation through the pipeline. */
export function consoleDoor(app: FastifyInstance, options: ConsoleOptions): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: 16_384 },
      (_request, body, done) => done(null, new URLSearchParams(body as string)),
    );
    scope.addHook('onSend', async (_request, reply) => {
      reply.headers(HEADERS);
    });
    const pages = new Pages(options);
    scope.get('/assets/console.css', async (_request, reply) => reply.type('text/css').send(STYLE));
    scope.get('/', async (request, reply) => pages.inbox(request, reply, undefined));
    scope.post('/login', async (request, reply) => pages.login(request, reply));
    scope.post('/logout', async (request, reply) => pages.logout(request, reply));
    scope.get<{ Params: { id: string } }>('/reviews/:id', async (request, reply) =>
      pages.review(request, reply, request.params.id, undefined),
    );
    scope.post<{ Params: { id: string } }>('/reviews/:id', async (request, reply) =>
      pages.decide(request, reply, request.params.id),
    );
  });
}

interface Visit {
  readonly token: string;
  readonly viewer: Viewer;
}

class Pages {
  readonly #options: ConsoleOptions;

  constructor(options: ConsoleOptions) {
    this.#options = options;
  }

  async inbox(request: FastifyRequest, reply: FastifyReply, said: Notice | undefined): Promise<FastifyReply> {
    const visit = await this.#visit(request);
    if (visit === undefined) return html(reply, 200, loginPage(said, '/'));
    const answer = await this.#run(request, visit.token, 'reviews_list', { status: 'PENDING', limit: 100 });
    const items = (answer.body['items'] ?? []) as JsonObject[];
    return html(reply, 200, inboxPage(items, visit.viewer, said ?? failure(answer)));
  }

  async review(
    request: FastifyRequest,
    reply: FastifyReply,
    id: string,
    said: Notice | undefined,
  ): Promise<FastifyReply> {
    const visit = await this.#visit(request);
    if (visit === undefined) return html(reply, 200, loginPage(said, `/reviews/${encodeURIComponent(id)}`));
    const answer = await this.#run(request, visit.token, 'reviews_get', { id });
    if (answer.status !== 200)
      return html(reply, 404, messagePage('Not found', 'There is no such review, or it is not yours to see.'));
    return html(reply, 200, reviewPage(answer.body, visit.viewer, said));
  }

  async decide(request: FastifyRequest, reply: FastifyReply, id: string): Promise<FastifyReply> {
    const visit = await this.#visit(request);
    if (visit === undefined) return html(reply, 401, loginPage({ text: 'Please sign in again.', bad: true }, '/'));
    const form = formOf(request);
    if (!this.#options.seal.matches(visit.viewer.csrf, form.get('csrf'))) return this.#foreign(reply);
    const reason = form.get('reason')?.trim() ?? '';
    const args = { id, status: form.get('status') ?? '', ...(reason === '' ? {} : { rejection_reason: reason }) };
    const answer = await this.#run(request, visit.token, 'reviews_update', args);
    const said = failure(answer) ?? { text: `The review is now ${String(answer.body['status'])}.`, bad: false };
    return this.review(request, reply, id, said);
  }

  async login(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const form = formOf(request);
    const token = form.get('token')?.trim() ?? '';
    const next = form.get('next') ?? '/';
    const answer = await this.#run(request, token, 'me_get', {});
    if (answer.status !== 200)
      return html(reply, 401, loginPage({ text: 'This token was not accepted.', bad: true }, next));
    const { seal, gateway } = this.#options;
    // Only a path of this site: a scheme or a second slash would lead elsewhere.
    const target = /^\/(?:reviews\/[\w-]+)?$/.test(next) ? next : '/';
    return reply.header('set-cookie', seal.issue(token, gateway.now())).redirect(target, 303);
  }

  async logout(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const opened = this.#options.seal.read(request.headers.cookie, this.#options.gateway.now());
    if (opened !== undefined && !this.#options.seal.matches(opened.csrf, formOf(request).get('csrf')))
      return this.#foreign(reply);
    return reply.header('set-cookie', this.#options.seal.clear()).redirect('/', 303);
  }

  #foreign(reply: FastifyReply): FastifyReply {
    return html(reply, 403, messagePage('Not accepted', 'This form was not made by this page. Go back and try again.'));
  }

  async #visit(request: FastifyRequest): Promise<Visit | undefined> {
    const opened = this.#options.seal.read(request.headers.cookie, this.#options.gateway.now());
    if (opened === undefined) return undefined;
    const me = await this.#run(request, opened.token, 'me_get', {});
    if (me.status !== 200) return undefined;
    const viewer = { id: String(me.body['user_id']), groups: me.body['groups'] as string[], csrf: opened.csrf };
    return { token: opened.token, viewer };
  }

  #run(request: FastifyRequest, token: string, operation: string, args: JsonObject): Promise<OperationAnswer> {
    const { gateway, addressOf } = this.#options;
    const credentials = {
      type: 'http',
      headers: { authorization: `Bearer ${token}` },
      url: request.url,
      address: addressOf(request),
    } as const;
    const gone = new Abort();
    request.raw.once('aborted', () => gone.abort());
    return operate(gateway, credentials, '/api', operation, () => args, request.headers, gone);
  }
}

function formOf(request: FastifyRequest): URLSearchParams {
  return request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
}

function failure(answer: OperationAnswer): Notice | undefined {
  if (answer.status === 200) return undefined;
  const error = answer.body['error'] as { message?: string } | undefined;
  return { text: error?.message ?? 'It did not work.', bad: true };
}

function html(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type('text/html; charset=utf-8').send(text);
}
