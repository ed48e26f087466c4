/**
 * The WebSocket of `ws`, telling when it begins to close, whoever began it: the
 * peer by its close frame, `ws` for a violation, or we. After that no frame may be
 * written beside it, and `ws` has no event for this moment.
 */
import { WebSocket } from 'ws';

export class WsSocket extends WebSocket {
  /** Told with every step towards the close; set where the connection is opened. */
  closer: { closing(): void } | undefined;

  override close(code?: number, reason?: string | Buffer): void {
    this.closer?.closing();
    super.close(code, reason);
  }
}
