import { describe, expect, it } from 'vitest';
import { Stall } from '../../src/node/stall.ts';
import { FakeConnection } from '../support/fake-connection.ts';

function waiting(): FakeConnection {
  const connection = new FakeConnection();
  connection.queuedBytes = 100;
  return connection;
}

describe('a stall', () => {
  it('lasts from the look that last saw something taken, or nothing waiting', () => {
    const connection = waiting();
    const stall = new Stall(connection, 0);
    expect([1000, 2000, 3000].map((ms) => stall.lookedAt(connection, ms))).toEqual([1000, 2000, 3000]);
    connection.progress = 10;
    expect([4000, 5000].map((ms) => stall.lookedAt(connection, ms))).toEqual([0, 1000]);
    connection.queuedBytes = 0;
    expect(stall.lookedAt(connection, 6000)).toBe(0);
  });

  it('is not the time for which this process stood still, and wrote nothing', () => {
    // After a minute in which the node was frozen, everybody who was behind was closed 4009 by the first look.
    const connection = waiting();
    const stall = new Stall(connection, 0);
    stall.lookedAt(connection, 1000);
    expect(stall.lookedAt(connection, 61_000)).toBeLessThanOrEqual(3000);
  });
});
