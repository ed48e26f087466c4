/**
 * What happened to the connection, newest first: a diary of breaks and recoveries, kept short. It is what the
 * button "kill my connection" is for, and it writes down real losses just the same.
 */
import type { Client, StateChange } from '../../../client/api.ts';
import { Changes } from './changes.ts';

const EVENTS_MAX = 12;

export interface LinkEvent {
  readonly at: number;
  readonly tone: 'plain' | 'good' | 'bad';
  readonly text: string;
}

export class Recovery {
  readonly changes = new Changes<'events'>();
  readonly #client: Client;
  #events: LinkEvent[] = [];
  #lostAt: number | undefined;
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

  /** As a pulled cable would: no goodbye, and the SDK finds its way back. */
  kill(): void {
    this.#killed = true;
    this.#client.drop();
  }

  /** `where` as people read it: `#lobby`, `Inbox`. */
  recovered(where: string, messages: number): void {
    const what = messages === 1 ? '1 message recovered' : `${messages} messages recovered`;
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
    const after = this.#lostAt === undefined ? '' : ` after ${duration(performance.now() - this.#lostAt)}`;
    this.write('good', `Connected to ${node}${after}`);
    this.#lostAt = undefined;
  }
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
