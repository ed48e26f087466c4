/** Connections counted by address: pure, then over real sockets whose address is said to be another. */
import { describe, expect, test } from 'vitest';
import { AddressLimit } from '../../src/transport/address-limit.ts';
import { listen } from '../support/local-listener.ts';
import { exchange, RawPeer, upgradeRequest } from '../support/raw-peer.ts';

describe('an address', () => {
  test('has as many connections as the limit says, and one for each that ended', () => {
    const limit = new AddressLimit(2);
    limit.opened('203.0.113.7');
    expect(limit.isReached('203.0.113.7')).toBe(false);
    limit.opened('203.0.113.7');
    expect(limit.isReached('203.0.113.7')).toBe(true);
    expect(limit.isReached('203.0.113.8')).toBe(false);
    limit.closed('203.0.113.7');
    expect(limit.isReached('203.0.113.7')).toBe(false);
  });

  test('without connections is forgotten', () => {
    const limit = new AddressLimit(2);
    for (const address of ['203.0.113.7', '2001:db8::1']) {
      limit.opened(address);
      limit.opened(address);
    }
    expect(limit.size).toBe(2);
    for (const address of ['203.0.113.7', '2001:db8::1', '203.0.113.7', '2001:db8::1']) limit.closed(address);
    expect(limit.size).toBe(0);
  });

  test.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['127.example.org', false],
    ['::2', false],
    ['', false],
  ])('%s is loopback and exempt: %s', (address, exempt) => {
    const limit = new AddressLimit(1);
    limit.opened(address);
    expect(limit.isReached(address)).toBe(!exempt);
  });

  test('has no limit where it is 0', () => {
    const limit = new AddressLimit(0);
    limit.opened('203.0.113.7');
    expect(limit.isReached('203.0.113.7')).toBe(false);
  });
});

test('over the limit an upgrade is answered 429, and is taken again when a connection has ended', async () => {
  const { port } = await listen({
    settings: { limitAddressConnections: 2 },
    addressOf: (request) => String(request.headers['x-test-address']),
  });
  const from = (address: string) => [`X-Test-Address: ${address}`];
  const first = await RawPeer.open(port, { headers: from('203.0.113.7') });
  await RawPeer.open(port, { headers: from('203.0.113.7') });
  const refused = await exchange(port, upgradeRequest(from('203.0.113.7')));
  expect(refused).toMatchObject({ status: 429, body: expect.stringContaining('2 connections') as string });
  expect(refused?.headers.get('retry-after')).toBe('2');
  await RawPeer.open(port, { headers: from('203.0.113.8') });

  first.socket.destroy();
  await expect
    .poll(() =>
      RawPeer.open(port, { headers: from('203.0.113.7') }).then(
        (peer) => peer.answer.status,
        () => 429,
      ),
    )
    .toBe(101);
});
