/**
 * Peers that open a connection and take their time, against the limits of a
 * real server: all at once, because the waiting is the real one.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { TestClient } from '../support/test-client.ts';

const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5000;
/** The check runs every second; the rest is for a busy machine. */
const SLACK_MS = 2500;

/** Says the beginning, then one byte of the rest every 100 ms; resolves when the server ends it: after how long, and what it said. */
async function dribble(
  port: number,
  beginning: string,
  rest = '',
): Promise<{ tookMs: number; answer: string }> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const since = performance.now();
  socket.write(beginning);
  let at = 0;
  const drip = setInterval(() => {
    if (rest !== '' && socket.writable) socket.write(rest[at++ % rest.length] ?? '');
  }, 100);
  await once(socket, 'close');
  clearInterval(drip);
  return { tookMs: performance.now() - since, answer };
}

test('who takes too long is cut off in time, and who does not notices nothing', async () => {
  const local = await LocalServer.forTest();
  const client = await TestClient.hello(local.url);
  const request = 'GET /live HTTP/1.1\r\nHost: x\r\n';
  const post = `POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60000\r\n\r\n`;
  const [silent, headers, upgrade, body, kept] = await Promise.all([
    dribble(local.port, ''),
    dribble(local.port, request, 'X-A: bcd\r\n'),
    dribble(
      local.port,
      'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
      'X-A: bcd\r\n',
    ),
    dribble(local.port, post, 'x'),
    dribble(local.port, `${request}\r\n`),
  ]);

  for (const slow of [silent, headers, upgrade]) {
    expect(slow.tookMs).toBeGreaterThan(HEADERS_TIMEOUT_MS - 100);
    expect(slow.tookMs).toBeLessThan(HEADERS_TIMEOUT_MS + SLACK_MS);
  }
  expect(headers.answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(upgrade.answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(body.tookMs).toBeGreaterThan(REQUEST_TIMEOUT_MS - 100);
  expect(body.tookMs).toBeLessThan(REQUEST_TIMEOUT_MS + SLACK_MS);
  expect(body.answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(kept.answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(kept.tookMs).toBeGreaterThan(KEEP_ALIVE_MS - 100);
  expect(kept.tookMs).toBeLessThan(KEEP_ALIVE_MS + SLACK_MS);

  expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
  expect(local.logger.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  await client.close();
}, 40_000);
