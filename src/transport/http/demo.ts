/**
 * The demo page at `/` and the client library at `/roomcast.js`: files that the build made, read once and
 * served from memory. What the page may do is said in its Content-Security-Policy, which is as narrow as it
 * goes: its own script, style and pictures, a connection to this node, and no text that becomes markup.
 *
 * A folder that was never built (tests run from the sources) is no reason not to serve sockets: its routes
 * then say what to do.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

interface File {
  readonly route: string;
  /** Below the folder that the build wrote. */
  readonly path: string;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const PAGE_HEADERS = {
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** For pages of anybody: a module is loaded from elsewhere only where this is said. */
const LIBRARY_HEADERS = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
};

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const FILES: readonly File[] = [
  { route: '/', path: 'admin/demo/index.html', type: 'text/html; charset=utf-8', headers: PAGE_HEADERS },
  { route: '/demo/demo.js', path: 'admin/demo/demo.js', type: JAVASCRIPT, headers: PAGE_HEADERS },
  {
    route: '/demo/demo-style.css',
    path: 'admin/demo/demo-style.css',
    type: 'text/css; charset=utf-8',
    headers: PAGE_HEADERS,
  },
  { route: '/demo/icon.svg', path: 'admin/demo/icon.svg', type: 'image/svg+xml', headers: PAGE_HEADERS },
  { route: '/roomcast.js', path: 'client/roomcast.min.js', type: JAVASCRIPT, headers: LIBRARY_HEADERS },
];

/** `built` ends with a slash: where the build wrote what is served. */
export function demoRoutes(app: FastifyInstance, built: URL): void {
  for (const file of FILES) app.get(file.route, responder(file, new URL(file.path, built)));
}

function responder(file: File, url: URL): (request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  if (!existsSync(url)) {
    return (_request, reply) =>
      reply.code(404).send({ error: `${file.route} is not in this build: npm run build` });
  }
  const content = readFileSync(url);
  const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
  return (request, reply) => {
    // Asked anew at each visit and told in a few bytes that it is still the same: a new release is seen at once.
    reply.headers({ ...file.headers, etag, 'cache-control': 'no-cache' });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.type(file.type).send(content);
  };
}
