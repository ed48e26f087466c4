/**
 * Where Redis is, and the settings of ioredis that make a lost connection mean
 * exactly one thing. Nothing here reconnects (link.ts does) or reads configuration,
 * and nobody but the client library sees the password: logs get `maskedAddress`.
 */
import type { RedisOptions } from 'ioredis';

export interface RedisTarget {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** 0 by default. */
  readonly db?: number | undefined;
  /** TLS, with the certificate checked against the system's authorities, or against `ca` (PEM text). */
  readonly tls?: boolean | { readonly ca?: string } | undefined;
}

/** For logs and errors: neither user nor password. */
export function maskedAddress(target: RedisTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${target.tls ? 'rediss' : 'redis'}://${host}:${target.port}/${target.db ?? 0}`;
}

/** Of the TCP and TLS handshake; link.ts has a timer of its own around the whole opening. */
export const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Options of a connection that lives once: it never reconnects, resends, queues
 * or subscribes again on its own. With ioredis' defaults a command may run twice
 * after a lost link, and a resubscription may fail in silence. It begins in
 * database 0: channels belong to none, and command-link.ts selects its own.
 */
export function connectionOptions(target: RedisTarget): RedisOptions {
  const ca = typeof target.tls === 'object' ? target.tls.ca : undefined;
  return {
    host: target.host,
    port: target.port,
    username: target.username,
    password: target.password,
    ...(target.tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    // command-link.ts finds out by itself, under a deadline; ioredis would wait for its INFO without one.
    enableReadyCheck: false,
    // Redis 7.0 has no CLIENT SETINFO and would count two errors per connection.
    disableClientInfo: true,
  };
}
