/**
 * What the rest of the Redis broker, and the presence store, may ask of Redis:
 * run a script, send a plain command, know whether that makes sense at all.
 * The promise that matters is what an error means: `unavailable` is certainly
 * not applied, `unknown_outcome` is perhaps applied. command-link.ts keeps it.
 */
import type { ScriptName } from './scripts.ts';

/** What a command carries after its name. */
export type Argument = string | Buffer;

export interface Commands {
  /** True while commands can be sent: connected, scripts loaded, the time of Redis known. */
  readonly usable: boolean;

  /**
   * Redis milliseconds by which a write sent now must have been applied, as an
   * argument for a script: what is stuck in a socket for longer is refused by
   * the script itself, so nothing lands after its caller gave up.
   */
  deadline(): string;

  /**
   * EVALSHA by name, for writes whose order does not matter. NOSCRIPT is mended
   * by loading the scripts and sending once more. Rejects with a `BrokerError`:
   * `unavailable` (not sent, or refused by an error reply before it ran: certainly
   * not applied) or `unknown_outcome`. Strings in the reply are UTF-8. Calls of
   * one turn share one write to the socket.
   */
  run(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown>;

  /** As `run`, with every string of the reply as a Buffer. */
  runBuffers(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown>;

  /** One plain command. Same errors as `run`; strings in the reply are UTF-8. */
  call(command: string, ...args: Argument[]): Promise<unknown>;

  /** Tells each change of `usable`. Listeners are never removed: they live as long as the broker. */
  onUsable(listener: (usable: boolean) => void): void;
}
