/** Which requests become a WebSocket, what the others are told, and that a socket which dies meanwhile harms nobody. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { beforeAll, afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { listen } from '../support/local-listener.ts';
import { LocalServer } from '../support/local-server.ts';
import { exchange, frame, RawPeer, upgradeRequest } from '../support/raw-peer.ts';
import { TestClient } from '../support/test-client.ts';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl';

/** The request of a client, changed in one place. */
function changed(from: string | RegExp, to: string): string {
  const request = upgradeRequest();
  const other = request.replace(from, to);
  if (other === request) throw new Error(`${String(from)} is not in the request`);
  return other;
}

let local: LocalServer;
beforeAll(async () => {
  local = await LocalServer.start();
});
afterAll(() => local.close());

describe('a request becomes a WebSocket', () => {
  test.each([
    ['as it stands', upgradeRequest()],
    ['with a query, which is ignored', upgradeRequest([], '/ws?token=x&room=y')],
    [
      'with its headers in another case',
      upgradeRequest().replaceAll(/^([A-Z][A-Za-z-]+):/gm, (name) => name.toUpperCase()),
    ],
    ['with the upgrade named in another case', changed('Upgrade: websocket', 'Upgrade: WebSocket')],
    [
      'with Connection naming more than the upgrade',
      changed('Connection: Upgrade', 'Connection: keep-alive, Upgrade'),
    ],
    [
      'with extensions offered, none of which is taken',
      upgradeRequest(['Sec-WebSocket-Extensions: permessage-deflate']),
    ],
    ['from any origin', upgradeRequest(['Origin: https://example.org'])],
  ])('%s', async (_what, request) => {
    const text = await beginning(local.port, request);
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    // The accept value of the example in RFC 6455 section 1.3, whose key the request carries.
    expect(text).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(text).not.toMatch(/Sec-WebSocket-Extensions/i);
    expect(text).not.toMatch(/Sec-WebSocket-Protocol/i);
  });

  test('and what its client sent in the same segment is heard', async () => {
    const behind = frame({ payload: '{"type":"ping","id":1}' });
    const peer = await RawPeer.open(local.port, { behind });
    expect(await peer.text('pong')).toMatchObject({ id: 1 });
  });
});

