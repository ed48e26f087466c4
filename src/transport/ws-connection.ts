/**
 * One WebSocket as the node sees it: text in, frames out. Frames are made by us
 * (core/frame.ts) and written to the socket kept from the upgrade, because the
 * same bytes go to every member of a room. That is right only while no extension
 * is negotiated and `ws` has nothing of its own in its queue, which the listener
 * sees to: no compression, no fragments, no Blobs, no pongs. Until the close, what
 * is written to the socket is written here.
 *
 * Replies are held back to the end of the turn, so that a hundred of them and a
 * message of that turn are one write.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Connection } from '../core/connection.ts';
import type { Clock } from '../core/clock.ts';
import { PING_FRAME, pongFrame, textFrame } from '../core/frame.ts';
import type { Logger } from '../core/logger.ts';
import { CLOSE } from '../protocol/codes.ts';
import { Backlog } from './backlog.ts';
import type { DirectHandle, DirectWrite, DirectWriter } from './direct-write.ts';

export interface WsConnectionSettings {
  /** Bytes that may wait for a peer that does not read; 0 = no limit. */
  readonly limitOutboxMaxBytes: number;
}

export interface WsConnectionParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Corks and uncorks connections for a turn. */
  readonly turn: { cork(connection: WsConnection): void };
  /** Told what a peer did not take at once. */
  readonly outbox: { grew(bytes: number): void };
  readonly direct: DirectWrite;
  readonly settings: WsConnectionSettings;
}

/** The part of a socket's handle that tells how much of a write is left. Node's own idle timeout looks at it too. */
type WithHandle = Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };

const NOTHING = Buffer.alloc(0);
/** After a close handshake that cannot be sent: the backlog is in front of it. */
const SLOW_CLOSE_MS = 1000;
/** RFC 6455 section 5.5: a control frame holds at most 125 bytes, two of them the code. */
const CLOSE_REASON_BYTES_MAX = 123;
/** Of `waitingBytes`: up to here every ping is answered for itself. */
const PONGS_QUEUED_BYTES_MAX = 65_536;
/** Pings in a row that may stay without a single byte in return. */
const UNANSWERED_PINGS_MAX = 2;

export class WsConnection implements Connection, DirectWriter {
  readonly id: string;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #parts: WsConnectionParts;
  /** Where the socket may be written to past its stream. */
  readonly #handle: DirectHandle | undefined;
  /** Of its own: what `ws` says is told here too, and asking it is one object more to reach for with each delivery. */
  #isOpen = true;
  #isCorked = false;
  /**
   * Whether something may be left in the stream of the socket. While nothing is, a delivery need not look at the
   * socket: two objects less that went cold since the last one.
   */
  #isStreamed = true;
  /** Written since the cork, and how much that is. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  /** Of a direct write under way: the socket knows nothing of it. */
  #directBytes = 0;
  #backlog: Backlog | undefined;
  /** The answer to the newest ping, while too much waits to send it. */
  #pongDue: Buffer | undefined;
  /** Those who wait for what a peer that ended its half has not taken. */
  #whenGone: (() => void)[] | undefined;
  /** Bytes the peer had sent at the last beat, and the beats since it sent any. */
  #heardBytes = 0;
  #silentBeats = 0;

  constructor(id: string, ws: WebSocket, socket: Socket, parts: WsConnectionParts) {
    this.id = id;
    this.#ws = ws;
    this.#socket = socket;
    this.#parts = parts;
    this.#handle = parts.direct.handleOf(socket);
  }

  /** False from the first step of the close on: nothing is sent any more, and nothing that comes is listened to. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  directDone(): void {
    this.#directBytes = 0;
  }

  /** `ws` or the peer begins to close: after the close frame no data may follow (RFC 6455 section 5.5.1). */
  closing(): void {
    this.#isOpen = false;
    // From here on `ws` writes, too.
    this.#isStreamed = true;
  }

