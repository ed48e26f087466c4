/**
 * A TCP proxy that breaks links the way networks do, in front of a Redis or a node.
 * Rules say which connections suffer: all, or those that a predicate picks (the one
 * that sent SUBSCRIBE, say), looked at again with every chunk, so a rule also finds
 * a connection that shows its nature late.
 *
 * Streams stay honest: what a blackhole holds is delivered when it heals, as TCP
 * would retransmit it, and a connection that lost bytes for good is destroyed
 * rather than continued with a hole.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type FaultMode =
  | 'pass'
  /** Accepts, reads, forwards nothing in either direction, nor the end of a side: a half-open link. */
  | 'blackhole'
  /** Destroys what is open and refuses what is new. */
  | 'cut'
  /** Commands arrive, answers do not: the outcome is unknown to the client. */
  | 'swallow-replies'
  /** Each chunk is forwarded this much later, in order, in both directions. */
  | { readonly delayMs: number };

/** What a predicate may look at. */
export interface ProxiedConnection {
  /** 1, 2, … in the order of arrival. */
  readonly id: number;
  /** The client's first bytes, at most 4 KiB, as Latin-1. */
  readonly head: string;
  /** Whether SUBSCRIBE or SSUBSCRIBE was ever sent on it. */
  readonly subscriber: boolean;
  readonly bytesToTarget: number;
  readonly bytesToClient: number;
}

export type ConnectionFilter = (connection: ProxiedConnection) => boolean;

export const isSubscriber: ConnectionFilter = (connection) => connection.subscriber;

export interface FaultProxy {
  readonly port: number;
  /** Without a filter: for every connection, and earlier rules are forgotten. With one: for those it picks. */
  setMode(mode: FaultMode, filter?: ConnectionFilter): void;
  /** Where connections go from now on. Open ones are destroyed, as with an address that moved. */
  setTarget(port: number): void;
  /** Open connections, in the order of arrival. */
  connections(): readonly ProxiedConnection[];
  /** Bytes forwarded since the start, closed connections included. */
  bytes(): { readonly toTarget: number; readonly toClient: number };
  /** Destroys the open connections (all, or those picked) and refuses nobody. */
  cutOpen(filter?: ConnectionFilter): void;
  close(): Promise<void>;
}

const HEAD_BYTES_MAX = 4096;
/** What one direction of a blackhole holds; above it the bytes are lost and the connection dies on healing. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  let target = targetPort;
  let nextId = 1;
  let rules: { readonly mode: FaultMode; readonly filter: ConnectionFilter }[] = [];
  const open = new Set<Tunnel>();
  const total = { toTarget: 0, toClient: 0 };

  const modeFor: ModeFor = (connection) => {
    // The newest rule that picks the connection counts.
    for (let i = rules.length - 1; i >= 0; i--) {
      const rule = rules[i];
      if (rule?.filter(connection)) return rule.mode;
    }
    return 'pass';
  };

  const server = createServer((client) => {
    const tunnel = new Tunnel(nextId++, client, target, modeFor, total);
    open.add(tunnel);
    tunnel.onGone = () => open.delete(tunnel);
    tunnel.applyMode();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy got no port');

  const cutOpen = (filter: ConnectionFilter = () => true): void => {
    for (const tunnel of [...open]) if (filter(tunnel)) tunnel.destroy();
  };

  return {
    port: address.port,
    setMode: (mode, filter) => {
      rules = filter === undefined ? [{ mode, filter: () => true }] : [...rules, { mode, filter }];
      for (const tunnel of [...open]) tunnel.applyMode();
    },
    setTarget: (port) => {
      target = port;
      cutOpen();
    },
    connections: () => [...open],
    bytes: () => ({ ...total }),
    cutOpen,
    close: async () => {
      cutOpen();
      server.close();
      await once(server, 'close');
    },
  };
}

type ModeFor = (connection: ProxiedConnection) => FaultMode;

/** One client connection and its connection to the target. */
class Tunnel implements ProxiedConnection {
  readonly id: number;
  head = '';
  subscriber = false;
  bytesToTarget = 0;
  bytesToClient = 0;
  onGone: () => void = () => undefined;

  readonly #modeFor: ModeFor;
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #toTarget: Direction;
  readonly #toClient: Direction;
  /** The end of the last chunk: a command may be split between two. */
  #carry = '';
  #gone = false;
  #endHeld = false;

