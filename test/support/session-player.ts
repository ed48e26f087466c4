/**
 * Plays a worked session of docs/PROTOCOL.md against real nodes: sends what the page says is sent, and
 * demands that what the page says is received comes, field by field, and nothing else. How the page is to
 * be read (what stands for something else, what is left out) is told there, above the sessions.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Frame, TestClient } from './test-client.ts';

/** What happens elsewhere than on the wire of the clients that are shown. */
export interface Stage {
  /** Of the session, among all that are played on these nodes. */
  readonly name: string;
  readonly urls: readonly string[];
  readonly drainNode: (url: string) => void;
  readonly redis: {
    stop(): Promise<void>;
    start(empty: boolean): Promise<void>;
    pause(): void;
    resume(): void;
  };
}

interface Actor {
  client: TestClient;
  url: string;
  /** Frames of the page were found in these places of `client.frames`. */
  taken: Set<Frame>;
}

const LINE = /^([a-z0-9-]+) (->|<-) (.+)$/;
const WAIT_MS = 15_000;
const MOMENT_MS = 400;
/** Publishes under way together, below every rate. */
const FILL_STEP = 100;
const LARGE = 'x'.repeat(40_960);

/** Fields whose value is the day's: the same one in the page is the same one on the wire, and another another. */
const NAMED = new Set(['epoch', 'connection', 'node', 'version', 'previous']);
/** Fields whose value is any number. */
const MEASURED = new Set(['ts', 'afterMs', 'retryAfterMs']);

