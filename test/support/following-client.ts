/**
 * A client that follows rooms by the rules of the protocol and believes nothing:
 * it keeps a position and a view of who is there per room, rejoins with its
 * position on whatever node, asks where a presence frame does not join on, and
 * notes what broke a promise.
 */
import { applyPresence, type PresenceNews, type PresenceView } from '../../src/protocol/presence-view.ts';
import type { Position } from '../../src/protocol/position.ts';
import type { Frame } from './fake-connection.ts';
import type { Client, NodeFixture } from './node-fixture.ts';

/** What all clients of a run must agree on. */
export class SharedTruth {
  /** room, epoch and seq -> data */
  readonly #messages = new Map<string, unknown>();
  /** Epochs that ended because the store came back empty. */
  readonly lost = new Set<string>();

  /** undefined where it agrees with what others were told. */
  disagreement(room: string, { epoch, seq }: Position, data: unknown): string | undefined {
    const name = `${room} ${epoch}:${seq}`;
    if (!this.#messages.has(name)) this.#messages.set(name, data);
    const known = this.#messages.get(name);
    return known === data ? undefined : `${name} is ${String(known)} and ${String(data)}`;
  }
}

interface Following {
  position: Position;
  /** undefined with presence "none". */
  view: PresenceView | undefined;
  mode: string;
  asking: boolean;
}

interface Asked {
  readonly room: string;
  readonly since?: Position | undefined;
  readonly mode?: string;
  readonly what: string;
}

export class FollowingClient {
  readonly user: string;
  readonly violations: string[] = [];
  asks = 0;
  resets = 0;
  messages = 0;
  readonly rooms = new Map<string, Following>();
  /** Where it was in rooms before its connection went away. */
  readonly #left = new Map<string, Position>();
  readonly #truth: SharedTruth;
  readonly #asked = new Map<string, Asked>();
  #client: Client | undefined;
  #read = 0;
  #nextId = 1;

  constructor(user: string, truth: SharedTruth) {
    this.user = user;
    this.#truth = truth;
  }

  get isConnected(): boolean {
    return this.#client !== undefined;
  }

  connect(node: NodeFixture): void {
    this.#client = node.connect();
    this.#read = 0;
    this.#asked.clear();
    this.#client.say({ type: 'hello', user: this.user });
  }

  drop(): void {
    for (const [room, { position }] of this.rooms) this.#left.set(room, position);
    this.rooms.clear();
    this.#client?.drop();
    this.#client = undefined;
  }

  /** Stops reading: what it is sent stays in the queue of its connection. */
  stall(): void {
    if (this.#client) this.#client.connection.stuck = true;
  }

  /** Reads on. */
  read(): void {
    this.#client?.connection.drain();
  }

  join(room: string, mode: string, options: { resume: boolean; state?: object }): void {
    const since = options.resume ? (this.rooms.get(room)?.position ?? this.#left.get(room)) : undefined;
    this.#say(
      { type: 'join', room, since, presence: mode, state: options.state },
      { room, since, mode, what: 'join' },
    );
  }

  leave(room: string): void {
    this.#say({ type: 'leave', room }, { room, what: 'leave' });
  }

  publish(room: string, data: unknown): void {
    this.#say({ type: 'publish', room, data }, { room, what: 'publish' });
  }

  state(room: string, state: object): void {
    this.#say({ type: 'state', room, state }, { room, what: 'state' });
  }

  /** Reads what came since the last look. */
  look(): void {
    const client = this.#client;
    if (!client) return;
    const { frames, violations } = client.connection;
    this.violations.push(...violations.splice(0));
    while (this.#read < frames.length) {
      const frame = frames[this.#read++];
      if (frame) this.#follow(frame);
    }
    if (client.connection.closedWith) this.drop();
  }

  #say(frame: object, asked: Asked): void {
    const id = `${asked.what} ${this.#nextId++}`;
    this.#asked.set(id, asked);
    this.#client?.say({ ...frame, id });
  }

  #follow(frame: Frame): void {
    const room = String(frame['room']);
    const following = this.rooms.get(room);
    const asked = this.#asked.get(String(frame['id']));
    if (frame.type === 'joined' && asked) this.#joined(frame, room, asked);
    else if (frame.type === 'message' && following) this.#message(frame, room, following);
    else if (frame.type === 'reset' && following) this.#reset(frame, room, following);
    else if (frame.type === 'epoch' && following) following.position = positionOf(frame);
    else if (frame.type === 'presence' && following) this.#presence(frame, room, following);
    else if (asked?.what === 'presence' && following) this.#told(frame, following);
    else if (asked?.what === 'leave' && frame.type === 'ok') this.#gone(room);
    else if (['message', 'reset', 'presence'].includes(frame.type))
      this.#broke(`${frame.type} of ${room}, not joined`);
  }

