/**
 * What happened to the connection, newest first: a diary of breaks and recoveries, kept short, and the latest
 * recovery in numbers. It is what the button "kill my connection" is for, and real losses count just the same.
 */
import type { Client, StateChange } from '../../../client/api.ts';
import { Changes } from './changes.ts';

const EVENTS_MAX = 12;

export interface LinkEvent {
  readonly at: number;
  readonly tone: 'plain' | 'good' | 'bad';
  readonly text: string;
}

/** The latest way back after a loss. It grows while the rooms are read, so its time is that of the last of them. */
export interface Comeback {
  readonly messages: number;
  readonly tookMs: number;
  /** Names of nodes, the same one perhaps. */
  readonly from: string;
  readonly to: string;
}

export class Recovery {
  readonly changes = new Changes<'events'>();
  readonly #client: Client;
  #events: LinkEvent[] = [];
  #comeback: (Comeback & { readonly lostAt: number }) | undefined;
  #lostAt: number | undefined;
  #node = 'a node';
  #killed = false;

  constructor(client: Client) {
    this.#client = client;
    client.on('state', (change) => this.#note(change));
    client.on('redis', (redis) =>
      redis === 'down'
        ? this.write('bad', 'The node lost Redis')
        : this.write('good', 'Redis is back, every room is healed'),
    );
  }

  get events(): readonly LinkEvent[] {
    return this.#events;
  }

  get comeback(): Comeback | undefined {
    return this.#comeback;
  }

  /** As a pulled cable would: no goodbye, and the SDK finds its way back. */
  kill(): void {
    this.#killed = true;
    this.#client.drop();
  }

  /** `where` as people read it: `#lobby`, `Inbox`. */
  recovered(where: string, messages: number): void {
    const what = messages === 1 ? '1 message recovered' : `${messages} messages recovered`;
    if (this.#comeback) {
      const { lostAt } = this.#comeback;
      const sum = this.#comeback.messages + messages;
      this.#comeback = { ...this.#comeback, messages: sum, tookMs: performance.now() - lostAt };
    }
    this.write('good', `${where}: ${what}`);
  }

  reset(where: string, reason: string): void {
    this.write('bad', `${where}: continuity broke (${reason})`);
  }

  write(tone: LinkEvent['tone'], text: string): void {
    this.#events = [{ at: Date.now(), tone, text }, ...this.#events].slice(0, EVENTS_MAX);
    this.changes.tell('events');
  }

  #note({ state, code }: StateChange): void {
    if (state === 'waiting' && this.#lostAt === undefined) {
      this.#lostAt = performance.now();
      this.write('bad', this.#killed ? 'You killed the connection' : `Connection lost (${code ?? 1006})`);
      this.#killed = false;
    }
    if (state === 'closed') this.write('bad', `Disconnected${code === undefined ? '' : ` (${code})`}`);
    if (state !== 'connected') return;
    const node = this.#client.welcome?.node ?? 'a node';
    const lostAt = this.#lostAt;
    if (lostAt !== undefined)
      this.#comeback = {
        messages: 0,
        tookMs: performance.now() - lostAt,
        from: this.#node,
        to: node,
        lostAt,
      };
    this.#node = node;
    const after = lostAt === undefined ? '' : ` after ${duration(performance.now() - lostAt)}`;
    this.write('good', `Connected to ${node}${after}`);
    this.#lostAt = undefined;
  }
}

export function duration(ms: number): string {
  // A number and its unit stay on one line.
  return ms < 1000 ? `${Math.round(ms)}\u00a0ms` : `${(ms / 1000).toFixed(1)}\u00a0s`;
}
