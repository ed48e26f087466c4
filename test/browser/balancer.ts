/**
 * HAProxy in front of the nodes of a browser test: every page, script and socket comes through it, and it
 * alone decides which node a page meets. A node that refuses a connection is passed over, which is what
 * lets a page find the other one right after the first was killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../scripts/programs.mjs';
import type { NodeProcess } from '../support/node-process.ts';
import { freePort } from '../support/redis-server.ts';

const START_MS = 10_000;

export interface Balancer {
  readonly http: string;
  stop(): Promise<void>;
}

export async function startBalancer(nodes: readonly NodeProcess[]): Promise<Balancer> {
  const program = findProgram('haproxy');
  if (program === undefined) throw new Error('no haproxy: install it or set HAPROXY_BIN');
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-balancer-'));
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, configuration(port, nodes));
  const child = spawn(program, ['-db', '-f', file], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const balancer: Balancer = {
    http: `http://127.0.0.1:${port}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await answers(balancer.http);
    return balancer;
  } catch (error) {
    await balancer.stop();
    throw error;
  }
}

function configuration(port: number, nodes: readonly NodeProcess[]): string {
  const servers = nodes.map((node, index) => `  server node-${index + 1} ${new URL(node.http).host}`);
  return `defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout tunnel 90s
  retries 3
  option redispatch 1
listen nodes
  bind 127.0.0.1:${port}
  balance leastconn
${servers.join('\n')}
`;
}

async function answers(url: string): Promise<void> {
  const until = performance.now() + START_MS;
  for (;;) {
    try {
      if ((await fetch(`${url}/live`)).ok) return;
    } catch {
      // Not listening yet.
    }
    if (performance.now() > until) throw new Error('haproxy did not answer in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
