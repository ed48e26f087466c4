/**
 * A connection without a socket: it reads back every frame it is given, as a
 * client would, and checks what every client is promised. Each frame must be
 * one the protocol knows (src/protocol/messages.ts), and per room seq must grow
 * by exactly one from the `joined`, `epoch` or `reset` before it.
 */
import type { Connection } from '../../src/core/connection.ts';
import type { Hub } from '../../src/core/hub.ts';
import { type PresenceMode, Session, type SessionLimits, type Subscription } from '../../src/core/session.ts';
import type { Position } from '../../src/protocol/position.ts';
import { serverFrameFault } from './frame-schemas.ts';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

interface Known {
  readonly epoch: string;
  seq: number;
}

let born = 0;

function nextId(): string {
  born += 1;
  return `01890000-0000-7000-8000-${String(born).padStart(12, '0')}`;
}

export class FakeConnection implements Connection {
  readonly id = nextId();
  readonly frames: Frame[] = [];
  /** What broke the promises; tests expect it to be empty. */
  readonly violations: string[] = [];
  /** Writes to the socket: one for each call of `write`, or for all between `cork` and `uncork`. */
  writes = 0;
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  terminated = false;
  queuedBytes = 0;
  progress = 0;
  /** While set, what is sent stays in the queue, as with a peer that does not read. */
  stuck = false;
  /** What is corked. */
  heldBytes = 0;
  #corkedWrites: number | undefined;
  #backlog: Buffer[] = [];
  /** Of the backlog once it is uncorked. */
  #corked: Buffer[] = [];
  #waiting: (() => void)[] = [];
  readonly #positions = new Map<string, Known>();

  send(text: string | Buffer): void {
    this.#queue(Buffer.byteLength(text));
    this.#received(text.toString());
  }