  constructor(
    id: number,
    client: Socket,
    targetPort: number,
    modeFor: ModeFor,
    total: { toTarget: number; toClient: number },
  ) {
    this.id = id;
    this.#modeFor = modeFor;
    this.#client = client;
    this.#target = connect(targetPort, '127.0.0.1');
    client.setNoDelay();
    this.#target.setNoDelay();
    this.#toTarget = new Direction(client, this.#target, (bytes) => {
      this.bytesToTarget += bytes;
      total.toTarget += bytes;
    });
    this.#toClient = new Direction(this.#target, client, (bytes) => {
      this.bytesToClient += bytes;
      total.toClient += bytes;
    });

    client.on('data', (chunk: Buffer) => {
      this.#look(chunk);
      this.applyMode();
      if (!this.#gone) this.#toTarget.take(chunk);
    });
    this.#target.on('data', (chunk: Buffer) => this.#toClient.take(chunk));
    for (const socket of [client, this.#target]) {
      // 'close' follows each error, and there is nothing else to do about one.
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sideClosed());
    }
  }

  applyMode(): void {
    const mode = this.#modeFor(this);
    if (mode === 'cut') return this.destroy();
    this.#toTarget.setMode(mode === 'swallow-replies' ? 'pass' : mode);
    this.#toClient.setMode(mode);
    const healed = mode === 'pass' || typeof mode === 'object';
    if (healed && (this.#toTarget.torn || this.#toClient.torn)) return this.destroy();
    if (healed && this.#endHeld) this.#endWhenFlushed();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#toTarget.stop();
    this.#toClient.stop();
    this.#client.destroy();
    this.#target.destroy();
    this.onGone();
  }

  #look(chunk: Buffer): void {
    if (this.head.length < HEAD_BYTES_MAX) {
      this.head += chunk.toString('latin1', 0, HEAD_BYTES_MAX - this.head.length);
    }
    if (this.subscriber) return;
    const text = this.#carry + chunk.toString('latin1');
    this.subscriber = /\$\d+\r\n(?:s|)subscribe\r\n/i.test(text);
    this.#carry = text.slice(-32);
  }

  /** Behind a blackhole the other side does not learn that this one is gone. */
  #sideClosed(): void {
    if (this.#modeFor(this) === 'blackhole') this.#endHeld = true;
    else this.#endWhenFlushed();
  }

  #endWhenFlushed(): void {
    this.#toTarget.whenFlushed(() => this.#toClient.whenFlushed(() => this.destroy()));
  }
}

/** One direction of a tunnel: chunks leave in order, at once, late, or when the fault is over. */
class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #count: (bytes: number) => void;
  #mode: Exclude<FaultMode, 'cut'> = 'pass';
  #queue: { readonly chunk: Buffer; readonly due: number }[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushed: (() => void)[] = [];
  /** Bytes were lost for good. */
  torn = false;

  constructor(from: Socket, to: Socket, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#count = count;
    to.on('drain', () => from.resume());
  }

  setMode(mode: Exclude<FaultMode, 'cut'>): void {
    this.#mode = mode;
    this.#flush();
  }

  take(chunk: Buffer): void {
    if (this.#mode === 'swallow-replies' || this.#queuedBytes + chunk.length > HELD_BYTES_MAX) {
      this.torn = true;
      return;
    }
    const delayMs = typeof this.#mode === 'object' ? this.#mode.delayMs : 0;
    this.#queue.push({ chunk, due: performance.now() + delayMs });
    this.#queuedBytes += chunk.length;
    this.#flush();
  }

  /** Runs once everything that may leave has left. */
  whenFlushed(run: () => void): void {
    this.#flushed.push(run);
    this.#flush();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#flushed = [];
  }

  #flush(): void {
    clearTimeout(this.#timer);
    if (this.#mode === 'blackhole') return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const waitMs = next.due - performance.now();
      if (waitMs > 0 && typeof this.#mode === 'object') {
        this.#timer = setTimeout(() => this.#flush(), Math.ceil(waitMs));
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= next.chunk.length;
      this.#send(next.chunk);
    }
    for (const run of this.#flushed.splice(0)) run();
  }

  #send(chunk: Buffer): void {
    if (this.#to.destroyed) return;
    this.#count(chunk.length);
    // Pressure goes through, or a peer that does not read would look fast.
    if (!this.#to.write(chunk)) this.#from.pause();
  }
}
