/** The proxy against a plain echo server: a fault test is worth what its faults are worth. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isSubscriber, startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts';

const SUBSCRIBE = '*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n';

let echo: EchoServer;
let proxy: FaultProxy;
let clients: Client[];

beforeEach(async () => {
  echo = await startEcho('');
  proxy = await startFaultProxy(echo.port);
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.socket.destroy();
  await proxy.close();
  await echo.close();
});

describe('a fault proxy', () => {
  test('passes bytes both ways and counts them', async () => {
    const client = await dial();
    client.socket.write('hello');
    await client.reads('hello');
    expect(proxy.bytes()).toEqual({ toTarget: 5, toClient: 5 });
    expect(proxy.connections()).toMatchObject([{ id: 1, head: 'hello', bytesToTarget: 5, bytesToClient: 5 }]);
  });

  test('delays each chunk and keeps the order when the delay ends', async () => {
    const client = await dial();
    proxy.setMode({ delayMs: 60 });
    const start = performance.now();
    client.socket.write('a');
    await echo.received('a');
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
    proxy.setMode({ delayMs: 10_000 });
    client.socket.write('b');
    await client.reads('a', () => proxy.setMode('pass'));
    client.socket.write('c');
    await client.reads('abc');
  });

  test('forwards nothing through a blackhole, and what it held when the blackhole heals', async () => {
    const client = await dial();
    proxy.setMode('blackhole');
    client.socket.write('held');
    const late = await dial();
    late.socket.write('late');
    // Through a second proxy: once this answer is back, the held bytes had their chance too.
    await roundTripBeside();
    expect(proxy.bytes()).toEqual({ toTarget: 0, toClient: 0 });
    proxy.setMode('pass');
    await client.reads('held');
    await late.reads('late');
  });

  test('hides the end of a side behind a blackhole', async () => {
    const client = await dial();
    client.socket.write('x');
    await client.reads('x');
    proxy.setMode('blackhole');
    client.socket.destroy();
    await roundTripBeside();
    expect(echo.open()).toBe(1);
    proxy.setMode('pass');
    await echo.hasOpen(0);
  });

  test('cut destroys open connections and refuses new ones until it is over', async () => {
    const client = await dial();
    proxy.setMode('cut');
    await client.closed;
    const refused = await dial();
    await refused.closed;
    proxy.setMode('pass');
    const next = await dial();
    next.socket.write('again');
    await next.reads('again');
  });

  test('swallows replies while commands arrive, and does not continue a stream with a hole', async () => {
    const client = await dial();
    proxy.setMode('swallow-replies');
    client.socket.write('applied');
    await echo.received('applied');
    await roundTripBeside();
    expect(client.text()).toBe('');
    proxy.setMode('pass');
    await client.closed;
  });

  test('a rule for subscribers finds them when they subscribe, and leaves the others alone', async () => {
    const subscriber = await dial();
    const other = await dial();
    subscriber.socket.write('early');
    await subscriber.reads('early');
    proxy.setMode('cut', isSubscriber);
    subscriber.socket.write('still');
    await subscriber.reads('earlystill');
    // Split inside the command's name: the rule must see through chunks.
    subscriber.socket.write(SUBSCRIBE.slice(0, 12));
    await subscriber.reads(`earlystill${SUBSCRIBE.slice(0, 12)}`);
    subscriber.socket.write(SUBSCRIBE.slice(12));
    await subscriber.closed;
    other.socket.write('fine');
    await other.reads('fine');
  });

  test('freezes one connection that a predicate picks', async () => {
    const [first, second] = [await dial(), await dial()];
    first.socket.write('1');
    await first.reads('1');
    second.socket.write('2');
    await second.reads('2');
    proxy.setMode('blackhole', (connection) => connection.head.startsWith('1'));
    first.socket.write('frozen');
    second.socket.write('free');
    await second.reads('2free');
    expect(first.text()).toBe('1');
    proxy.setMode('pass');
    await first.reads('1frozen');
  });

  test('a new target gets the new connections, and the old ones end', async () => {
    const client = await dial();
    const other = await startEcho('other:');
    proxy.setTarget(other.port);
    await client.closed;
    const next = await dial();
    next.socket.write('x');
    await next.reads('other:x');
    next.socket.destroy();
    await other.close();
  });

  test('a target that refuses ends the client', async () => {
    await echo.close();
    const client = await dial();
    await client.closed;
    echo = await startEcho('');
  });

  test('pressure of a client that does not read reaches the target', async () => {
    const client = await dial();
    client.socket.pause();
    echo.flood(64 * 1024 * 1024);
    await echo.pressed();
    expect(proxy.bytes().toClient).toBeLessThan(32 * 1024 * 1024);
  });
});

interface Client {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  text(): string;
  /** Waits until everything read so far equals `text`; `also` runs first. */
  reads(text: string, also?: () => void): Promise<void>;
}

async function dial(): Promise<Client> {
  const socket = connect(proxy.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  const client: Client = {
    socket,
    closed,
    text: () => text,
    reads: async (expected, also) => {
      also?.();
      while (text !== expected) {
        if (text.length > expected.length) expect(text).toBe(expected);
        await once(socket, 'data');
      }
    },
  };
  clients.push(client);
  return client;
}

/** Full round trips through a healthy proxy on the same event loop: whatever else could arrive has arrived. */
async function roundTripBeside(): Promise<void> {
  const target = await startEcho('');
  const beside = await startFaultProxy(target.port);
  const socket = connect(beside.port, '127.0.0.1');
  for (let i = 0; i < 3; i++) {
    socket.write('?');
    await once(socket, 'data');
  }
  socket.destroy();
  await beside.close();
  await target.close();
}

interface EchoServer {
  readonly port: number;
  open(): number;
  /** Waits until some connection has sent exactly this. */
  received(text: string): Promise<void>;
  /** Waits until the server has this many connections. */
  hasOpen(count: number): Promise<void>;
  flood(bytes: number): void;
  /** Waits until a flooded socket refused a write and the kernel's buffers stopped taking more. */
  pressed(): Promise<void>;
  close(): Promise<void>;
}

async function startEcho(prefix: string): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  const texts = new Map<Socket, string>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      server.emit('gone');
    });
    socket.on('data', (chunk: Buffer) => {
      texts.set(socket, (texts.get(socket) ?? '') + chunk.toString());
      socket.write(prefix + chunk.toString());
      server.emit('text');
    });
    server.emit('accepted');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    open: () => sockets.size,
    received: async (text) => {
      while (![...texts.values()].includes(text)) await once(server, 'text');
    },
    hasOpen: async (count) => {
      while (sockets.size !== count) await once(server, 'gone');
    },
    flood: (bytes) => {
      const send = (): void => {
        for (const socket of sockets) socket.write(Buffer.alloc(bytes));
      };
      if (sockets.size > 0) send();
      else server.once('accepted', send);
    },
    pressed: async () => {
      if (sockets.size === 0) await once(server, 'accepted');
      let before = -1;
      for (;;) {
        const waiting = [...sockets][0]?.writableLength ?? 0;
        if (waiting > 0 && waiting === before) return;
        before = waiting;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}
