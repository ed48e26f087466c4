/**
 * A real HAProxy from haproxy.cfg at the top of the project, on a free loopback port, in front of nodes
 * that the test started. Needs the `haproxy` program, or its path in HAPROXY_BIN. Killed with its test
 * process, however that one ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from './redis-server.ts';

const CONFIG = new URL('../../haproxy.cfg', import.meta.url).pathname;
const READY_MS = 10_000;
/** Where Debian puts it, for shells of people whose PATH has no sbin. */
const SBIN = '/usr/sbin:/usr/local/sbin';

export interface Haproxy {
  readonly port: number;
  /** Of the WebSocket, through the proxy. */
  readonly url: string;
  readonly http: string;
  stop(): Promise<void>;
}

/** `nodes`: their ports on loopback. One node stands on both places. */
export async function startHaproxy(...nodes: [number, number?]): Promise<Haproxy> {
  const [first, second = first] = nodes;
  const port = await freePort();
  const program = process.env['HAPROXY_BIN'] ?? 'haproxy';
  // `-db`: one process in the foreground, so that killing it kills all of it.
  const child = spawn(program, ['-db', '-f', CONFIG], {
    env: {
      PATH: `${process.env['PATH'] ?? ''}:${SBIN}`,
      ROOMCAST_BIND: `127.0.0.1:${port}`,
      ROOMCAST_NODE_1: `127.0.0.1:${first}`,
      ROOMCAST_NODE_2: `127.0.0.1:${second}`,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const gone = Promise.race([
    once(child, 'exit').then(([code]) => `ended with ${String(code)}`),
    once(child, 'error').then(([error]) => String(error)),
  ]);
  watch(child);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      child.kill('SIGKILL');
    await gone;
  };
  const http = `http://127.0.0.1:${port}`;
  const failed = gone.then((how) => {
    throw new Error(`${program} ${how}:\n${said.join('')}`);
  });
  // Once it answers, its end is the business of `stop`.
  failed.catch(() => undefined);
  try {
    await Promise.race([answers(http), failed]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, url: `ws://127.0.0.1:${port}/ws`, http, stop };
}

/** Until a node answers through it. */
async function answers(http: string): Promise<void> {
  const until = performance.now() + READY_MS;
  while (performance.now() < until) {
    const status = await fetch(`${http}/ready`).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no node answered through HAProxy in ${READY_MS} ms`);
}

/** Ends it with this process, also where no exit handler is called. The kernel closes the watcher's input. */
function watch(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const watcher = spawn('sh', ['-c', 'cat >/dev/null; kill -9 "$0"', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.unref();
  // Its process id may belong to somebody else once it is gone.
  child.once('exit', () => watcher.kill('SIGKILL'));
}
