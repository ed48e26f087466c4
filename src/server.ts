/**
 * The composition root: the one place that picks implementations. Everything
 * below is handed its ports; nothing below chooses.
 */
import type { AddressInfo } from 'node:net';
import type { Broker } from './broker/broker.ts';
import { createMemoryBroker } from './broker/memory/memory-broker.ts';
import type { PresenceStore } from './broker/presence.ts';
import { createRedisBroker } from './broker/redis/redis-broker.ts';
import { createRedisPresence } from './broker/redis/redis-presence.ts';
import type { Config } from './config.ts';
import { redisTarget } from './config-redis.ts';
import type { Clock, Random } from './core/clock.ts';
import type { Logger } from './core/logger.ts';
import { openAccess } from './node/access.ts';
import { Node } from './node/node.ts';
import { type EventLoopLag, watchEventLoop } from './ops/event-loop-lag.ts';
import { systemClock, systemRandom } from './ops/system-clock.ts';
import { CLOSE, type CloseCode } from './protocol/codes.ts';
import { clientAddress } from './transport/client-address.ts';
import { demoRoutes } from './transport/http/demo.ts';
import { type Health, healthRoutes } from './transport/http/health.ts';
import { createHttp, type Http } from './transport/http/http-server.ts';
import { WsListener } from './transport/ws-listener.ts';
import { VERSION } from './version.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Server {
  /** Listens, and begins to connect to Redis where one is configured. Rejects where the port is taken. */
  listen(): Promise<{ host: string; port: number }>;
  /** Stops without a storm: clients are told when to come back and are served until then. */
  drain(): Promise<void>;
  /** Stops at once: clients are told to come back. */
  close(): Promise<void>;
  /** Stops at once because of a defect of ours: the same, but clients are told so (1011). */
  fail(): Promise<void>;
}

/**
 * Connections that wait to be accepted, one with each look at the sockets: a storm that does not fit is answered by nobody for
 * a second, and then for three. The system caps it (net.core.somaxconn, 4096 where nobody changed it).
 */
const BACKLOG_CONNECTIONS = 4096;

/** What has to be stopped, and what stopping needs. */
interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: Node;
  readonly sockets: WsListener;
  readonly http: Http;
  readonly lag: EventLoopLag;
}

/** What the connections that are left are told. */
interface Goodbye {
  readonly code: CloseCode;
  readonly reason: string;
}

const STOPPED: Goodbye = { code: CLOSE.goingAway, reason: 'the server stops' };
/** Those who said hello after the others were told their moments. */
const DRAINED: Goodbye = { code: CLOSE.drain, reason: 'this node was drained; come back' };
const FAILED: Goodbye = { code: CLOSE.internal, reason: 'a bug of the server; it stops' };

export function createServer(options: ServerOptions): Server {
  const { config, logger, clock = systemClock, random = systemRandom } = options;
  const { broker, presence } = createStores(config, logger, clock, random);
  const node = new Node({
    broker,
    presence,
    clock,
    random,
    logger,
    access: openAccess,
    serverName: `roomcast/${VERSION}`,
    settings: config,
  });
  const lag = watchEventLoop(clock);
  const http = createHttp({ clock, logger, settings: config });
  const sockets = new WsListener({
    clock,
    random,
    logger,
    turn: node.turn,
    outbox: node.outbox,
    opened: (connection) => node.opened(connection),
    addressOf: clientAddress(config.trustedProxies),
    mayRenew: () => node.ready,
    origins: config.allowedOrigins === undefined ? undefined : new Set(config.allowedOrigins.split(',')),
    settings: config,
  });
  const startedAtMs = clock.now();
  const shutdown = createShutdown({ config, clock, logger, node, sockets, http, lag });
  const ready = () => !shutdown.begun && node.ready;
  const health = (): Health => ({
    node: config.nodeName,
    version: VERSION,
    uptime_s: Math.round((clock.now() - startedAtMs) / 1000),
    ready: ready(),
    ...redisHealth(broker),
    connections: node.hub.connections,
    rooms: node.hub.rooms,
    event_loop_lag_ms: lag.read(),
  });
  healthRoutes(http.app, { ready, health });
  if (config.demo === 'on') demoRoutes(http.app, builtFiles());

  return {
    async listen() {
      await http.app.listen({ host: config.host, port: config.port, backlog: BACKLOG_CONNECTIONS });
      sockets.attach(http.server);
      node.start();
      const address = http.server.address() as AddressInfo;
      return { host: config.host, port: address.port };
    },
    drain: () => shutdown.drain(),
    close: () => shutdown.end(STOPPED),
    fail: () => shutdown.end(FAILED),
  };
}

/** How it ends, once, whoever asks and however often. */
function createShutdown(parts: Parts) {
  const { config, clock, logger, node, sockets, http, lag } = parts;
  let begun = false;
  let drained: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  /** Both at once: the HTTP server waits for the upgraded sockets, and each has its bound. */
  const stop = async (why: Goodbye) => {
    await Promise.all([sockets.stop(why.code, why.reason), http.close()]);
    await node.stop();
    lag.stop();
    logger.info({}, 'stopped');
  };

  const end = (why: Goodbye) => {
    begun = true;
    stopped ??= stop(why);
    return stopped;
  };

  const drain = async () => {
    begun = true;
    logger.info({ connections: node.hub.connections }, 'draining');
    // Two checks of the proxy see `/ready` say 404 before the first upgrade is refused.
    if (node.hub.connections > 0) await pause(clock, config.drainNoticeMs);
    sockets.refuseNew();
    await node.drain();
    await end(DRAINED);
  };

  return {
    /** From here on `/ready` says no. */
    get begun() {
      return begun;
    },
    drain() {
      drained ??= drain();
      return drained;
    },
    end,
  };
}

/** What the build made for browsers lies beside the compiled sources; in a checkout that runs from src/, in dist/. */
function builtFiles(): URL {
  const here = new URL('./', import.meta.url);
  return here.pathname.endsWith('/src/') ? new URL('../dist/', here) : here;
}

function redisHealth(broker: Broker): Pick<Health, 'redis_status' | 'redis_latency_ms'> {
  const { status, latencyMs } = broker.health();
  return {
    redis_status: status,
    redis_latency_ms: latencyMs === undefined ? undefined : Math.round(latencyMs * 100) / 100,
  };
}

function createStores(
  config: Config,
  logger: Logger,
  clock: Clock,
  random: Random,
): { broker: Broker; presence: PresenceStore } {
  const target = redisTarget(config);
  if (target.mode === 'off') return createMemoryBroker({ settings: config, clock, random });
  const { broker, commands, keys } = createRedisBroker({
    settings: config,
    target: { ...target, tls: target.tls ? {} : undefined },
    clock,
    random,
    logger,
  });
  const presence = createRedisPresence({
    commands,
    keys,
    settings: config,
    clock,
    random,
    logger,
    nodeName: config.nodeName,
  });
  return { broker, presence };
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}
