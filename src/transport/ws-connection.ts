/**
 * One WebSocket as the node sees it: text in, frames out. Frames are made by us
 * (core/frame.ts) and written to the socket kept from the upgrade, because the
 * same bytes go to every member of a room. That is right only while no extension
 * is negotiated and `ws` has nothing of its own in its queue, which the listener
 * sees to: no compression, no fragments, no Blobs.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Connection } from '../core/connection.ts';
import type { Clock } from '../core/clock.ts';
import { textFrame } from '../core/frame.ts';
import type { Logger } from '../core/logger.ts';
import { CLOSE } from '../protocol/codes.ts';

export interface WsConnectionSettings {
  /** Bytes that may wait for a peer that does not read; 0 = no limit. */
  readonly limitOutboxMaxBytes: number;
}

/** The part of a socket's handle that tells how much of a write is left. Node's own idle timeout looks at it too. */
type WithHandle = Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };

const NOTHING = Buffer.alloc(0);
/** After a close handshake that cannot be sent: the backlog is in front of it. */
const SLOW_CLOSE_MS = 1000;
/** RFC 6455 section 5.5: a control frame holds at most 125 bytes, two of them the code. */
const CLOSE_REASON_BYTES_MAX = 123;
/** Pings in a row that may stay without a single byte in return. */
const UNANSWERED_PINGS_MAX = 2;

export class WsConnection implements Connection {
  readonly id: string;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: WsConnectionSettings;
  #closing = false;
  /** Bytes the peer had sent at the last beat, and the beats since it sent any. */
  #heardBytes = 0;
  #silentBeats = 0;

  constructor(
    id: string,
    ws: WebSocket,
    socket: Socket,
    clock: Clock,
    logger: Logger,
    settings: WsConnectionSettings,
  ) {
    this.id = id;
    this.#ws = ws;
    this.#socket = socket;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
  }

  /** False from the first step of the close on: nothing is sent any more, and nothing that comes is listened to. */
  get isOpen(): boolean {
    return !this.#closing && this.#ws.readyState === this.#ws.OPEN;
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Node tells of a write only when all of it was taken; what the kernel left of it is told by the handle alone. */
  get progress(): number {
    const { bytesWritten, writableLength } = this.#socket;
    return bytesWritten - writableLength - ((this.#socket as WithHandle)._handle?.writeQueueSize ?? 0);
  }

  onDrained(then: () => void): void {
    // Not by the event `drain`: a socket says it only where more than its own mark was waiting. A write without
    // bytes is called back when all before it was taken, or with an error when the socket is gone.
    if (this.#socket.writable) this.#socket.write(NOTHING, () => then());
    else this.#clock.afterTurn(then);
  }

  send(text: string | Buffer): void {
    this.write(textFrame(text));
  }

  write(frames: Buffer): void {
    // After the close frame no data may follow (RFC 6455 section 5.5.1), and a destroyed socket throws.
    if (!this.isOpen) return;
    // Judged before the write: one large frame (a `joined` with all that was missed) may be more than the
    // limit by itself, and a client that comes back for it would be closed for it again, without an end.
    const { limitOutboxMaxBytes } = this.#settings;
    if (limitOutboxMaxBytes > 0 && this.#socket.writableLength > limitOutboxMaxBytes) this.#tooSlow();
    else this.#socket.write(frames);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#ws.close(code, cutReason(reason));
  }

  /**
   * Pings the peer, or ends the socket of one that left two pings unanswered. Any byte is an answer. Beats are
   * counted, not measured: after this process was frozen, what its peers sent meanwhile is still unread.
   */
  beat(): void {
    const heard = this.#socket.bytesRead;
    this.#silentBeats = heard === this.#heardBytes ? this.#silentBeats + 1 : 0;
    this.#heardBytes = heard;
    if (this.#silentBeats >= UNANSWERED_PINGS_MAX) this.terminate();
    else if (this.isOpen) this.#ws.ping();
  }

  /** Ends the socket without a handshake: the peer is gone or does not read. */
  terminate(): void {
    this.#closing = true;
    this.#ws.terminate();
  }

  #tooSlow(): void {
    this.#logger.debug(
      { connection: this.id, queuedBytes: this.#socket.writableLength },
      'connection too slow',
    );
    this.close(CLOSE.tooSlow, 'you read too slowly; reconnect and resume from your position');
    this.#clock.after(SLOW_CLOSE_MS, () => this.terminate());
  }
}

function cutReason(reason: string): string {
  return Buffer.byteLength(reason) <= CLOSE_REASON_BYTES_MAX
    ? reason
    : reason.slice(0, CLOSE_REASON_BYTES_MAX / 3);
}
