import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../../src/core/clock.ts';
import { Link, OPEN_TIMEOUT_MS, RETRY_CAP_MS } from '../../../src/broker/redis/link.ts';
import { systemClock } from '../../../src/ops/system-clock.ts';
import { createSeededRandom } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { freePort } from '../../support/redis-server.ts';

/** Fifty times as fast, writing down how long each wait was meant to be. */
function hastyClock(): { clock: Clock; waits: number[] } {
  const waits: number[] = [];
  const after: Clock['after'] = (ms, run) => {
    waits.push(ms);
    return systemClock.after(ms / 50, run);
  };
  return { clock: { ...systemClock, after }, waits };
}

let link: Link | undefined;
let server: Server | undefined;
afterEach(() => {
  link?.stop();
  server?.close();
});

function started(port: number) {
  const { clock, waits } = hastyClock();
  const logger = createRecordingLogger();
  const told: string[] = [];
  const target = { host: '127.0.0.1', port };
  link = new Link(
    { name: 'commands', target, clock, random: createSeededRandom(7), logger },
    { opened: () => told.push('opened'), lost: () => told.push('lost') },
  );
  link.start();
  return { waits, logger, told };
}

describe('a link', () => {
  it('tries again after pauses that grow, vary, and never exceed a second', async () => {
    const { waits, logger, told } = started(await freePort());
    const pauses = () => waits.filter((ms) => ms !== OPEN_TIMEOUT_MS);
    await vi.waitFor(() => expect(pauses().length).toBeGreaterThan(12), 5_000);
    expect(pauses()[0]).toBeLessThan(50);
    for (const ms of pauses()) expect(ms).toBeLessThanOrEqual(RETRY_CAP_MS);
    expect(Math.max(...pauses())).toBeGreaterThan(300);
    expect(new Set(pauses()).size).toBe(pauses().length);
    expect(told).toEqual([]);
    // One warning for the whole outage; an operator is not told the same ten times a minute.
    expect(logger.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    const warned = logger.saying('Redis cannot be reached yet');
    expect(warned[0]?.fields).toMatchObject({ reason: expect.stringMatching(/ECONNREFUSED/), attempts: 1 });
    // It never was there: nothing was lost.
    expect(logger.saying('Redis link lost')).toEqual([]);
  });

  it('does not wait for ever for a handshake that is never answered', async () => {
    let connections = 0;
    server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { logger, told } = started((server.address() as AddressInfo).port);
    await vi.waitFor(() => expect(connections).toBeGreaterThan(2), 5_000);
    expect(told).toEqual([]);
    expect(logger.saying('Redis cannot be reached yet')[0]?.fields.reason).toBe(
      `not open after ${OPEN_TIMEOUT_MS} ms`,
    );
  });
});
