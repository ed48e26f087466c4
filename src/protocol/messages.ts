/**
 * All frames of the protocol: the schemas, the types, and the two tables by
 * `type` that validation and the JSON Schema are made from. Adding a frame?
 * A schema in client-frames.ts or server-frames.ts, a row here, a section in
 * docs/PROTOCOL.md; the tests ask for the rest.
 *
 * A client imports types from here, never values: the schemas bring typebox
 * with them, which has no place in a browser bundle.
 */
import type { TSchema } from 'typebox';
import * as client from './client-frames.ts';
import * as server from './server-frames.ts';

export * from './client-frames.ts';
export * from './server-frames.ts';

export type ClientType = client.ClientFrame['type'];
export type ServerType = server.ServerFrame['type'];

export const CLIENT_FRAMES = {
  hello: client.HelloFrame,
  refresh: client.RefreshFrame,
  ping: client.PingFrame,
  join: client.JoinFrame,
  leave: client.LeaveFrame,
  publish: client.PublishFrame,
  history: client.HistoryFrame,
  signal: client.SignalFrame,
  state: client.StateFrame,
  presence: client.PresenceRequestFrame,
  send: client.SendFrame,
  read: client.ReadFrame,
} as const satisfies Record<ClientType, TSchema>;

/** `ok` and `presence` come in variants, told apart by their fields: `<type>.<variant>`. */
type ServerName =
  | Exclude<ServerType, 'ok' | 'presence'>
  | `ok.${'done' | 'publish' | 'history' | 'presence'}`
  | `presence.${'snapshot' | 'diff' | 'count'}`;

export const SERVER_FRAMES: Readonly<Record<ServerName, TSchema>> = {
  welcome: server.WelcomeFrame,
  expiring: server.ExpiringFrame,
  pong: server.PongFrame,
  status: server.StatusFrame,
  closing: server.ClosingFrame,
  joined: server.JoinedFrame,
  'ok.done': server.OkDoneFrame,
  'ok.publish': server.OkPublishFrame,
  'ok.history': server.OkHistoryFrame,
  'ok.presence': server.OkPresenceFrame,
  message: server.MessageFrame,
  reset: server.ResetFrame,
  left: server.LeftFrame,
  epoch: server.EpochFrame,
  signal: server.SignalledFrame,
  'presence.snapshot': server.PresenceSnapshotFrame,
  'presence.diff': server.PresenceDiffFrame,
  'presence.count': server.PresenceCountFrame,
  error: server.ErrorFrame,
};
