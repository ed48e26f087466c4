import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress } from '../../src/transport/client-address.ts';

function from(remoteAddress: string, forwarded?: string): IncomingMessage {
  return {
    socket: { remoteAddress },
    headers: { 'x-forwarded-for': forwarded },
  } as unknown as IncomingMessage;
}

describe('the address of a client', () => {
  it.each([
    ['without proxies is the other end of the socket', undefined, '10.0.0.5', '1.2.3.4', '10.0.0.5'],
    ['is not believed from who is no trusted proxy', '10.0.0.5', '10.0.0.6', '1.2.3.4', '10.0.0.6'],
    ['is what a trusted proxy says', '10.0.0.5', '10.0.0.5', '1.2.3.4', '1.2.3.4'],
    [
      'is the last value: those before it were sent by the client',
      '10.0.0.5',
      '10.0.0.5',
      '9.9.9.9, 1.2.3.4',
      '1.2.3.4',
    ],
    ['knows networks', '192.168.0.1,10.1.0.0/16', '10.1.77.1', '1.2.3.4', '1.2.3.4'],
    ['ends where the network ends', '10.1.0.0/16', '10.2.0.1', '1.2.3.4', '10.2.0.1'],
    ['knows IPv4 over an IPv6 socket', '10.0.0.5', '::ffff:10.0.0.5', '::ffff:1.2.3.4', '1.2.3.4'],
    ['knows IPv6', '2001:db8::/32', '2001:db8::7', '2001:db9::1', '2001:db9::1'],
    ['is the proxy where it says nothing', '10.0.0.5', '10.0.0.5', undefined, '10.0.0.5'],
    ['is the proxy where it says nonsense', '10.0.0.5', '10.0.0.5', '1.2.3.4, unknown', '10.0.0.5'],
  ])('%s', (_title, proxies, peer, forwarded, expected) => {
    expect(clientAddress(proxies)(from(peer, forwarded))).toBe(expected);
  });

  it.each(['proxy.example', '10.0.0.5/33', '10.0.0', '10.0.0.5,', ' 10.0.0.5'])(
    'refuses the list %j',
    (proxies) => {
      expect(() => clientAddress(proxies)).toThrow();
    },
  );
});
