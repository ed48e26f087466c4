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
   * As `write`, but false, and nothing written, where the connection is full: more than `queuedMax` bytes waited
   * before this turn, or what was held back since `cork` would grow beyond `heldMax`.
   */
  offer(frames: Buffer, queuedMax: number, heldMax: number): boolean;
  /** Holds back what is written until `uncork`, so that it leaves as one write. Never across a turn. False where it does already. */
  cork(): boolean;
  uncork(): void;
  /** Bytes handed over that the peer's side of the network has not taken yet. */
  readonly queuedBytes: number;
  /** Those of them that are held back since `cork`: they say nothing of how fast the peer reads. */
  readonly heldBytes: number;
  /** The buffers that wait. One that many connections were given is the same for all of them, and is in memory once. */
  backlog(): readonly Buffer[];
  /** Changes whenever the peer's side took something; while it stands still the peer does not read. */
  readonly progress: number;
  /** Calls once when nothing is queued any more, or the connection is gone. Only while something is queued. */
  onDrained(then: () => void): void;
  /** Starts the closing handshake; ends the socket by force where the peer does not answer. */
  close(code: number, reason: string): void;
  /** Ends the socket without a handshake. */
  terminate(): void;
}
