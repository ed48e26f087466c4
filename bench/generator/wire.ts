/**
 * How one server's WebSocket protocol looks to the load generator: pure
 * functions, one set per peer, used inside the worker processes. The generator
 * knows sockets and frames; everything about a peer's own words is here.
 */
import type { Probe } from './frame-scanner.ts';

/** Who a connection is: one user in the rooms it joins when it opens. */
export interface Member {
  readonly user: string;
  readonly rooms: readonly string[];
}

/** What a frame that is not a message meant. */
export interface Heard {
  /** Frames to send in answer, such as the pong of a protocol that has its own. */
  readonly send?: readonly string[];
  /** Rooms that are joined with this frame. The connection is ready when all of its rooms are. */
  readonly joined?: number;
  /** The server refused or complained; counted, and the first is printed. */
  readonly error?: string;
  /** The server said that messages were lost here: a gap that follows is told, not silent. */
  readonly told?: boolean;
}

export const NOTHING: Heard = {};

/** For protocols whose messages do not coincide with WebSocket frames. Made once per connection. */
export interface StreamCounter {
  messages: number;
  push(chunk: Buffer, from: number, to: number, isFrameEnd: boolean): void;
}

export interface Wire {
  /** The request target of the upgrade. */
  path(member: Member): string;
  readonly subprotocol?: string;
  /** Frames from the client are binary; text otherwise. */
  readonly binary?: boolean;
  readonly probe: Probe;
  /** Counts instead of the frames, fed with all payload bytes; tells `heard` what is not a message. */
  counter?(heard: (line: string) => void): StreamCounter;
  /** What the client sends right after the upgrade, one frame each. */
  opening(member: Member): readonly string[];
  /** Joined by the upgrade itself: there is nothing to wait for. */
  readonly joinsByUpgrade?: boolean;
  hear(text: string, member: Member): Heard;
  /** One frame that leaves a room, where the protocol has one; elsewhere members go by closing. */
  leave?(room: string): string;
  /** One frame that publishes `payload` (ASCII, safe inside a JSON string) in a room. */
  publish(room: string, payload: string): string;
}
