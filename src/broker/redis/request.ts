/**
 * One command on its way and what is called with its answer. It stands in for
 * the `Command` of ioredis, of which `sendCommand` and the reader of replies use
 * no more than is here: that one makes a promise, four closures and two copies of
 * its arguments, which was a fifth of what a publish allocated. Whatever becomes
 * of it, it is settled once; what comes later is ignored.
 *
 * A test sends it through the pinned ioredis to a real server, so that a release
 * that asks a command for more is noticed.
 */
import type { Command } from 'ioredis';
import type { Argument } from './commands.ts';
import { failedOutcome, type Outcome } from './outcome.ts';

/** How strings inside a reply are given: text, or bytes that must not be decoded. */
export type ReplyEncoding = 'utf8' | 'buffer';

/** What ioredis asks of a command, beside its name and arguments. */
type AsCommand = Pick<Command, 'setReplyContext' | 'toWritable' | 'resolve' | 'reject'>;

export class Request implements AsCommand {
  /** ioredis treats some commands by name: `subscribe` counts its arguments down, `exec` ends a transaction. */
  readonly name: string;
  readonly args: readonly Argument[];
  /** Spares ioredis its tracing, which would wait for a promise. */
  readonly isTraced = true;
  /** Milliseconds on the clock of the exchange. */
  readonly sentMs: number;
  settled = false;
  readonly #wire: string | Buffer;
  readonly #encoding: ReplyEncoding;
  readonly #settle: (outcome: Outcome) => void;

  constructor(
    name: string,
    args: readonly Argument[],
    wire: string | Buffer,
    encoding: ReplyEncoding,
    sentMs: number,
    settle: (outcome: Outcome) => void,
  ) {
    this.name = name;
    this.args = args;
    this.#wire = wire;
    this.#encoding = encoding;
    this.sentMs = sentMs;
    this.#settle = settle;
  }

  /** As ioredis takes it. */
  get asCommand(): Command {
    return this as AsCommand as Command;
  }

  setReplyContext(): void {
    // Replies are given as they come: nothing here depends on the protocol's version.
  }

  toWritable(): string | Buffer {
    return this.#wire;
  }

  resolve(value: unknown): void {
    this.settle({ kind: 'reply', value: this.#encoding === 'utf8' ? decoded(value) : value });
  }

  reject(error: Error): void {
    this.settle(failedOutcome(error));
  }

  settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    this.#settle(outcome);
  }
}

function decoded(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString();
  return Array.isArray(value) ? value.map(decoded) : value;
}
