/**
 * The transport without a node: a listener on a free port whose connections a
 * test holds in its own hands, and the server's ends of their sockets.
 */
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Connection } from '../../src/core/connection.ts';
import { systemClock, systemRandom } from '../../src/ops/system-clock.ts';
import { Turn } from '../../src/node/turn.ts';
import { createHttp, type Http } from '../../src/transport/http/http-server.ts';
import {
  WsListener,
  type WsListenerParts,
  type WsListenerSettings,
} from '../../src/transport/ws-listener.ts';
import { createRecordingLogger, type RecordingLogger } from './recording-logger.ts';

export interface LocalListenerOptions {
  readonly settings?: Partial<WsListenerSettings>;
  readonly opened?: WsListenerParts['opened'];
  readonly addressOf?: WsListenerParts['addressOf'];
}

export interface LocalListener {
  readonly port: number;
  readonly http: Http;
  readonly sockets: WsListener;
  readonly logger: RecordingLogger;
  /** What was opened and is not closed, in order. */
  readonly connections: ReadonlySet<Connection>;
  /** The server's ends, in the order in which they were accepted. */
  readonly accepted: readonly Socket[];
}

const SETTINGS: WsListenerSettings = {
  writeDirect: 'auto',
  closeTimeoutMs: 300,
  pingIntervalMs: 25_000,
  connectionAgeMaxS: 0,
  limitFrameBytes: 65_536,
  limitOutboxMaxBytes: 1_048_576,
  limitAddressConnections: 0,
  limitUpgradesPerSecond: 0,
};

/** Stopped with the test. */
export async function listen(options: LocalListenerOptions = {}): Promise<LocalListener> {
  const settings = { ...SETTINGS, ...options.settings };
  const logger = createRecordingLogger();
  const connections = new Set<Connection>();
  const accepted: Socket[] = [];
  const kept = (connection: Connection) => {
    connections.add(connection);
    return { text: () => undefined, closed: () => void connections.delete(connection) };
  };
  const http = createHttp({ clock: systemClock, logger, settings });
  const { opened = kept, addressOf } = options;
  const turn = new Turn(systemClock);
  const sockets = new WsListener({
    clock: systemClock,
    random: systemRandom,
    logger,
    turn,
    outbox: { grew: () => undefined },
    opened,
    settings,
    ...(addressOf && { addressOf }),
  });
  http.server.on('connection', (socket) => accepted.push(socket));
  await http.app.listen({ host: '127.0.0.1', port: 0 });
  sockets.attach(http.server);
  onTestFinished(async () => {
    await Promise.all([sockets.stop(), http.close()]);
  });
  const { port } = http.server.address() as AddressInfo;
  return { port, http, sockets, logger, connections, accepted };
}
