/**
 * What the server may send: one schema per frame, `ok` and `presence` in their
 * variants. The server does not check its own frames against them; the tests
 * do, and so may a client.
 */
import Type from 'typebox';
import { CLOSES, ERRORS, type ErrorCode } from './codes.ts';
import {
  AnyRoom,
  Connection,
  Count,
  Data,
  DurationMs,
  Epoch,
  From,
  Id,
  Key,
  LeftReason,
  Member,
  PresenceVersion,
  Seq,
  State,
  StoredMessage,
  TimeMs,
  User,
} from './fields.ts';
import { PROTOCOL_VERSION } from './limits.ts';

export const WelcomeFrame = Type.Object(
  {
    type: Type.Literal('welcome'),
    id: Type.Optional(Id),
    connection: Connection,
    user: User,
    node: Type.String(),
    server: Type.String({ description: 'roomcast/x.y.z' }),
    protocol: Type.Literal(PROTOCOL_VERSION),
    pingIntervalMs: DurationMs,
    limits: Type.Object({
      payloadBytes: Count,
      roomsPerConnection: Count,
      publishPerSecond: Count,
      batch: Count,
      historyMessages: Count,
    }),
    reconnect: Type.Object({ minMs: DurationMs, maxMs: DurationMs }),
  },
  { description: 'The answer to hello.' },
);

export const ExpiringFrame = Type.Object(
  { type: Type.Literal('expiring'), inMs: DurationMs },
  { description: 'The token expires soon.' },
);

export const PongFrame = Type.Object(
  { type: Type.Literal('pong'), id: Type.Optional(Id) },
  { description: 'The answer to ping.' },
);

export const StatusFrame = Type.Object(
  { type: Type.Literal('status'), redis: Type.Enum(['up', 'down']) },
  { description: 'The node lost or regained Redis.' },
);

export const ClosingFrame = Type.Object(
  {
    type: Type.Literal('closing'),
    code: Type.Integer({ minimum: 1000, maximum: 4999, description: Object.keys(CLOSES).join(', ') }),
    reason: Type.String(),
    reconnect: Type.Enum(['now', 'after', 'never']),
    afterMs: Type.Optional(DurationMs),
  },
  { description: 'The server is about to close this connection.' },
);

export const JoinedFrame = Type.Object(
  {
    type: Type.Literal('joined'),
    id: Type.Optional(Id),
    room: AnyRoom,
    epoch: Epoch,
    seq: Seq,
    messages: Type.Array(StoredMessage),
    recovered: Type.Optional(Type.Boolean()),
    reason: Type.Optional(Type.Enum(['lost', 'diverged', 'trimmed', 'too_far'])),
    count: Type.Optional(Count),
    members: Type.Optional(Type.Array(Member)),
    version: Type.Optional(PresenceVersion),
  },
  { description: 'The answer to join. Absent for an inbox: id, count, members, version.' },
);

/** `ok` to leave, state, signal, refresh and read: it was done. */
export const OkDoneFrame = Type.Object(
  { type: Type.Literal('ok'), id: Id, room: Type.Optional(AnyRoom) },
  {
    description: 'The answer to leave, state, signal, refresh, read.',
    not: { anyOf: [{ required: ['epoch'] }, { required: ['version'] }] },
  },
);

/** `ok` to publish (with `room`) and send (without). */
export const OkPublishFrame = Type.Object(
  {
    type: Type.Literal('ok'),
    id: Id,
    room: Type.Optional(AnyRoom),
    epoch: Epoch,
    seq: Seq,
    duplicate: Type.Optional(Type.Literal(true)),
  },
  {
    description: 'The answer to publish and send: stored with this position.',
    not: { required: ['messages'] },
  },
);

export const OkHistoryFrame = Type.Object(
  {
    type: Type.Literal('ok'),
    id: Id,
    room: AnyRoom,
    epoch: Epoch,
    seq: Seq,
    messages: Type.Array(StoredMessage),
    more: Type.Boolean(),
  },
  { description: 'The answer to history.' },
);

export const OkPresenceFrame = Type.Object(
  {
    type: Type.Literal('ok'),
    id: Id,
    room: AnyRoom,
    version: PresenceVersion,
    count: Count,
    members: Type.Optional(Type.Array(Member)),
  },
  { description: 'The answer to presence.' },
);

export const MessageFrame = Type.Object(
  {
    type: Type.Literal('message'),
    room: AnyRoom,
    seq: Seq,
    ts: TimeMs,
    from: Type.Optional(From),
    key: Type.Optional(Key),
    data: Data,
  },
  { description: 'A message of a room or inbox.' },
);

