/**
 * The WebSocket of `ws`, telling all that happens to one object: a closure for
 * each event of each connection would be a third of a kilobyte. It also tells when
 * it begins to close, whoever began it: the peer by its close frame, `ws` for a
 * violation, or we. After that no frame may be written beside it, and `ws` has no
 * event for this moment.
 */
import { WebSocket } from 'ws';

/** What one peer may bring before the others have their turn, in messages, pings and pongs; what was read already is carried out. */
const SHARE_PER_TURN = 256;
/** So many bytes are as much as a message: 64 KB are all of it, in batches and in large frames too. */
const BYTES_PER_SHARE = 256;

export interface SocketEvents {
  /** Calls `run` when the others had their turn. */
  afterTurn(run: () => void): void;
  message(data: Buffer, isBinary: boolean): void;
  pinged(payload: Buffer): void;
  failed(error: Error): void;
  /** With every step towards the close. */
  closing(): void;
  closed(code: number): void;
}

export class WsSocket extends WebSocket {
  events: SocketEvents | undefined;
  #taken = 0;

  hear(events: SocketEvents): void {
    this.events = events;
    this.on('message', message).on('ping', pinged).on('pong', ponged).on('error', failed).on('close', closed);
  }

  /**
   * One socket that always has more to read is read 32 times in one look at all of them: up to 2 MB, seconds in which
   * nobody else is heard.
   */
  took(bytes: number): void {
    this.#taken += 1 + Math.floor(bytes / BYTES_PER_SHARE);
    if (this.#taken < SHARE_PER_TURN || this.isPaused) return;
    this.pause();
    this.events?.afterTurn(() => {
      this.#taken = 0;
      this.resume();
    });
  }

  override close(code?: number, reason?: string | Buffer): void {
    this.events?.closing();
    super.close(code, reason);
  }
}

function message(this: WebSocket, data: unknown, isBinary: boolean): void {
  (this as WsSocket).took((data as Buffer).length);
  (this as WsSocket).events?.message(data as Buffer, isBinary);
}

function pinged(this: WebSocket, payload: Buffer): void {
  (this as WsSocket).took(payload.length);
  (this as WsSocket).events?.pinged(payload);
}

function ponged(this: WebSocket, payload: Buffer): void {
  (this as WsSocket).took(payload.length);
}

function failed(this: WebSocket, error: Error): void {
  (this as WsSocket).events?.failed(error);
}

function closed(this: WebSocket, code: number): void {
  (this as WsSocket).events?.closed(code);
}
