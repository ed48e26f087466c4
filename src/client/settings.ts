/** The options with their defaults, checked once. */
import type { ClientOptions } from './api.ts';
import { RoomcastError } from './errors.ts';

export type Settings = ReturnType<typeof settingsOf>;

/** The server remembers a key for 120 s: a repeat after that would be a second message. */
const PUBLISH_TIMEOUT_MAX_MS = 100_000;

export function settingsOf({
  outboxMessages = 1000,
  outboxBytes = 1024 * 1024,
  publishTimeoutMs = 90_000,
  connectTimeoutMs = 10_000,
  requestTimeoutMs = 15_000,
  backoff: { baseMs = 1000, capMs = 30_000, stableMs = 30_000 } = {},
  ...rest
}: ClientOptions) {
  if (publishTimeoutMs > PUBLISH_TIMEOUT_MAX_MS) {
    throw new RoomcastError('bad_request', `publishTimeoutMs is over ${PUBLISH_TIMEOUT_MAX_MS}`);
  }
  const limits = { outboxMessages, outboxBytes, publishTimeoutMs, connectTimeoutMs, requestTimeoutMs };
  return { ...rest, ...limits, baseMs, capMs, stableMs };
}
