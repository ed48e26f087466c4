/** The options with their defaults, those that are left undefined included. */
import type { ClientOptions } from './api.ts';

export type Settings = ReturnType<typeof settingsOf>;

/** The server remembers a key for 120 s: a repeat after that would be a second message. */
const PUBLISH_TIMEOUT_MAX_MS = 100_000;

const DEFAULTS = {
  outboxMessages: 1000,
  outboxBytes: 1024 * 1024,
  publishTimeoutMs: 90_000,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  baseMs: 1000,
  capMs: 30_000,
  stableMs: 30_000,
};

export function settingsOf({ backoff, ...options }: ClientOptions) {
  const settings = { ...DEFAULTS } as typeof DEFAULTS & Omit<ClientOptions, keyof typeof DEFAULTS>;
  for (const [name, value] of Object.entries({ ...options, ...backoff })) {
    if (value !== undefined) (settings as Record<string, unknown>)[name] = value;
  }
  settings.publishTimeoutMs = Math.min(settings.publishTimeoutMs, PUBLISH_TIMEOUT_MAX_MS);
  return settings;
}