export const ResetFrame = Type.Object(
  {
    type: Type.Literal('reset'),
    room: AnyRoom,
    epoch: Epoch,
    seq: Seq,
    reason: Type.Enum(['lost', 'diverged', 'trimmed']),
  },
  { description: 'Continuity of a room broke here.' },
);

export const LeftFrame = Type.Object(
  { type: Type.Literal('left'), room: AnyRoom, reason: Type.Enum(['kicked', 'forbidden', 'expired']) },
  { description: 'This connection is no longer in the room.' },
);

export const EpochFrame = Type.Object(
  { type: Type.Literal('epoch'), room: AnyRoom, epoch: Epoch, seq: Seq },
  { description: 'The stream goes on under a new epoch after seq; nothing was lost.' },
);

export const SignalledFrame = Type.Object(
  { type: Type.Literal('signal'), room: AnyRoom, from: From, data: Data },
  { description: 'Something ephemeral from another connection.' },
);

const presence = { type: Type.Literal('presence'), room: AnyRoom, version: PresenceVersion, count: Count };

export const PresenceSnapshotFrame = Type.Object(
  { ...presence, members: Type.Array(Member) },
  { description: 'Everybody in the room: replace what you hold.', not: { required: ['previous'] } },
);

export const PresenceDiffFrame = Type.Object(
  {
    ...presence,
    previous: PresenceVersion,
    joined: Type.Optional(Type.Array(Member)),
    left: Type.Optional(Type.Array(Type.Object({ user: User, reason: LeftReason }))),
    updated: Type.Optional(Type.Array(Type.Object({ user: User, state: State }))),
  },
  { description: 'What changed since the version `previous`.', not: { required: ['members'] } },
);

export const PresenceCountFrame = Type.Object(presence, {
  description: 'How many users are in the room.',
  not: { anyOf: [{ required: ['previous'] }, { required: ['members'] }] },
});

const errorCodes = Object.keys(ERRORS) as ErrorCode[];

export const ErrorFrame = Type.Object(
  {
    type: Type.Literal('error'),
    id: Type.Optional(Id),
    code: Type.Enum(errorCodes),
    message: Type.String(),
    retryable: Type.Boolean(),
    retryAfterMs: Type.Optional(DurationMs),
    room: Type.Optional(AnyRoom),
  },
  { description: 'A request was refused, or a frame was not one.' },
);

export type WelcomeFrame = Type.Static<typeof WelcomeFrame>;
export type ExpiringFrame = Type.Static<typeof ExpiringFrame>;
export type PongFrame = Type.Static<typeof PongFrame>;
export type StatusFrame = Type.Static<typeof StatusFrame>;
export type ClosingFrame = Type.Static<typeof ClosingFrame>;
export type JoinedFrame = Type.Static<typeof JoinedFrame>;
export type OkDoneFrame = Type.Static<typeof OkDoneFrame>;
export type OkPublishFrame = Type.Static<typeof OkPublishFrame>;
export type OkHistoryFrame = Type.Static<typeof OkHistoryFrame>;
export type OkPresenceFrame = Type.Static<typeof OkPresenceFrame>;
export type OkFrame = OkDoneFrame | OkPublishFrame | OkHistoryFrame | OkPresenceFrame;
export type MessageFrame = Type.Static<typeof MessageFrame>;
export type ResetFrame = Type.Static<typeof ResetFrame>;
export type LeftFrame = Type.Static<typeof LeftFrame>;
export type EpochFrame = Type.Static<typeof EpochFrame>;
export type SignalledFrame = Type.Static<typeof SignalledFrame>;
export type PresenceSnapshotFrame = Type.Static<typeof PresenceSnapshotFrame>;
export type PresenceDiffFrame = Type.Static<typeof PresenceDiffFrame>;
export type PresenceCountFrame = Type.Static<typeof PresenceCountFrame>;
export type PresenceFrame = PresenceSnapshotFrame | PresenceDiffFrame | PresenceCountFrame;
export type ErrorFrame = Type.Static<typeof ErrorFrame>;

/** Everything the server may send, told apart by `type`, and `ok` and `presence` further by their fields. */
export type ServerFrame =
  | WelcomeFrame
  | ExpiringFrame
  | PongFrame
  | StatusFrame
  | ClosingFrame
  | JoinedFrame
  | OkFrame
  | MessageFrame
  | ResetFrame
  | LeftFrame
  | EpochFrame
  | SignalledFrame
  | PresenceFrame
  | ErrorFrame;