export class SessionPlayer {
  readonly #stage: Stage;
  readonly #actors = new Map<string, Actor>();
  readonly #names = new Map<string, unknown>();
  readonly #others: TestClient[] = [];
  #connections = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** The room of the page in a deployment that plays many sessions. */
  #room(room: unknown): unknown {
    return room === 'chat' ? `chat-${this.#stage.name}` : room;
  }

  async play(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      if (line.startsWith('# ')) continue;
      try {
        await this.#line(line);
      } catch (error) {
        throw new Error(`at the line\n${line}\n${error instanceof Error ? error.message : String(error)}`);
      }
    }
    await delay(MOMENT_MS);
    for (const [name, actor] of this.#actors) {
      const more = actor.client.frames.filter(
        (frame) => !actor.taken.has(frame) && !this.#untold(actor, frame),
      );
      if (more.length > 0)
        throw new Error(`${name} also received ${more.map((one) => JSON.stringify(one)).join('\n')}`);
    }
  }

  async end(): Promise<void> {
    const all = [...[...this.#actors.values()].map(({ client }) => client), ...this.#others];
    await Promise.all(all.map((client) => client.drop()));
  }

  async #line(line: string): Promise<void> {
    if (line.startsWith('* ')) {
      await this.#event(line.slice(2));
      return;
    }
    const [, name = '', arrow, what = ''] = LINE.exec(line) ?? [];
    if (arrow === '->') await this.#sends(name, JSON.parse(what));
    else if (what.startsWith('close ')) await this.#closes(name, Number(what.slice('close '.length)));
    else if (arrow === '<-') await this.#receives(name, JSON.parse(what) as Frame);
    else throw new Error('neither a frame nor an event');
  }

  async #sends(name: string, frame: Frame | Frame[]): Promise<void> {
    const [first] = [frame].flat();
    const user = name.replace(/-tab-\d+$/, '');
    const actor =
      this.#actors.get(name) ?? (await this.#connect(name, first?.type === 'hello' ? undefined : user));
    actor.client.send(this.#ours(frame) as object);
  }

  async #connect(name: string, user: string | undefined): Promise<Actor> {
    const { urls } = this.#stage;
    let refusal: unknown;
    // A node that is being drained takes nobody.
    for (let tries = 0; tries < urls.length; tries += 1) {
      const url = urls[this.#connections++ % urls.length] ?? '';
      try {
        const client = await (user === undefined ? TestClient.open(url) : TestClient.hello(url, user));
        const actor = { client, url, taken: new Set<Frame>() };
        this.#actors.set(name, actor);
        return actor;
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  async #receives(name: string, wanted: Frame): Promise<void> {
    const actor = this.#actors.get(name);
    if (actor === undefined) throw new Error(`${name} is not connected`);
    const { client, taken } = actor;
    const isIt = (frame: Frame): boolean =>
      !taken.has(frame) &&
      frame.type === wanted.type &&
      frame['room'] === this.#room(wanted['room']) &&
      frame['id'] === wanted['id'] &&
      !this.#untold(actor, frame, wanted);
    const frame = await client.find(isIt, WAIT_MS, JSON.stringify(wanted));
    taken.add(frame);
    this.#equal(wanted, frame, wanted.type);
  }

  async #closes(name: string, code: number): Promise<void> {
    const actor = this.#actors.get(name);
    const closed = await actor?.client.closed;
    if (closed?.code !== code) throw new Error(`the close was ${closed?.code}`);
    this.#forget(name);
  }

  /** The next frame of that name begins a new connection. What this one got was looked at. */
  #forget(name: string): void {
    this.#actors.delete(name);
    this.#names.delete(`connection c-${name}`);
  }

  async #event(event: string): Promise<void> {
    const [, breaking] = /^(\S+)'s connection breaks$/.exec(event) ?? [];
    const [, count, room] = /^(\d+) messages are published in (\S+)$/.exec(event) ?? [];
    const [, joining, rooms] = /^(\S+) joins rooms until she is in (\d+)$/.exec(event) ?? [];
    const [, signalling, where] = /^(\S+) sends signals in (\S+) until one is refused$/.exec(event) ?? [];
    const [, drained] = /^the node of (\S+) is drained$/.exec(event) ?? [];
    const { redis, drainNode } = this.#stage;
    if (breaking) await this.#breaks(breaking);
    else if (count && room) await this.#fill(String(this.#room(room)), Number(count));
    else if (joining) await this.#joinMany(joining, Number(rooms));
    else if (signalling && where) await this.#tooMany(signalling, String(this.#room(where)));
    else if (drained) drainNode(this.#actors.get(drained)?.url ?? '');
    else if (event === 'a moment passes') await delay(MOMENT_MS);
    else if (event === 'Redis is stopped') await redis.stop();
    else if (event === 'Redis is started with its data') await redis.start(false);
    else if (event === 'Redis is started without its data') await redis.start(true);
    else if (event === 'Redis stops answering') redis.pause();
    else if (event === 'Redis answers again') redis.resume();
    else throw new Error('no such event');
  }

  async #breaks(name: string): Promise<void> {
    await this.#actors.get(name)?.client.drop();
    this.#forget(name);
  }

  async #fill(room: string, count: number): Promise<void> {
    const client = await TestClient.hello(this.#stage.urls[0] ?? '', 'somebody');
    this.#others.push(client);
    await client.join(room, { presence: 'none' });
    for (let done = 0; done < count; done += FILL_STEP) {
      const step = Math.min(FILL_STEP, count - done);
      const told = await Promise.all(
        Array.from({ length: step }, (_, n) => client.publish(room, done + n + 1)),
      );
      const refused = told.find((frame) => frame.type !== 'ok');
      if (refused) throw new Error(JSON.stringify(refused));
    }
  }

  async #joinMany(name: string, count: number): Promise<void> {
    const actor = this.#actors.get(name);
    for (let n = 1; n < count; n += 1) {
      const joined = await actor?.client.join(`${this.#stage.name}-${n}`, { presence: 'none' });
      if (joined?.type !== 'joined') throw new Error(JSON.stringify(joined));
      actor?.taken.add(joined);
    }
  }

  /** One refusal is left for the page to show. */
  async #tooMany(name: string, room: string): Promise<void> {
    const actor = this.#actors.get(name);
    if (actor === undefined) throw new Error(`${name} is not connected`);
    const refusals = (): Frame[] => actor.client.frames.filter((frame) => frame['code'] === 'rate_limited');
    while (refusals().length === 0) {
      for (let n = 0; n < 200; n += 1) actor.client.send({ type: 'signal', room, data: n });
      actor.taken.add(await actor.client.request({ type: 'ping' }));
    }
    for (const refusal of refusals().slice(1)) actor.taken.add(refusal);
  }

  /** What the page leaves out: a welcome, and presence of a version that the receiver holds. */
  #untold({ client }: Actor, frame: Frame, wanted?: Frame): boolean {
    if (wanted === undefined && frame.type === 'welcome') return true;
    if (frame.type !== 'presence') return false;
    const before = client.frames.slice(0, client.frames.indexOf(frame));
    const held = before.findLast((one) => 'version' in one && one['room'] === frame['room']);
    return held?.['version'] === frame['version'];
  }

  /** A value of the page as it is sent. */
  #ours(value: unknown, field = ''): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#ours(item, field));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#ours(item, name)]));
    }
    if (field === 'data' && value === '…') return LARGE;
    if (field === 'room') return this.#room(value);
    return NAMED.has(field) ? (this.#names.get(nameOf(field, value)) ?? value) : value;
  }

  #equal(wanted: unknown, came: unknown, path: string): void {
    const field = path.slice(path.lastIndexOf('.') + 1);
    const differs = (): never => {
      throw new Error(`${path} is ${JSON.stringify(came)}`);
    };
    if (Array.isArray(wanted) && Array.isArray(came)) {
      if (wanted.length !== came.length) differs();
      const [ours, theirs] = field === 'members' ? [byUser(wanted), byUser(came)] : [wanted, came];
      for (const [at, item] of ours.entries()) this.#equal(item, theirs[at], `${path}[${at}]`);
    } else if (isObject(wanted) && isObject(came)) {
      const names = new Set([...Object.keys(wanted), ...Object.keys(came)]);
      for (const name of names) this.#equal(wanted[name], came[name], `${path}.${name}`);
    } else if (typeof wanted === 'number' && typeof came === 'number' && isMeasured(field, path)) {
      // A number of the day.
    } else if (NAMED.has(field) && came !== undefined && wanted !== undefined) {
      this.#named(nameOf(field, wanted), came, path);
    } else if (field === 'server') {
      if (!/^roomcast\/\d+\.\d+\.\d+/.test(String(came))) differs();
    } else if (field === 'message' && path.startsWith('error')) {
      if (withoutTimes(wanted) !== withoutTimes(came)) differs();
    } else if ((field === 'room' ? this.#room(wanted) : wanted) !== came) differs();
  }

  #named(name: string, came: unknown, path: string): void {
    const known = this.#names.get(name);
    if (known === undefined) {
      const other = [...this.#names].find(([one, value]) => value === came && kindOf(one) === kindOf(name));
      if (other) throw new Error(`${path} is that of ${other[0]}, not another one: ${String(came)}`);
      this.#names.set(name, came);
    } else if (known !== came)
      throw new Error(`${path} is ${JSON.stringify(came)}, not ${name}: ${JSON.stringify(known)}`);
  }
}

/** Members are a set. */
const byUser = (members: readonly { user?: string }[]): readonly unknown[] =>
  members.toSorted((a, b) => String(a.user).localeCompare(String(b.user)));

const kindOf = (name: string): string => name.slice(0, name.indexOf(' '));

/** `previous` speaks of versions. */
const nameOf = (field: string, value: unknown): string =>
  `${field === 'previous' ? 'version' : field} ${String(value)}`;

/** `since` of a member is a time, `since` of a join a position. */
const isMeasured = (field: string, path: string): boolean =>
  MEASURED.has(field) || (field === 'since' && path.includes('['));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const withoutTimes = (text: unknown): string => String(text).replace(/\d+ ms/, '? ms');
