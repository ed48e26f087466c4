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
  /** Starts the closing handshake; ends the socket by force where the peer does not answer. */
  close(code: number, reason: string): void;
}