  get queuedBytes(): number {
    return (this.#isStreamed ? this.#socket.writableLength : 0) + this.#directBytes;
  }

  get waitingBytes(): number {
    const bytes = this.#unheldBytes;
    return this.#backlog && bytes > 0 ? bytes + this.#backlog.overhead(bytes) : bytes;
  }

  backlog(): readonly Buffer[] {
    const bytes = this.#unheldBytes;
    return this.#backlog && bytes > 0 ? this.#backlog.buffers(bytes) : [];
  }

  /** Node tells of a write only when all of it was taken; what the kernel left of it is told by the handle alone. */
  get progress(): number {
    const { bytesWritten, writableLength } = this.#socket;
    return bytesWritten - writableLength - ((this.#socket as WithHandle)._handle?.writeQueueSize ?? 0);
  }

  onDrained(then: () => void): void {
    // Not by the event `drain`: a socket says it only where more than its own mark was waiting. A write without
    // bytes is called back when all before it was taken, or with an error when the socket is gone.
    this.#isStreamed = true;
    if (this.#socket.writable) this.#socket.write(NOTHING, () => then());
    else if (this.#socket.destroyed) this.#parts.clock.afterTurn(then);
    else {
      // The peer ended its half: what waits may never be taken, and who asked would ask again in every turn.
      this.#whenGone ??= [];
      this.#whenGone.push(then);
    }
  }

  /** The socket is gone, however it went. */
  gone(): void {
    this.closing();
    for (const then of this.#whenGone ?? []) then();
    this.#whenGone = undefined;
  }

  send(text: string | Buffer): void {
    if (!this.#isOpen) return;
    this.#parts.turn.cork(this);
    this.write(textFrame(text));
  }

  write(frames: Buffer): void {
    if (!this.#isOpen) return;
    if (this.#isTooFull(this.waitingBytes)) this.#tooSlow();
    else this.#hand(frames);
  }

  offer(frames: Buffer, queuedMax: number, heldMax: number): boolean {
    if (!this.#isOpen) return true;
    const waiting = this.waitingBytes;
    if (waiting > queuedMax || this.#heldBytes + frames.length > heldMax) return false;
    if (this.#isTooFull(waiting)) this.#tooSlow();
    else this.#hand(frames);
    return true;
  }

  cork(): boolean {
    if (this.#isCorked) return false;
    this.#isCorked = true;
    this.#socket.cork();
    return true;
  }

  uncork(): void {
    const held = this.#held ?? [];
    const heldBytes = this.#heldBytes;
    this.#isCorked = false;
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#socket.uncork();
    const { queuedBytes } = this;
    if (queuedBytes === 0) {
      this.#backlog = undefined;
      return;
    }
    // As if they were written one by one: what was in front of each is what it is kept behind.
    let queued = queuedBytes - heldBytes;
    for (const frames of held) {
      queued += frames.length;
      this.#keep(frames, queued);
    }
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.closing();
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
    // Where every write was taken at once since it drained, nobody else has noticed that it did.
    if (this.queuedBytes === 0) this.#backlog = undefined;
    if (this.#silentBeats >= UNANSWERED_PINGS_MAX) this.terminate();
    else if (this.#isOpen) this.#hand(PING_FRAME);
  }

  /**
   * Answers a ping; where much waits, only the newest, once nothing does (RFC 6455 section 5.5.3): who pings and does
   * not read makes no queue of pongs.
   */
  pong(payload: Buffer): void {
    if (this.waitingBytes <= PONGS_QUEUED_BYTES_MAX) {
      // Thousands of pings may come in one read: their pongs are one write.
      if (this.#isOpen) this.#parts.turn.cork(this);
      this.write(pongFrame(payload));
      return;
    }
    const isFirst = this.#pongDue === undefined;
    this.#pongDue = pongFrame(payload);
    if (isFirst) this.onDrained(() => this.#pongNow());
  }

  /** Ends the socket without a handshake: the peer is gone or does not read. */
  terminate(): void {
    this.closing();
    this.#ws.terminate();
  }

  #pongNow(): void {
    const pong = this.#pongDue;
    this.#pongDue = undefined;
    if (pong) this.write(pong);
  }

  /** What waited before this turn. */
  get #unheldBytes(): number {
    return this.queuedBytes - this.#heldBytes;
  }

  /**
   * One large reply (a `joined` with all that was missed, a page of history) may be more than the limit by itself, and
   * a client that comes back for it would be closed for it again, without an end. So a write is judged before it is
   * made, what this turn held back does not count, as its peer had no chance to take it, nor does the largest
   * frame that waits: a pong behind it is no reason to close.
   */
  #isTooFull(waiting: number): boolean {
    const { limitOutboxMaxBytes } = this.#parts.settings;
    return limitOutboxMaxBytes > 0 && waiting > limitOutboxMaxBytes + (this.#backlog?.largest ?? 0);
  }

  #hand(frames: Buffer): void {
    if (this.#isCorked) {
      this.#held ??= [];
      this.#held.push(frames);
      this.#heldBytes += frames.length;
      this.#stream(frames);
      return;
    }
    const handle = this.#handle;
    if (handle && this.#isFree(handle)) {
      const written = this.#parts.direct.write(this.#socket, handle, frames, this);
      if (written === 'taken') return;
      if (written === 'under way') this.#directBytes = frames.length;
      else this.#stream(frames);
    } else {
      this.#stream(frames);
    }
    const { queuedBytes } = this;
    if (queuedBytes > 0) this.#keep(frames, queuedBytes);
    else this.#backlog = undefined;
  }

  #stream(frames: Buffer): void {
    this.#isStreamed = true;
    this.#socket.write(frames);
  }

  /** Whether nothing is in front of a write past the stream. */
  #isFree(handle: DirectHandle): boolean {
    if (this.#directBytes > 0) return false;
    if (!this.#isStreamed) return true;
    const { writableLength, writableCorked, writable } = this.#socket;
    if (writableLength > 0 || writableCorked > 0 || !writable || handle.writeQueueSize !== 0) return false;
    this.#isStreamed = false;
    return true;
  }

  #keep(frames: Buffer, queuedBytes: number): void {
    this.#backlog ??= new Backlog();
    this.#backlog.add(frames, queuedBytes);
    this.#parts.outbox.grew(frames.length);
  }

  #tooSlow(): void {
    const { clock, logger } = this.#parts;
    logger.debug({ connection: this.id, queuedBytes: this.queuedBytes }, 'connection too slow');
    this.close(CLOSE.tooSlow, 'you read too slowly; reconnect and resume from your position');
    clock.after(SLOW_CLOSE_MS, () => this.terminate());
  }
}

function cutReason(reason: string): string {
  return Buffer.byteLength(reason) <= CLOSE_REASON_BYTES_MAX
    ? reason
    : reason.slice(0, CLOSE_REASON_BYTES_MAX / 3);
}
