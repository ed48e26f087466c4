/**
 * What a client may send: one schema per frame type, from which the static
 * types, the validation in parse.ts and the JSON Schema all come.
 *
 * Not checked here, because only the server knows it: numeric maxima an
 * operator may turn (bytes of `data` and `state`, `history`, `limit`), and
 * whether this server serves the feature at all.
 */
import Type from 'typebox';
import {
  AnyRoom,
  Connection,
  Data,
  Epoch,
  Id,
  Key,
  Position,
  Room,
  Seq,
  State,
  Token,
  User,
} from './fields.ts';
import { CLIENT_LABEL_LENGTH_MAX, INTEGER_MAX } from './limits.ts';

const Label = Type.String({
  minLength: 1,
  maxLength: CLIENT_LABEL_LENGTH_MAX,
  description: `a string of 1–${CLIENT_LABEL_LENGTH_MAX} characters`,
});

export const HelloFrame = Type.Object(
  {
    type: Type.Literal('hello'),
    id: Type.Optional(Id),
    token: Type.Optional(Token),
    user: Type.Optional(User),
    client: Type.Optional(
      Type.Object({ name: Label, version: Label }, { description: '{"name": string, "version": string}' }),
    ),
    inbox: Type.Optional(
      Type.Union([Type.Literal(true), Type.Object({ epoch: Epoch, seq: Seq })], {
        description: 'true or {"epoch": string, "seq": integer from 0}',
      }),
    ),
  },
  { description: 'Says who is here. The first frame of a connection.' },
);

export const RefreshFrame = Type.Object(
  { type: Type.Literal('refresh'), id: Type.Optional(Id), token: Token },
  { description: 'A new token of the same user, before the old one expires.' },
);

export const PingFrame = Type.Object(
  { type: Type.Literal('ping'), id: Type.Optional(Id) },
  { description: 'Asks for a pong.' },
);

export const JoinFrame = Type.Object(
  {
    type: Type.Literal('join'),
    id: Id,
    room: Room,
    since: Type.Optional(Position),
    history: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: INTEGER_MAX,
        description: 'an integer from 0: how many of the last messages',
      }),
    ),
    presence: Type.Optional(
      Type.Enum(['full', 'count', 'none'], { description: '"full", "count" or "none"' }),
    ),
    state: Type.Optional(State),
  },
  {
    description: 'Begins a subscription of a room, anew or from a position.',
    not: { required: ['since', 'history'] },
  },
);

export const LeaveFrame = Type.Object(
  { type: Type.Literal('leave'), id: Type.Optional(Id), room: Room },
  { description: 'Ends the subscription of a room, and membership with it.' },
);

export const PublishFrame = Type.Object(
  { type: Type.Literal('publish'), id: Type.Optional(Id), room: Room, data: Data, key: Type.Optional(Key) },
  { description: 'A message: ordered, stored, delivered to every member.' },
);

export const HistoryFrame = Type.Object(
  {
    type: Type.Literal('history'),
    id: Id,
    room: AnyRoom,
    before: Type.Optional(Seq),
    after: Type.Optional(Seq),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: INTEGER_MAX, description: 'an integer from 1' }),
    ),
  },
  { description: 'Asks for a page of what is kept.', not: { required: ['before', 'after'] } },
);

/** One of the two, never both: a frame that names two receivers has no single meaning. */
const SignalTarget = Type.Union(
  [
    Type.Object({ user: User }, { not: { required: ['connection'] } }),
    Type.Object({ connection: Connection }, { not: { required: ['user'] } }),
  ],
  { description: 'exactly one of {"user": name} and {"connection": id}' },
);

export const SignalFrame = Type.Object(
  {
    type: Type.Literal('signal'),
    id: Type.Optional(Id),
    room: Room,
    data: Data,
    to: Type.Optional(SignalTarget),
  },
  { description: 'Something ephemeral: at most once, not stored, not ordered against messages.' },
);

export const StateFrame = Type.Object(
  { type: Type.Literal('state'), id: Type.Optional(Id), room: Room, state: State },
  { description: "Replaces the user's state in the room." },
);

export const PresenceRequestFrame = Type.Object(
  { type: Type.Literal('presence'), id: Id, room: AnyRoom },
  { description: 'Asks who is in the room, or with @ and a user name whether that user is online.' },
);

export const SendFrame = Type.Object(
  { type: Type.Literal('send'), id: Type.Optional(Id), to: User, data: Data, key: Type.Optional(Key) },
  { description: "A message into a user's inbox." },
);

export const ReadFrame = Type.Object(
  { type: Type.Literal('read'), id: Type.Optional(Id), seq: Seq, epoch: Type.Optional(Epoch) },
  { description: 'Everything in my inbox up to here is handled.' },
);

export type HelloFrame = Type.Static<typeof HelloFrame>;
export type RefreshFrame = Type.Static<typeof RefreshFrame>;
export type PingFrame = Type.Static<typeof PingFrame>;
export type JoinFrame = Type.Static<typeof JoinFrame>;
export type LeaveFrame = Type.Static<typeof LeaveFrame>;
export type PublishFrame = Type.Static<typeof PublishFrame>;
export type HistoryFrame = Type.Static<typeof HistoryFrame>;
export type SignalFrame = Type.Static<typeof SignalFrame>;
export type StateFrame = Type.Static<typeof StateFrame>;
export type PresenceRequestFrame = Type.Static<typeof PresenceRequestFrame>;
export type SendFrame = Type.Static<typeof SendFrame>;
export type ReadFrame = Type.Static<typeof ReadFrame>;

/** Everything a client may send, told apart by `type`. */
export type ClientFrame =
  | HelloFrame
  | RefreshFrame
  | PingFrame
  | JoinFrame
  | LeaveFrame
  | PublishFrame
  | HistoryFrame
  | SignalFrame
  | StateFrame
  | PresenceRequestFrame
  | SendFrame
  | ReadFrame;
