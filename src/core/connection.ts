/**
 * The port to one client's socket. Use cases hand over text or ready-made
 * frames and never learn which library carries them.
 */
export interface Connection {
  /** uuid v7, also the client's address for signals. */
  readonly id: string;
  /** Sends one text message. */
  send(text: string | Buffer): void;
  /** Writes ready-made server frames (core/frame.ts), in order with `send`. */
  write(frames: Buffer): void;
  /**
   * As `write`, but false, and nothing written, where the connection is full: its `waitingBytes` are more than
   * `queuedMax`, or what was held back since `cork` would grow beyond `heldMax`.
   */
  offer(frames: Buffer, queuedMax: number, heldMax: number): boolean;
  /** Holds back what is written until `uncork`, so that it leaves as one write. Never across a turn. False where it does already. */
  cork(): boolean;
  uncork(): void;
  /** Bytes handed over that the peer's side of the network has not taken yet. */
  readonly queuedBytes: number;
  /**
   * What the peer had the chance to take and did not: those that are held back since `cork` are none of it. With what
   * each buffer of them costs beside its bytes.
   */
  readonly waitingBytes: number;
  /** The buffers of `waitingBytes`. One that many connections were given is the same for all of them, and is in memory once. */
  backlog(): readonly Buffer[];
  /** Changes whenever the peer's side took something; while it stands still the peer does not read. */
  readonly progress: number;
  /** Calls once when nothing is queued any more, or the socket is gone. Only while something is queued. */
  onDrained(then: () => void): void;
  /** Starts the closing handshake; ends the socket by force where the peer does not answer. */
  close(code: number, reason: string): void;
  /** Ends the socket without a handshake. */
  terminate(): void;
}
