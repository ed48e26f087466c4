/**
 * Hello: who a connection is. It makes the session, says welcome, counts the
 * user's connections over the cluster and marks the user as online (presence in
 * `@<user>`).
 */
import type { PresenceStore } from '../broker/presence.ts';
import type { Clock } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import { Session, type SessionLimits } from '../core/session.ts';
import { CLOSE } from '../protocol/codes.ts';
import { encodeFrame } from '../protocol/encode.ts';
import { PROTOCOL_VERSION } from '../protocol/limits.ts';
import { inboxOf } from '../protocol/names.ts';
import type { HelloFrame } from '../protocol/messages.ts';
import type { Access } from './access.ts';
import type { InboxJoins } from './inbox-join.ts';
import type { LinkStatus } from './link-status.ts';
import type { PresenceWriter } from './presence-writer.ts';
import { closeWith } from './replies.ts';

/** What a frame has beside its payload, at most: names and a key. */
const ENVELOPE_BYTES = 2048;

export interface HelloSettings extends SessionLimits {
  readonly nodeName: string;
  readonly pingIntervalMs: number;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  readonly limitPayloadBytes: number;
  readonly limitFrameBytes: number;
  readonly limitRoomsPerConnection: number;
  readonly limitBatch: number;
  readonly limitHistoryMessages: number;
  readonly limitUserConnections: number;
}

export interface HelloParts {
  readonly hub: Hub;
  readonly access: Access;
  readonly store: PresenceStore;
  readonly writer: PresenceWriter;
  readonly status: LinkStatus;
  readonly inboxes: Pick<InboxJoins, 'open'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `roomcast/x.y.z` */
  readonly serverName: string;
  readonly settings: HelloSettings;
}

/** Begins the session of a connection; undefined where it was closed instead. Throws a `Refusal` where access denies. */
export function hello(parts: HelloParts, connection: Connection, frame: HelloFrame): Session | undefined {
  const { hub, settings } = parts;
  const { user, named } = parts.access.identify(frame, connection.id);
  const max = settings.limitUserConnections;
  if (max > 0 && hub.connectionsOf(user) >= max) {
    refuseConnection(connection, max);
    return undefined;
  }
  const session = new Session(connection, user, named, settings, parts.clock.now());
  hub.add(session);
  connection.send(encodeFrame(welcome(parts, session, frame)));
  parts.logger.debug({ connection: session.id, user }, 'hello');
  parts.status.greet(session);
  if (frame.inbox !== undefined) parts.inboxes.open(session, frame.inbox);
  if (named) goOnline(parts, session);
  return session;
}

/** The user has one connection fewer on this node. */
export function goodbye(parts: HelloParts, session: Session): void {
  if (!session.named) return;
  parts.writer.close(onlineRoom(session.user), session.user);
  void countConnections(parts, session.user);
}

export function onlineRoom(user: string): string {
  return inboxOf(user);
}

function welcome(parts: HelloParts, session: Session, frame: HelloFrame) {
  const { settings } = parts;
  return {
    type: 'welcome' as const,
    id: frame.id,
    connection: session.id,
    user: session.user,
    node: settings.nodeName,
    server: parts.serverName,
    protocol: PROTOCOL_VERSION as 1,
    pingIntervalMs: settings.pingIntervalMs,
    limits: {
      payloadBytes: payloadBytes(settings),
      roomsPerConnection: settings.limitRoomsPerConnection,
      publishPerSecond: settings.limitPublishPerSecond,
      batch: settings.limitBatch,
      historyMessages: settings.limitHistoryMessages,
    },
    reconnect: { minMs: settings.reconnectMinMs, maxMs: settings.reconnectMaxMs },
  };
}

/** The largest payload that also fits into a frame: a larger one would end the connection (1009) instead of being refused. */
function payloadBytes({ limitPayloadBytes, limitFrameBytes }: HelloSettings): number {
  if (limitFrameBytes === 0) return limitPayloadBytes;
  const fitting = Math.max(limitFrameBytes - ENVELOPE_BYTES, Math.ceil(limitFrameBytes / 2));
  return limitPayloadBytes === 0 ? fitting : Math.min(limitPayloadBytes, fitting);
}

/**
 * The connection is served meanwhile: waiting for the count would put a Redis
 * round trip into every connect. Over the limit it is closed a moment later.
 */
function goOnline(parts: HelloParts, session: Session): void {
  const { user } = session;
  parts.writer.enter(onlineRoom(user), user, undefined).catch((error: unknown) => {
    // Kept dirty by the writer: written once Redis is back.
    parts.logger.debug(
      { error: error instanceof Error ? error.message : String(error) },
      'online state put off',
    );
  });
  const max = parts.settings.limitUserConnections;
  void countConnections(parts, user).then((total) => {
    if (max > 0 && total > max && !session.closed) refuseConnection(session.connection, max);
  });
}

async function countConnections(parts: HelloParts, user: string): Promise<number> {
  const local = parts.hub.connectionsOf(user);
  try {
    return await parts.store.countConnections(user, local);
  } catch (error) {
    parts.logger.debug(
      { error: error instanceof Error ? error.message : String(error) },
      'connections counted on this node only',
    );
    return local;
  }
}

function refuseConnection(connection: Connection, max: number): void {
  closeWith(connection, CLOSE.connectionLimit, `this user has ${max} connections, the most there may be`);
}
