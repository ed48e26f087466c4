/** A request that was not carried out, with what its sender is told: the wire's `error` frame. */
import { BrokerError } from '../broker/broker.ts';
import type { ErrorCode } from '../protocol/codes.ts';

const LANE_RETRY_MS = 100;

export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, retryAfterMs?: number) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What a client is told of an error; undefined for a bug of ours, which is logged and told as `internal`. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof BrokerError) {
    // A lane that is full says no moment; one of the publishes under way is answered soon.
    return new Refusal(error.code, error.message, error.code === 'rate_limited' ? LANE_RETRY_MS : undefined);
  }
  return undefined;
}
