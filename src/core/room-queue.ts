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

interface Line {
  /** Publishes under way; anything else waits for them. */
  publishing: number;
  /** A join, leave or read is under way. */
  busy: boolean;
  waiting: { kind: 'publish' | 'other'; task: Task }[];
}

export class RoomQueue {
  /** Made when something is under way for the first time: most connections only listen. */
  #lines: Map<string, Line> | undefined;

  /** Frames waiting in all rooms: their number is limited by the dispatcher. */
  waiting = 0;

  /** Runs `task` now, or after the frames it must wait for. Tasks never throw and never reject: they answer the client themselves. */
  run(room: string, kind: 'publish' | 'other', task: Task): void {
    const line = this.#lines?.get(room);
    if (line && (line.waiting.length > 0 || line.busy || (kind === 'other' && line.publishing > 0))) {
      line.waiting.push({ kind, task });
      this.waiting += 1;
      return;
    }
    this.#start(room, kind, task);
  }

  #start(room: string, kind: 'publish' | 'other', task: Task): void {
    const done = task();
    if (!done) return;
    this.#lines ??= new Map();
    const line = this.#lines.get(room) ?? { publishing: 0, busy: false, waiting: [] };
    this.#lines.set(room, line);
    if (kind === 'publish') line.publishing += 1;
    else line.busy = true;
    void done.finally(() => {
      if (kind === 'publish') line.publishing -= 1;
      else line.busy = false;
      this.#next(room, line);
    });
  }

  #next(room: string, line: Line): void {
    for (let head = line.waiting[0]; head; head = line.waiting[0]) {
      if (line.busy || (head.kind === 'other' && line.publishing > 0)) return;
      line.waiting.shift();
      this.waiting -= 1;
      this.#start(room, head.kind, head.task);
    }
    if (!line.busy && line.publishing === 0) this.#lines?.delete(room);
  }
}