  write(frames: Buffer): void {
    if (this.#corkedWrites === undefined) this.writes += 1;
    else this.#corkedWrites += 1;
    this.#queue(frames.length);
    if (this.stuck) (this.#corkedWrites === undefined ? this.#backlog : this.#corked).push(frames);
    for (const text of readFrames(frames)) this.#received(text);
  }

  offer(frames: Buffer, queuedMax: number, heldMax: number): boolean {
    // As a socket: who is gone takes everything and keeps nothing.
    if (this.closedWith) return true;
    if (this.waitingBytes > queuedMax || this.heldBytes + frames.length > heldMax) return false;
    this.write(frames);
    return true;
  }

  get waitingBytes(): number {
    return this.queuedBytes - this.heldBytes;
  }

  backlog(): readonly Buffer[] {
    return this.queuedBytes > 0 ? this.#backlog : [];
  }

  cork(): boolean {
    if (this.#corkedWrites !== undefined) return false;
    this.#corkedWrites = 0;
    return true;
  }

  uncork(): void {
    if (this.#corkedWrites === undefined) this.violations.push('uncorked without a cork');
    else if (this.#corkedWrites > 0) this.writes += 1;
    this.#corkedWrites = undefined;
    if (!this.stuck) {
      this.queuedBytes -= this.heldBytes;
      this.progress += this.heldBytes;
    }
    this.heldBytes = 0;
    this.#backlog.push(...this.#corked.splice(0));
    // As a socket: what waited for the cork alone is taken now, and who waits for that is told.
    if (this.queuedBytes === 0) this.#drained();
  }

  onDrained(then: () => void): void {
    if (this.queuedBytes === 0) then();
    else this.#waiting.push(then);
  }

  /** The peer reads again, and takes everything. */
  drain(): void {
    this.stuck = false;
    // What the turn still holds back is not written yet.
    this.progress += this.queuedBytes - this.heldBytes;
    this.queuedBytes = this.heldBytes;
    if (this.queuedBytes === 0) this.#drained();
  }

  #drained(): void {
    for (const then of this.#waiting.splice(0)) then();
  }

  /** The socket is gone: nobody waits for it any more. */
  gone(): void {
    this.closedWith ??= { code: 1006, reason: '' };
    this.stuck = false;
    this.queuedBytes = 0;
    for (const then of this.#waiting.splice(0)) then();
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
  }

  terminate(): void {
    this.terminated = true;
  }

  of(type: string, room?: string): Frame[] {
    return this.frames.filter(
      (frame) => frame.type === type && (room === undefined || frame['room'] === room),
    );
  }

  /** The reply to the request with this id. */
  reply(id: string | number): Frame | undefined {
    return this.frames.find((frame) => frame['id'] === id);
  }

  /** All frames since the last call of this, which a test may then look at as a whole. */
  take(): Frame[] {
    return this.frames.splice(0);
  }

  /** The seqs of the messages of a room, those in `joined` included, in the order they came. */
  seqs(room: string): number[] {
    return this.messages(room).map((message) => message.seq);
  }

  messages(room: string): { seq: number; data: unknown }[] {
    return this.frames.flatMap((frame) => {
      if (frame['room'] !== room) return [];
      if (frame.type === 'joined') return frame['messages'] as { seq: number; data: unknown }[];
      return frame.type === 'message' ? [frame as unknown as { seq: number; data: unknown }] : [];
    });
  }

  /** Where the subscription is: what a client gives back as `since`. */
  position(room: string): Position | undefined {
    return this.#positions.get(room);
  }

  #queue(bytes: number): void {
    if (this.#corkedWrites !== undefined) this.heldBytes += bytes;
    if (this.stuck || this.#corkedWrites !== undefined) this.queuedBytes += bytes;
    else this.progress += bytes;
  }

  #received(text: string): void {
    // As a socket: nothing is sent after the close frame.
    if (this.closedWith) return;
    const frame = JSON.parse(text) as Frame;
    const fault = serverFrameFault(frame);
    if (fault) this.violations.push(`${text.slice(0, 300)}: ${fault}`);
    this.frames.push(frame);
    this.#follow(frame);
  }

  #follow(frame: Frame): void {
    const { type, room, seq, epoch } = frame as Frame & { room: string; seq: number; epoch: string };
    const at = this.#positions.get(room);
    if (type === 'joined') {
      this.#checkJoined(frame);
      this.#positions.set(room, { epoch, seq });
    } else if (type === 'reset') {
      this.#positions.set(room, { epoch, seq });
    } else if (type === 'epoch') {
      if (seq !== at?.seq) this.violations.push(`epoch at ${seq} of ${room} after ${at?.seq}`);
      this.#positions.set(room, { epoch, seq });
    } else if (type === 'message') {
      if (seq !== (at?.seq ?? Number.NaN) + 1)
        this.violations.push(`message ${seq} of ${room} after ${at?.seq}`);
      if (at) at.seq = seq;
    }
  }

  /** `messages` of a `joined` are without a hole and end at its seq. */
  #checkJoined(frame: Frame): void {
    const seqs = (frame['messages'] as { seq: number }[]).map((message) => message.seq);
    const top = frame['seq'] as number;
    seqs.forEach((seq, place) => {
      if (seq !== top - seqs.length + 1 + place) {
        this.violations.push(`joined at ${top} with messages ${seqs.join()}`);
      }
    });
  }
}

export function createFakeConnection(): FakeConnection {
  return new FakeConnection();
}

const NO_LIMITS: SessionLimits = {
  limitPublishPerSecond: 0,
  limitPublishBurst: 0,
  limitJoinsPerSecond: 0,
  limitJoinsBurst: 0,
};

export interface FakeSession extends Session {
  readonly connection: FakeConnection;
}

export function createSession(user: string, connection = createFakeConnection()): FakeSession {
  return new Session(connection, user, true, NO_LIMITS, 0) as FakeSession;
}

export function subscribe(
  hub: Hub,
  session: Session,
  room: string,
  presence: PresenceMode = 'full',
  nextItem = 0,
): Subscription {
  const subscription: Subscription = {
    session,
    room,
    presence,
    nextItem,
    connection: session.connection,
    presenceFrom: 0,
    behind: undefined,
    missedPresence: false,
  };
  hub.join(subscription);
  return subscription;
}

const FIN_TEXT = 0x81;

/** The texts of unmasked, unfragmented text frames, back to back; throws on anything else. */
function readFrames(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== FIN_TEXT) throw new Error(`not a whole text frame at byte ${at}: ${bytes[at]}`);
    const short = bytes.readUInt8(at + 1);
    if (short > 127) throw new Error('a masked frame from a server');
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    const from = at + header;
    if (from + length > bytes.length) throw new Error('a frame that was cut off');
    texts.push(bytes.toString('utf8', from, from + length));
    at = from + length;
  }
  return texts;
}
