/** HTTP beside the WebSocket: what is served, what a mistake is told, and that no mistake is heard in the log. */
import { Compile } from 'typebox/compile';
import Type from 'typebox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/ops/system-clock.ts';
import { createHttp } from '../../src/transport/http/http-server.ts';
import { listen } from '../support/local-listener.ts';
import { LocalServer } from '../support/local-server.ts';
import { exchange } from '../support/raw-peer.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';
import { TestClient } from '../support/test-client.ts';

const PASSWORD = 'hunter2-redis';

let local: LocalServer;
beforeAll(async () => {
  local = await LocalServer.start({
    REDIS_URL: `redis://roomcast:${PASSWORD}@192.0.2.1:6379/3`,
    REDIS_MODE: 'off',
  });
});
afterAll(() => local.close());

const get = (path: string, init?: RequestInit) => fetch(`${local.http}${path}`, init);

/** One request as bytes, answered and closed. */
function request(line: string, headers: string[] = [], body = '') {
  const head = [
    line,
    'Host: x',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  return exchange(local.port, `${head.join('\r\n')}\r\n\r\n${body}`);
}

describe('/live and /ready', () => {
  test('say so in a word', async () => {
    for (const [path, status] of [
      ['/live', 'alive'],
      ['/ready', 'ready'],
    ] as const) {
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      expect(await answer.json()).toEqual({ status });
    }
  });

  test('during a drain: alive, and 404 for not ready, from its first moment to its last', async () => {
    const draining = await LocalServer.forTest({ DRAIN_NOTICE_MS: '200', DRAIN_SPREAD_MIN_MS: '400' });
    const client = await TestClient.hello(draining.url);
    const drained = draining.server.drain();
    const ask = async () => {
      const [live, ready, health] = await Promise.all([
        fetch(`${draining.http}/live`),
        fetch(`${draining.http}/ready`),
        draining.health(),
      ]);
      expect([live.status, ready.status, health.ready]).toEqual([200, 404, false]);
      expect(await ready.json()).toEqual({ status: 'not ready' });
    };
    await ask();
    await client.next('closing');
    await ask();
    await drained;
  });
});

describe('/health', () => {
  const Health = Compile(
    Type.Object(
      {
        node: Type.Literal('local'),
        version: Type.String({ pattern: '^\\d+\\.\\d+\\.\\d+' }),
        uptime_s: Type.Integer({ minimum: 0, maximum: 600 }),
        ready: Type.Literal(true),
        redis_status: Type.Literal('disabled'),
        connections: Type.Integer({ minimum: 0 }),
        rooms: Type.Integer({ minimum: 0 }),
        event_loop_lag_ms: Type.Object(
          {
            p50: Type.Number({ minimum: 0 }),
            p99: Type.Number({ minimum: 0 }),
            max: Type.Number({ minimum: 0 }),
          },
          { additionalProperties: false },
        ),
      },
      { additionalProperties: false },
    ),
  );

  test('has exactly the fields of the document, and no secret', async () => {
    const text = await (await get('/health')).text();
    expect(Health.Errors(JSON.parse(text))).toEqual([]);
    expect(text).not.toContain(PASSWORD);
    expect(text).not.toContain('192.0.2.1');
    expect(JSON.stringify(local.logger.lines)).not.toContain(PASSWORD);
  });

  test('counts connections that said hello, and rooms with members', async () => {
    const [one, two] = [await TestClient.hello(local.url), await TestClient.hello(local.url)];
    const silent = await TestClient.open(local.url);
    await one.join('a');
    await two.join('a');
    await two.join('b');
    expect(await local.health()).toMatchObject({ connections: 2, rooms: 2 });
    for (const client of [one, two, silent]) await client.close();
    await local.connections(0);
    expect(await local.health()).toMatchObject({ connections: 0, rooms: 0 });
  });
});

describe('a mistake is answered as JSON that says what would be right', () => {
  test.each([
    ['GET', '/metrics', 'there is no GET /metrics; try /health'],
    ['GET', '/healthz', 'there is no GET /healthz; try /health'],
    ['POST', '/live', 'there is no POST /live; try /health'],
    ['DELETE', '/ws', 'there is no DELETE /ws; try /health'],
    ['OPTIONS', '/health', 'there is no OPTIONS /health; try /health'],
  ])('%s %s', async (method, path, error) => {
    const answer = await get(path, { method });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({ error });
  });

  test('without repeating a query, where a token might be', async () => {
    const answer = await get('/nowhere?token=abc123');
    expect(await answer.text()).not.toContain('abc123');
  });

  test('HEAD is GET without the body', async () => {
    for (const path of ['/live', '/ready', '/health']) {
      const answer = await get(path, { method: 'HEAD' });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe('');
    }
  });

  const json = 'Content-Type: application/json';
  test.each([
    ['a body that is not JSON', () => request('POST /live HTTP/1.1', [json], '{"a":'), 400],
    ['an empty body called JSON', () => request('POST /live HTTP/1.1', [json]), 400],
    [
      'a body that reaches for the prototype',
      () => request('POST /x HTTP/1.1', [json], '{"__proto__":{"a":1}}'),
      400,
    ],
    ['a body of an unknown kind', () => request('POST /x HTTP/1.1', ['Content-Type: image/png'], 'x'), 404],
    ['a body over 64 KB', () => request('POST /x HTTP/1.1', [json], `"${'x'.repeat(65_536)}"`), 413],
    ['a path that cannot be decoded', () => request('GET /%zz HTTP/1.1'), 400],
    [
      '65 headers',
      () =>
        request(
          'GET /live HTTP/1.1',
          Array.from({ length: 62 }, (_, at) => `X-${at}: v`),
        ),
      431,
    ],
    ['8 KB of headers', () => request('GET /live HTTP/1.1', [`X: ${'x'.repeat(8192)}`]), 431],
    ['no host', () => exchange(local.port, 'GET /live HTTP/1.1\r\nConnection: close\r\n\r\n'), 400],
    ['two lengths', () => request('POST /live HTTP/1.1', ['Content-Length: 5'], 'abc'), 400],
    [
      'a length and chunks',
      () => request('POST /live HTTP/1.1', ['Transfer-Encoding: chunked'], '0\r\n\r\n'),
      400,
    ],
    ['no HTTP at all', () => exchange(local.port, '\u0016\u0003\u0001\u0002hello\r\n\r\n'), 400],
  ])('%s', async (_what, send, status) => {
    const before = local.logger.lines.length;
    const answer = await send();
    expect(answer?.status).toBe(status);
    // Node answers a request without a host by itself, with nothing.
    if (answer?.headers.has('content-type')) expect(JSON.parse(answer.body)).toHaveProperty('error');
    expect(local.logger.lines.slice(before)).toEqual([]);
    expect((await get('/live')).status).toBe(200);
  });
});

test('a bug in a route is logged, and told without its details', async () => {
  const logger = createRecordingLogger();
  const { app, close } = createHttp({ clock: systemClock, logger, settings: { closeTimeoutMs: 100 } });
  app.get('/broken', () => {
    throw new Error('the password is hunter2');
  });
  const answer = await app.inject('/broken');
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain('hunter2');
  expect(logger.lines).toMatchObject([{ level: 'error', fields: { method: 'GET', route: '/broken' } }]);
  await close();
});

test('a connection that cannot be accepted is logged, and does not end the process', async () => {
  const { http, logger, port } = await listen();
  http.server.emit('error', new Error('accept ENOBUFS'));
  expect(logger.lines).toMatchObject([{ level: 'error', fields: { error: 'accept ENOBUFS' } }]);
  expect((await fetch(`http://127.0.0.1:${port}/ws`)).status).toBe(426);
});
