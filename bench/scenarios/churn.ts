/**
 * Guests that come and go while a scenario runs, beside the members it counts.
 * Every other one stays; of those who go, half leave the room and half are just
 * gone, as a closed laptop is. They are no part of what is owed and delivered.
 */
import { Connection } from '../generator/connection.ts';
import type { Wire } from '../generator/wire.ts';

const OPEN_MS = 10_000;
const STAY_MS = 2000;
/** How they end, in turn. */
const ENDS = ['stays', 'leaves', 'stays', 'drops'] as const;

export interface ChurnPlan {
  readonly wire: Wire;
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly rooms: number;
  readonly perSecond: number;
}

export interface Guest {
  readonly user: string;
  readonly room: number;
}

export class Churn {
  readonly #plan: ChurnPlan;
  readonly #open = new Set<Connection>();
  readonly #arriving = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #staying: Guest[] = [];
  #count = 0;
  #failure: Error | undefined;

  constructor(plan: ChurnPlan) {
    this.#plan = plan;
    this.#timer = setInterval(() => {
      const visit = this.#visit(this.#count++).catch((error: Error) => {
        this.#failure ??= error;
      });
      this.#arriving.add(visit);
      void visit.then(() => this.#arriving.delete(visit));
    }, 1000 / plan.perSecond);
  }

  /** No more guests: resolves to who stayed, once all others have gone, and to how many came. */
  async settle(): Promise<{ readonly staying: readonly Guest[]; readonly count: number }> {
    clearInterval(this.#timer);
    await Promise.all(this.#arriving);
    if (this.#failure) throw this.#failure;
    return { staying: this.#staying, count: this.#count };
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const connection of this.#open) connection.destroy();
  }

  async #visit(n: number): Promise<void> {
    const { wire, nodes, rooms } = this.#plan;
    const guest = { user: `guest-${n}`, room: n % rooms };
    const node = nodes[n % nodes.length];
    if (!node) throw new Error('there is no node for guests');
    const member = { user: guest.user, rooms: [`room-${guest.room}`] };
    const connection = await this.#arrive(wire, member, node);
    const end = ENDS[n % ENDS.length];
    if (end === 'stays') {
      this.#staying.push(guest);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, STAY_MS));
    if (end === 'leaves' && connection.leave(`room-${guest.room}`)) return;
    this.#open.delete(connection);
    connection.destroy();
  }

  #arrive(
    wire: Wire,
    member: { readonly user: string; readonly rooms: readonly string[] },
    node: { readonly host: string; readonly port: number },
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const failed = (reason: string) => {
        clearTimeout(timer);
        reject(new Error(`guest ${member.user}: ${reason}`));
      };
      const timer = setTimeout(() => failed(`not joined within ${OPEN_MS} ms`), OPEN_MS);
      const connection = new Connection(wire, member, node, {
        ready: () => {
          clearTimeout(timer);
          resolve(connection);
        },
        ended: (reason) => failed(reason),
        error: (text) => failed(text),
      });
      this.#open.add(connection);
    });
  }
}
