import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

export type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown;

/**
 * A route's error handler that lets a request with a malformed Content-Type enter all the same: Fastify refuses it before any
 * handler, but who sent it comes first, and the pipeline judges the header itself.
 */
export function unlessMediaType(handler: Handler) {
  return (fault: FastifyError, request: FastifyRequest, reply: FastifyReply): unknown => {
    if (fault.code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') throw fault;
    return handler(request, reply);
  };
}