test('an upgrade behind another request in the same segment harms nobody', async () => {
  const pipelined = Array.from({ length: 20 }, async () => {
    const socket = connect(local.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n\r\n${upgradeRequest()}`);
    socket.write(frame({ payload: '{"type":"hello"}' }));
    await once(socket, 'data');
    socket.destroy();
    await once(socket, 'close');
  });
  await Promise.all(pipelined);
  await local.connections(0);
  const client = await TestClient.hello(local.url);
  await client.close();
});

describe('a request is refused with what would be right', () => {
  test.each([
    ['on another path', upgradeRequest([], '/'), 404, 'WebSockets are at /ws'],
    ['on a path that only begins like it', upgradeRequest([], '/ws/'), 404, 'WebSockets are at /ws'],
    ['with another method', changed('GET', 'POST'), 405, 'GET'],
    [
      'of version 8, whose origin is in another header',
      changed('Version: 13', 'Version: 8'),
      426,
      'version 13',
    ],
    ['of version 14', changed('Version: 13', 'Version: 14'), 426, 'version 13'],
    ['of two versions at once', changed('Version: 13', 'Version: 13, 8'), 426, 'version 13'],
    ['without a version', changed('Sec-WebSocket-Version: 13\r\n', ''), 426, 'version 13'],
    ['without a key', changed(/Sec-WebSocket-Key: .*\r\n/, ''), 400, 'Sec-WebSocket-Key'],
    [
      'with a key that is too short',
      changed(/(Sec-WebSocket-Key: ).*/, '$1c2hvcnQ='),
      400,
      'Sec-WebSocket-Key',
    ],
    ['to h2c, which proxies pass on', changed('Upgrade: websocket', 'Upgrade: h2c'), 400, 'websocket'],
    ['to h2c on a path of HTTP', upgradeRequest([], '/health').replace('websocket', 'h2c'), 400, 'websocket'],
    [
      'with only another subprotocol',
      upgradeRequest(['Sec-WebSocket-Protocol: mqtt, graphql-ws']),
      400,
      'roomcast.v1',
    ],
    [
      'with subprotocols that are no list',
      upgradeRequest(['Sec-WebSocket-Protocol: roomcast.v1,,x y']),
      400,
      'Protocol',
    ],
    [
      'with the subprotocol twice',
      upgradeRequest(['Sec-WebSocket-Protocol: roomcast.v1, roomcast.v1']),
      400,
      'Protocol',
    ],
    ['with 65 headers', upgradeRequest(many(60)), 431, '64 headers'],
    ['with 500 headers', upgradeRequest(many(495)), 431, '64 headers'],
  ])('%s', async (_what, request, status, advice) => {
    const answer = await exchange(local.port, request);
    expect(answer).toMatchObject({ status });
    expect(JSON.parse(answer?.body ?? '')).toEqual({ error: expect.stringContaining(advice) as string });
    expect(answer?.headers.get('connection')).toMatch(/close/);
    expect(answer?.headers.get('content-type')).toMatch(/^application\/json/);
  });

  test('with 64 headers not yet', async () => {
    const peer = await RawPeer.open(local.port, { headers: many(59) });
    expect(peer.answer.status).toBe(101);
  });

  test('with more than 8 KB of headers', async () => {
    const answer = await exchange(local.port, upgradeRequest([`X-Long: ${'x'.repeat(8192)}`]));
    expect(answer?.status).toBe(431);
  });

  test('with the headers its status asks for', async () => {
    const version = await exchange(local.port, changed('Version: 13', 'Version: 8'));
    expect(version?.headers.get('sec-websocket-version')).toBe('13');
    expect(version?.headers.get('upgrade')).toBe('websocket');
    expect(version?.headers.get('connection')).toMatch(/upgrade/i);
    const method = await exchange(local.port, changed('GET', 'PUT'));
    expect(method?.headers.get('allow')).toBe('GET');
  });

  test.each(['Content-Length: 5', 'Transfer-Encoding: chunked'])('with a body (%s)', async (header) => {
    expect(await exchange(local.port, upgradeRequest([header]))).toMatchObject({ status: 400 });
  });

  test('without an upgrade, on the path of the WebSocket', async () => {
    const answer = await fetch(`${local.http}/ws`);
    expect(answer.status).toBe(426);
    expect(answer.headers.get('upgrade')).toBe('websocket');
    expect(await answer.json()).toEqual({ error: expect.stringContaining('WebSocket') as string });
  });
});

describe('where the origins of pages are named', () => {
  const ORIGINS = 'https://example.org,https://app.example.org:8443,capacitor://localhost';

  test.each([['https://example.org'], ['https://app.example.org:8443'], ['capacitor://localhost']])(
    'a page of %s may connect',
    async (origin) => {
      const strict = await LocalServer.forTest({ ALLOWED_ORIGINS: ORIGINS });
      const peer = await RawPeer.open(strict.port, { headers: [`Origin: ${origin}`] });
      expect(peer.answer.status).toBe(101);
    },
  );

  test('a client that sends none may connect: it is no browser', async () => {
    const strict = await LocalServer.forTest({ ALLOWED_ORIGINS: ORIGINS });
    await expect(TestClient.hello(strict.url)).resolves.toBeDefined();
  });

  test.each([
    ['of somebody else', 'https://evil.example'],
    ['of a host that only begins like it', 'https://example.org.evil.example'],
    ['of a host that only ends like it', 'https://evil-example.org'],
    ['below it', 'https://sub.example.org'],
    ['of the same host without TLS', 'http://example.org'],
    ['of another port', 'https://example.org:8443'],
    ['written in another case', 'https://EXAMPLE.org'],
    ['with a path behind it', 'https://example.org/'],
    ['of a sandbox or a file', 'null'],
    ['that is empty', ''],
    ['named twice', 'https://example.org\r\nOrigin: https://evil.example'],
  ])('a page %s may not', async (_what, origin) => {
    const strict = await LocalServer.forTest({ ALLOWED_ORIGINS: ORIGINS });
    const answer = await exchange(strict.port, upgradeRequest([`Origin: ${origin}`]));
    expect(answer?.status).toBe(403);
    expect(JSON.parse(answer?.body ?? '')).toEqual({
      error: 'pages of this origin may not connect; ALLOWED_ORIGINS names those that may',
    });
    expect(await strict.health()).toMatchObject({ connections: 0 });
  });

  test('HTTP is not refused by it: nothing there acts for a user', async () => {
    const strict = await LocalServer.forTest({ ALLOWED_ORIGINS: ORIGINS });
    const answer = await fetch(`${strict.http}/live`, { headers: { origin: 'https://evil.example' } });
    expect(answer.status).toBe(200);
  });
});

describe('the subprotocol', () => {
  test.each([
    ['is chosen where it is offered', ['roomcast.v1']],
    ['is chosen among others', ['mqtt', 'roomcast.v1', 'chat']],
    ['is chosen beside a token, which is not repeated', ['roomcast.v1', `bearer.${JWT}`]],
    ['is chosen behind a token, which is not repeated', [`bearer.${JWT}`, 'roomcast.v1']],
  ])('%s', async (_what, offered) => {
    const peer = await RawPeer.open(local.port, {
      headers: [`Sec-WebSocket-Protocol: ${offered.join(', ')}`],
    });
    expect(peer.answer.headers.get('sec-websocket-protocol')).toBe('roomcast.v1');
    expect(JSON.stringify([...peer.answer.headers])).not.toContain('bearer');
  });

  test('is not named where only a token was offered: that is no subprotocol', async () => {
    const peer = await RawPeer.open(local.port, { headers: [`Sec-WebSocket-Protocol: bearer.${JWT}`] });
    expect(peer.answer.headers.has('sec-websocket-protocol')).toBe(false);
  });

  test('of an unknown name beside a token is refused, and the token is in no log line', async () => {
    const answer = await exchange(
      local.port,
      upgradeRequest([`Sec-WebSocket-Protocol: mqtt, bearer.${JWT}`]),
    );
    expect(answer?.status).toBe(400);
    expect(answer?.body).not.toContain(JWT);
    expect(JSON.stringify(local.logger.lines)).not.toContain(JWT);
  });
});

describe('too many at once', () => {
  test('are told to come back in a moment', async () => {
    const few = await LocalServer.forTest({ LIMIT_UPGRADES_PER_SECOND: '5' });
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => beginning(few.port, upgradeRequest())),
    );
    const taken = answers.filter((answer) => answer.startsWith('HTTP/1.1 101'));
    const refused = answers.filter((answer) => answer.startsWith('HTTP/1.1 503'));
    expect(taken.length).toBeGreaterThanOrEqual(5);
    expect(taken.length).toBeLessThan(20);
    expect(refused.length).toBe(40 - taken.length);
    for (const answer of refused)
      expect(answer).toMatch(/Retry-After: 2\r\n[^]*too many connections at once/);
  });

  test('count only what would have been taken', async () => {
    const one = await LocalServer.forTest({ LIMIT_UPGRADES_PER_SECOND: '1' });
    for (let tries = 0; tries < 5; tries += 1) await exchange(one.port, upgradeRequest([], '/elsewhere'));
    await expect(TestClient.open(one.url)).resolves.toBeDefined();
  });
});

test('while the node is drained, a new connection is sent elsewhere', async () => {
  const draining = await LocalServer.forTest({ DRAIN_NOTICE_MS: '0', DRAIN_SPREAD_MIN_MS: '600' });
  const client = await TestClient.hello(draining.url);
  const drained = draining.server.drain();
  await client.next('closing');
  const answer = await exchange(draining.port, upgradeRequest());
  expect(answer).toMatchObject({ status: 503, body: expect.stringContaining('drained') as string });
  expect(answer?.headers.get('retry-after')).toBe('2');
  await drained;
});

describe('a socket that is reset', () => {
  const request = upgradeRequest();
  const cuts = [1, 20, request.length - 2, request.length];

  test.each(cuts)('after %i bytes of the upgrade ends only itself', async (bytes) => {
    const resets = Array.from({ length: 50 }, async () => {
      const socket = connect(local.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(request.slice(0, bytes), () => socket.resetAndDestroy());
      await once(socket, 'close');
    });
    await Promise.all(resets);
    await local.connections(0);
    const client = await TestClient.hello(local.url);
    await client.close();
  });

  test('right behind a refused upgrade ends only itself', async () => {
    const refused = upgradeRequest([], '/elsewhere');
    const resets = Array.from({ length: 100 }, async () => {
      const socket = connect(local.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(refused, () => socket.resetAndDestroy());
      await once(socket, 'close');
    });
    await Promise.all(resets);
    const client = await TestClient.hello(local.url);
    await client.close();
  });

  test('in the middle of a session ends only itself', async () => {
    const peers = await Promise.all(Array.from({ length: 30 }, () => RawPeer.open(local.port)));
    for (const peer of peers) peer.say({ type: 'hello' }, { type: 'join', id: 1, room: 'reset' });
    await Promise.all(peers.map((peer) => peer.text('joined')));
    for (const peer of peers) {
      peer.say({ type: 'publish', room: 'reset', data: 1 });
      peer.socket.resetAndDestroy();
    }
    await local.connections(0);
    const client = await TestClient.hello(local.url);
    await client.close();
  });
});

test('a refused peer that does not read what is in front of the refusal is not kept either', async () => {
  const { port, accepted, http } = await listen();
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined).pause();
  await once(socket, 'connect');
  socket.write(upgradeRequest([], '/ws').replace('/ws', '/live').replace('Upgrade: websocket\r\n', ''));
  await expect.poll(() => accepted[0]?.bytesRead).toBeGreaterThan(0);
  // As a large response that it does not take.
  accepted[0]?.write(Buffer.alloc(16 << 20));
  socket.write(upgradeRequest([], '/elsewhere'));
  await expect.poll(() => accepted[0]?.destroyed, { timeout: 5000 }).toBe(true);
  await http.close();
});

test('a refused peer that never closes its side is not kept', async () => {
  const socket = connect({ port: local.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(upgradeRequest([], '/elsewhere'));
  socket.resume();
  await once(socket, 'end');
  // Only a socket that is gone answers data with a reset.
  const failed = once(socket, 'error');
  const poke = setInterval(() => socket.write('x'), 5);
  await expect(failed).resolves.toMatchObject([
    { code: expect.stringMatching(/EPIPE|ECONNRESET/) as string },
  ]);
  clearInterval(poke);
  socket.destroy();
});

/** The first bytes of the answer, whether the connection then stays or not. */
async function beginning(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

function many(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `X-${at}: v`);
}
