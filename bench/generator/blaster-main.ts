/**
 * The server against which the generator's own ceiling is measured: it writes
 * the same block of frames to every connection, again as soon as the kernel has
 * taken the last one, and does nothing else. argv: frames per write, bytes per
 * payload.
 */
import { createServer, type Socket } from 'node:net';
import { ACCEPT } from './handshake.ts';
import { nowUs, payloadOf } from './marker.ts';

const RESPONSE = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: Upgrade',
  `Sec-WebSocket-Accept: ${ACCEPT}`,
  '\r\n',
].join('\r\n');
const HEADER_BYTES = 4;

const [framesPerWrite = 1, payloadBytes = 200] = process.argv.slice(2).map(Number);
const block = Buffer.concat(
  Array.from({ length: framesPerWrite }, (_, n) => {
    const frame = Buffer.alloc(HEADER_BYTES + payloadBytes, payloadOf(0, n + 1, nowUs(), payloadBytes));
    frame[0] = 0x81;
    frame[1] = 126;
    frame.writeUInt16BE(payloadBytes, 2);
    frame.write(payloadOf(0, n + 1, nowUs(), payloadBytes), HEADER_BYTES);
    return frame;
  }),
);

const sockets = new Set<Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  socket.once('data', () => {
    socket.write(RESPONSE);
    sockets.add(socket);
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
});

/** Round after round over all connections, as a room server writes; one that is full is passed over. */
function round(): void {
  for (const socket of sockets) if (socket.writableLength === 0) socket.write(block);
  setImmediate(round);
}

// The storm of a scenario is opened in bursts larger than the default backlog.
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address();
  if (address && typeof address === 'object') console.log(`listening on ${address.port}`);
  // Everybody has joined by then; joining while the blast runs would measure the blaster.
  process.once('SIGUSR2', round);
});
