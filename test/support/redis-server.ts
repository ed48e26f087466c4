/**
 * A private redis-server for one test file: started on a free loopback port,
 * killed by its pid when the test file ends, its directory removed. Faults are
 * made on it (kill, pause, restart empty or with its data) without touching anybody
 * else's Redis. Needs the `redis-server` program, or its path in REDIS_SERVER_BIN.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface RedisServerOptions {
  /** Append-only file with fsync by the second: data survives `restart()`. */
  readonly aof?: boolean;
  /** Kept after `stop()` when given; otherwise a temporary directory that is removed. */
  readonly dir?: string;
  readonly port?: number;
  /** Further arguments, e.g. ['--maxmemory', '10mb']. */
  readonly args?: readonly string[];
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** Of the process that runs now; changes with `restart()`. */
  readonly pid: number;
  /** A connected ioredis for the test's own use, logged in where `args` has --requirepass; closed by `stop()`. */
  client(): Promise<Redis>;
  /** Ends the process by signal, resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /**
   * SIGKILL where it still runs, then a new process on the same port and
   * directory. `empty` removes the data first. Without `aof` there is none but the
   * snapshot that a replica was synced with: a Redis that was one comes back with it.
   */
  restart(how?: { readonly empty?: boolean }): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** Kills the process, closes the clients, removes the directory. Idempotent. */
  stop(): Promise<void>;
}

const READY_MS = 10_000;
const temporary = new Set<string>();

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? makeTemporary();
  const url = `redis://127.0.0.1:${port}`;
  const clients = new Set<Redis>();
  let child = await launch(port, dir, options).catch((error: unknown) => {
    removeTemporary(dir);
    throw error;
  });

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    // A stopped process gets no signal but SIGKILL until it continues.
    child.kill('SIGCONT');
    await gone;
  };

  let stopped = false;
  // A test that fails during a restart stops the server meanwhile: the one must wait for the other, or the new process stays.
  let restarting: Promise<void> = Promise.resolve();
  const restart = async (empty: boolean): Promise<void> => {
    await kill();
    if (stopped) throw new Error('this redis-server was stopped');
    if (empty) {
      for (const data of ['appendonlydir', 'dump.rdb'])
        rmSync(join(dir, data), { recursive: true, force: true });
    }
    child = await launch(port, dir, options);
  };

  return {
    url,
    port,
    dir,
    get pid() {
      return child.pid ?? 0;
    },
    client: async () => {
      const client = connect(port, options);
      clients.add(client);
      await client.connect();
      return client;
    },
    kill,
    restart: ({ empty = false } = {}) => {
      restarting = restart(empty);
      return restarting;
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: async () => {
      stopped = true;
      for (const client of clients) client.disconnect();
      clients.clear();
      // Its caller sees how the restart ended.
      await restarting.catch(() => undefined);
      await kill();
      removeTemporary(dir);
    },
  };
}

function makeTemporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'roomcast-redis-'));
  temporary.add(dir);
  return dir;
}

/** Only what was made here: a directory that was passed in is the caller's. */
function removeTemporary(dir: string): void {
  if (temporary.delete(dir)) rmSync(dir, { recursive: true, force: true });
}

async function launch(port: number, dir: string, options: RedisServerOptions): Promise<ChildProcess> {
  const program = process.env.REDIS_SERVER_BIN ?? 'redis-server';
  const logFile = join(dir, 'redis.log');
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir,
    logfile: logFile,
    save: '',
    appendonly: options.aof === true ? 'yes' : 'no',
    appendfsync: 'everysec',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(program, [...args, ...(options.args ?? [])], { stdio: 'ignore' });
  watch(child, temporary.has(dir) ? dir : '');

  const missing = once(child, 'error').then(([error]: unknown[]) => {
    throw new Error(
      `cannot start ${program}: install redis-server (apt-get install redis-server) or set REDIS_SERVER_BIN`,
      { cause: error },
    );
  });
  const died = once(child, 'exit').then(([code, signal]: unknown[]) => {
    throw new Error(`${program} ended with ${String(code ?? signal)} at start:\n${tail(logFile)}`);
  });
  // Whichever loses the race settles later, when nobody listens any more.
  missing.catch(() => undefined);
  died.catch(() => undefined);
  try {
    await Promise.race([answersPing(port, child.pid, logFile, options), missing, died]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return child;
}

/**
 * Ends the server and its directory with the test process, however that one ends: a runner that is
 * interrupted or runs into its own timeout kills its workers, and no exit handler is called then.
 * The watcher waits for the end of its input, which the kernel closes.
 */
function watch(child: ChildProcess, dir: string): void {
  if (child.pid === undefined) return;
  const script = 'cat >/dev/null; kill -9 "$0"; [ -z "$1" ] || rm -rf "$1"';
  const watcher = spawn('sh', ['-c', script, String(child.pid), dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.unref();
  // Its process id may belong to somebody else once the server is gone.
  child.once('exit', () => watcher.kill('SIGKILL'));
}

/** Asks for the process id too: another Redis on the port would answer a PING just as well. */
async function answersPing(
  port: number,
  pid: number | undefined,
  logFile: string,
  options: RedisServerOptions,
): Promise<void> {
  const deadline = performance.now() + READY_MS;
  const client = connect(port, options);
  try {
    while (performance.now() < deadline) {
      try {
        if (client.status !== 'ready') await client.connect();
        await client.ping();
        if ((await client.info('server')).includes(`\nprocess_id:${pid}\r`)) return;
        await delay(10);
      } catch {
        // Refused until it listens, LOADING while it reads its data.
        client.disconnect();
        await delay(10);
      }
    }
  } finally {
    client.disconnect();
  }
  throw new Error(`redis-server on port ${port} was not ready in ${READY_MS} ms:\n${tail(logFile)}`);
}

function connect(port: number, { args = [] }: RedisServerOptions): Redis {
  const passwordAt = args.indexOf('--requirepass');
  const client = new Redis({
    host: '127.0.0.1',
    port,
    password: passwordAt < 0 ? undefined : args[passwordAt + 1],
    lazyConnect: true,
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
  });
  // Whoever awaits a command sees its error; without a listener ioredis prints each broken link.
  client.on('error', () => undefined);
  return client;
}

/**
 * A port below the kernel's ephemeral range (32768 and up). From inside it, a port that is free while
 * a server restarts may be taken by somebody's outgoing connection, or a retrying client may connect to itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 18_000 + Math.floor(Math.random() * 14_000);
    const server = createServer();
    server.listen(port, '127.0.0.1');
    const listens = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]);
    if (!listens) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no free port between 18000 and 32000 in 100 attempts');
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n');
  } catch (error) {
    return `(no log: ${String(error)})`;
  }
}
