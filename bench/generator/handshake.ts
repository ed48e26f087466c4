/**
 * The opening handshake from the client's side (RFC 6455 section 4.1). The key
 * is the one of the RFC's example, so that a bare test server may hold the
 * answer as a constant; the answer is checked all the same.
 */

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const HEAD_BYTES_MAX = 16_384;

export function upgradeRequest(host: string, path: string, subprotocol?: string): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`,
    'Sec-WebSocket-Version: 13',
  ];
  if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Collects the response head. */
export class UpgradeResponse {
  #head: Buffer = Buffer.alloc(0);

  /** What came behind the head, once it is whole; undefined before. Throws where the server did not upgrade. */
  push(chunk: Buffer): Buffer | undefined {
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#head.length > HEAD_BYTES_MAX) throw new Error('the response to the upgrade has no end');
      return undefined;
    }
    const head = this.#head.toString('latin1', 0, end);
    const [status = '', ...headers] = head.split('\r\n');
    if (!/^HTTP\/1\.1 101\b/.test(status)) throw new Error(`the upgrade was answered with "${status}"`);
    const accept = headers.find((line) => line.toLowerCase().startsWith('sec-websocket-accept:'));
    if (accept?.slice(accept.indexOf(':') + 1).trim() !== ACCEPT) {
      throw new Error('the upgrade was answered with a wrong Sec-WebSocket-Accept');
    }
    return this.#head.subarray(end + 4);
  }
}
