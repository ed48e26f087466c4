/**
 * The order of one connection's frames within one room: a frame sent behind a
 * join waits for it, a leave or a read waits for the publishes before it, and
 * publishes do not wait for each other (the broker's lane orders them).
 * Different rooms never wait for each other. PROTOCOL "Transport".
 *
 * Nothing is queued while nothing is under way: then a frame is handled in the
 * turn in which it came.
 */
type Task = () => Promise<void> | undefined;

/** Only publishes do not wait for publishes. */
export type FrameKind = 'publish' | 'leave' | 'other';

interface Waiting {
  readonly kind: FrameKind;
  readonly task: Task;
  readonly characters: number;
}

interface Line {
  /** Publishes under way; anything else waits for them. */
  publishing: number;
  /** A join, leave or read is under way. */
  busy: boolean;
  /** Kept when nothing is under way: who published here will again, and who only joined costs nothing. */
  hasPublished: boolean;
  /** Made when something has to wait for the first time. */
  waiting: Waiting[] | undefined;
}

/** Lines without anything under way that a connection keeps: enough for who publishes steadily in a few rooms. */
const IDLE_LINES_MAX = 8;

export class RoomQueue {
  /** Made when something is under way for the first time: most connections only listen. */
  #lines: Map<string, Line> | undefined;

  /** Frames waiting in all rooms, and the characters of JSON they came as: both are limited by the dispatcher. */
  waiting = 0;
  waitingCharacters = 0;

  /** Runs `task` now, or after the frames it must wait for. Tasks never throw and never reject: they answer the client themselves. */
  run(room: string, kind: FrameKind, task: Task, characters = 0): void {
    const line = this.#lines?.get(room);
    if (line && (line.waiting || line.busy || (kind !== 'publish' && line.publishing > 0))) {
      line.waiting ??= [];
      line.waiting.push({ kind, task, characters });
      this.waiting += 1;
      this.waitingCharacters += characters;
      return;
    }
    this.#start(room, kind, task);
  }

  /** Whether a leave waits that no frame comes after which may be a join: in the order sent, the room is left. */
  endsWithLeave(room: string): boolean {
    const waiting = this.#lines?.get(room)?.waiting ?? [];
    return waiting.findLast(({ kind }) => kind !== 'publish')?.kind === 'leave';
  }

  #start(room: string, kind: FrameKind, task: Task): void {
    const done = task();
    if (!done) return;
    this.#lines ??= new Map();
    let line = this.#lines.get(room);
    if (!line) {
      line = { publishing: 0, busy: false, hasPublished: false, waiting: undefined };
      this.#lines.set(room, line);
    }
    const underWay = line;
    if (kind === 'publish') {
      underWay.publishing += 1;
      underWay.hasPublished = true;
    } else underWay.busy = true;
    void done.then(() => {
      if (kind === 'publish') underWay.publishing -= 1;
      else underWay.busy = false;
      this.#next(room, underWay);
    });
  }

  #next(room: string, line: Line): void {
    for (let head = line.waiting?.[0]; head; head = line.waiting?.[0]) {
      if (line.busy || (head.kind !== 'publish' && line.publishing > 0)) return;
      line.waiting?.shift();
      if (line.waiting?.length === 0) line.waiting = undefined;
      this.waiting -= 1;
      this.waitingCharacters -= head.characters;
      this.#start(room, head.kind, head.task);
    }
    if (line.busy || line.publishing > 0 || !this.#lines) return;
    if (line.hasPublished && this.#lines.size <= IDLE_LINES_MAX) return;
    this.#lines.delete(room);
    if (this.#lines.size === 0) this.#lines = undefined;
  }
}
