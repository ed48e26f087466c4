/**
 * Whose connection it is. Behind a proxy every socket comes from the proxy, so
 * the proxy's word is taken instead, but only that of the proxies an operator
 * named: anybody else could claim any address. The last value counts, the one
 * the proxy itself added; those before it are what the client sent.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

export type AddressOf = (request: IncomingMessage) => string;

/** `proxies`: addresses and networks with commas between, `10.0.0.5,10.1.0.0/16`. Throws a `TypeError` on anything else. */
export function clientAddress(proxies: string | undefined): AddressOf {
  if (proxies === undefined) return peerOf;
  const trusted = new BlockList();
  for (const proxy of proxies.split(',')) trust(trusted, proxy);
  return (request) => {
    const peer = peerOf(request);
    const family = isIP(peer);
    if (family === 0 || !trusted.check(peer, family === 6 ? 'ipv6' : 'ipv4')) return peer;
    const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',');
    const last = bare(forwarded.slice(forwarded.lastIndexOf(',') + 1).trim());
    // A copy: as a part of the header it would keep all of that in memory for as long as its connection.
    return isIP(last) === 0 ? peer : Buffer.from(last).toString();
  };
}

/** The other end of the socket. */
function peerOf(request: IncomingMessage): string {
  return bare(request.socket.remoteAddress ?? '');
}

function trust(trusted: BlockList, proxy: string): void {
  const [address = '', bits] = proxy.split('/');
  const family = isIP(address);
  if (family === 0) throw new TypeError(`"${proxy}" is no address and no network such as 10.1.0.0/16`);
  const type = family === 6 ? 'ipv6' : 'ipv4';
  if (bits === undefined) trusted.addAddress(address, type);
  else trusted.addSubnet(address, Number(bits), type);
}

/** An IPv4 address that came over an IPv6 socket, as people write it. */
function bare(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}
