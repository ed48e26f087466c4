/**
 * The HTTP server beside the WebSockets, on the same port. Its limits are set
 * against clients that send headers slowly or without end: Node's own check
 * runs every 30 s by default, which makes a 5 s limit a 30 s one (RELIABILITY 5).
 */
import { createServer, type Server } from 'node:http';
import fastify, { type FastifyInstance } from 'fastify';

const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_CHECK_MS = 1000;
const HEADER_BYTES_MAX = 8192;
const HEADERS_MAX = 64;
const KEEP_ALIVE_MS = 5000;

export function createHttp(): { app: FastifyInstance; server: Server } {
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
    serverFactory: (handler) => {
      server = createServer(options, handler);
      server.maxHeadersCount = HEADERS_MAX;
      return server;
    },
  });
  if (!server) throw new Error('fastify did not ask for its server');
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `there is no ${request.method} ${request.url.split('?', 1)[0]}; try /health` }),
  );
  return { app, server };
}