  #joined(frame: Frame, room: string, asked: Asked): void {
    const position = positionOf(frame);
    const { since } = asked;
    const messages = frame['messages'] as { seq: number; data: unknown }[];
    for (const { seq, data } of messages) this.#agree(room, { epoch: position.epoch, seq }, data);
    if (since && frame['recovered'] !== true) {
      this.#loss(`join of ${room} not recovered: ${String(frame['reason'])}`, since);
    } else if (since && messages.length !== position.seq - since.seq) {
      this.#broke(`join of ${room} since ${since.seq} got ${messages.length} messages up to ${position.seq}`);
    }
    const mode = asked.mode ?? 'full';
    const view = mode === 'none' ? undefined : this.#applied(undefined, frame);
    this.rooms.set(room, { position, view, mode, asking: false });
  }

  #message(frame: Frame, room: string, following: Following): void {
    this.messages += 1;
    following.position = { epoch: following.position.epoch, seq: frame['seq'] as number };
    this.#agree(room, following.position, frame['data']);
  }

  #reset(frame: Frame, room: string, following: Following): void {
    this.resets += 1;
    this.#loss(`reset of ${room}: ${String(frame['reason'])}`, following.position);
    following.position = positionOf(frame);
  }

  /** Continuity may be broken where the store lost what the position is in, and never else. */
  #loss(what: string, { epoch }: Position): void {
    if (!this.#truth.lost.has(epoch)) this.#broke(`${what}, though nothing was lost`);
  }

  #presence(frame: Frame, room: string, following: Following): void {
    if (following.mode === 'none') this.#broke(`presence of ${room}, which was not wanted`);
    const { view } = following;
    const next = this.#applied(view, frame);
    if (next) {
      this.#checkAlternation(frame, view, next);
      following.view = next;
    } else if (!following.asking) {
      following.asking = true;
      this.asks += 1;
      this.#say({ type: 'presence', room }, { room, what: 'presence' });
    }
  }

  #told(frame: Frame, following: Following): void {
    following.asking = false;
    if (frame.type === 'ok') following.view = this.#applied(following.view, frame) ?? following.view;
  }

  #applied(view: PresenceView | undefined, frame: Frame): PresenceView | undefined {
    const next = applyPresence(view, frame as unknown as PresenceNews);
    return next === 'ask' ? undefined : next;
  }

  /** Per user, joined and left alternate. */
  #checkAlternation(frame: Frame, view: PresenceView | undefined, next: PresenceView): void {
    if (next === view || frame['previous'] === undefined) return;
    for (const { user } of (frame['joined'] ?? []) as { user: string }[]) {
      if (view?.members?.has(user)) this.#broke(`${user} joined while there`);
    }
    for (const { user } of (frame['left'] ?? []) as { user: string }[]) {
      if (!view?.members?.has(user)) this.#broke(`${user} left while not there`);
    }
  }

  #gone(room: string): void {
    this.rooms.delete(room);
    this.#left.delete(room);
  }

  #agree(room: string, position: Position, data: unknown): void {
    const disagreement = this.#truth.disagreement(room, position, data);
    if (disagreement) this.#broke(disagreement);
  }

  #broke(what: string): void {
    this.violations.push(`${this.user}: ${what}`);
  }
}

function positionOf(frame: Frame): Position {
  return { epoch: String(frame['epoch']), seq: frame['seq'] as number };
}
