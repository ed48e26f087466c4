/** The options with their defaults, those that are left undefined included. */
import type { ClientOptions } from './api.ts';

export type Settings = ReturnType<typeof settingsOf>;

/** The server remembers a key for 120 s: a repeat after that would be a second message. */
const PUBLISH_TIMEOUT_MAX_MS = 100_000;

const defaults = () => ({
  outboxMessages: 1000,
  outboxBytes: 1_048_576,
  publishTimeoutMs: 90_000,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  baseMs: 1000,
  capMs: 30_000,
  stableMs: 30_000,
});

type Defaults = ReturnType<typeof defaults>;

export function settingsOf({ backoff, ...options }: ClientOptions) {
  const settings = defaults() as Defaults & Omit<ClientOptions, keyof Defaults>;
  const given: Record<string, unknown> = { ...options, ...backoff };
  for (const name in given) {
    if (given[name] !== undefined) (settings as Record<string, unknown>)[name] = given[name];
  }
  settings.publishTimeoutMs = Math.min(settings.publishTimeoutMs, PUBLISH_TIMEOUT_MAX_MS);
  return settings;
}
