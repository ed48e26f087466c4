/**
 * The HTTP server beside the WebSockets, on the same port. Its limits are set
 * against clients that send headers slowly or without end: Node's own check
 * runs every 30 s by default, which makes a 5 s limit a 30 s one.
 */
import { createServer, type Server } from 'node:http';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { HEADERS_MAX, WS_PATH } from '../upgrade.ts';

const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_CHECK_MS = 1000;
const HEADER_BYTES_MAX = 8192;
const BODY_BYTES_MAX = 65_536;
const KEEP_ALIVE_MS = 5000;

export interface HttpParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: { readonly closeTimeoutMs: number };
}

export interface Http {
  readonly app: FastifyInstance;
  readonly server: Server;
  /** Requests under way may end; what does not end in time is cut off. Resolves once upgraded sockets are gone too. */
  readonly close: () => Promise<void>;
}

export function createHttp({ clock, logger, settings }: HttpParts): Http {
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  let server: Server | undefined;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    serverFactory: (handler) => {
      server = createServer(options, handler);
      // One more than may be, so that too many are seen and refused instead of cut.
      server.maxHeadersCount = HEADERS_MAX + 1;
      return server;
    },
  });
  if (!server) throw new Error('fastify did not ask for its server');
  surviveAcceptErrors(server, logger);
  answerMistakes(app, logger);
  return { app, server, close: closing(app, server, clock, settings.closeTimeoutMs) };
}

/** A connection that the system could not hand over; without a listener it would end the process. A failed `listen` is its caller's. */
function surviveAcceptErrors(server: Server, logger: Logger): void {
  server.on('error', (error) => {
    if (server.listening) logger.error({ error: error.message }, 'a connection could not be accepted');
  });
}

/** Every answer is JSON and says what would be right. */
function answerMistakes(app: FastifyInstance, logger: Logger): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.raw.rawHeaders.length <= 2 * HEADERS_MAX) return;
    await reply.code(431).send({ error: `a request has at most ${HEADERS_MAX} headers` });
  });
  app.get(WS_PATH, (_request, reply) =>
    reply
      .code(426)
      .headers({ connection: 'close, upgrade', upgrade: 'websocket' })
      .send({ error: `${WS_PATH} is a WebSocket: open it with a client that speaks one` }),
  );
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send({ error: `there is no ${request.method} ${request.url.split('?', 1)[0]}; try /health` }),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { statusCode = 500, message, stack } = error;
    if (statusCode < 500) return reply.code(statusCode).send({ error: message });
    logger.error(
      { method: request.method, route: request.routeOptions.url, error: stack },
      'an HTTP request failed by a bug of ours',
    );
    return reply.code(statusCode).send({ error: 'a bug of the server; it was logged' });
  });
}

/**
 * A server that closes stops to look for requests that take too long: without
 * the end by force, one peer that never finishes its headers holds it for ever.
 */
function closing(app: FastifyInstance, server: Server, clock: Clock, withinMs: number): () => Promise<void> {
  return async () => {
    const force = clock.after(withinMs, () => server.closeAllConnections());
    await app.close();
    force.cancel();
  };
}
