/**
 * The WebSocket of the conformance suite: it can do what an honest client never does. Nothing is judged
 * here; what the library refuses to send goes past it, on the socket kept from the upgrade.
 */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Wire, WireEnd, WireEvents, WireOptions } from '../conformance/wire.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2000;
const FRAME_BYTES_MAX = 64 * 1024 * 1024;

export function openWire(url: string, { protocols, answerPings }: WireOptions, events: WireEvents): Wire {
  // A constant of its own, because the types of the library miss `closeTimeout`.
  const options = {
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    maxPayload: FRAME_BYTES_MAX,
    autoPong: answerPings,
    // Offered, so that it can be seen to be declined.
    perMessageDeflate: true,
  };
  const socket = new WebSocket(url, [...protocols], options);
  let raw: Socket | undefined;
  listen(socket, events);
  socket.on('upgrade', (response) => {
    raw = response.socket;
  });
  return {
    send: (text) => socket.send(text, ignored),
    sendFragments: (pieces) => {
      for (const [at, piece] of pieces.entries()) {
        socket.send(piece, { fin: at === pieces.length - 1, compress: false }, ignored);
      }
    },
    sendBinary: (bytes) => socket.send(bytes, { binary: true }, ignored),
    sendTextBytes: (bytes) => socket.send(bytes, { binary: false }, ignored),
    sendRaw: (bytes) => void raw?.write(bytes),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.close(1000),
    terminate: () => socket.terminate(),
  };
}

/** What could not be sent any more is told by `closed`. */
function ignored(): void {}

function listen(socket: WebSocket, events: WireEvents): void {
  let opened = false;
  let refused: WireEnd['refused'];
  socket.on('open', () => {
    opened = true;
    events.opened({ protocol: socket.protocol, extensions: socket.extensions });
  });
  socket.on('message', (data, isBinary) => {
    if (!Buffer.isBuffer(data)) return;
    if (isBinary) events.binary(data.length);
    else events.text(data.toString('utf8'));
  });
  socket.on('ping', () => events.pinged());
  socket.on('unexpected-response', (_request, response) => {
    const status = response.statusCode ?? 0;
    refused = { status, problem: `HTTP ${status}` };
    // With this listener the library leaves ending the attempt to us; without it `closed` never comes.
    socket.terminate();
  });
  // Always followed by `close`, which reports it. Without a listener the process would end here.
  socket.on('error', (error) => {
    refused ??= { problem: error.message };
  });
  socket.on('close', (code, reason) => {
    const end = { code, reason: reason.toString('utf8') };
    events.closed(opened ? end : { ...end, refused: refused ?? { problem: 'closed while opening' } });
  });
}
