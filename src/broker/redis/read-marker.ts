/**
 * Moves the read mark of an inbox. A mark only ever moves forward, so it needs no
 * lane, no key and no deadline: one that arrives twice or late changes nothing.
 */
import { type MetaLife, metaTtlS } from '../../core/retention.ts';
import type { Position } from '../../protocol/position.ts';
import type { Commands } from './commands.ts';
import type { Keys } from './keys.ts';
import { positionArguments } from './read-reply.ts';

interface ReadMarkerOptions {
  readonly commands: Pick<Commands, 'run'>;
  readonly keys: Pick<Keys, 'meta'>;
  readonly settings: MetaLife;
}

export class ReadMarker {
  readonly #options: ReadMarkerOptions;

  constructor(options: ReadMarkerOptions) {
    this.#options = options;
  }

  /** False: the position is none of the room's present stream. Rejects as `Commands.run` does. */
  async mark(room: string, position: Position): Promise<boolean> {
    const { commands, keys, settings } = this.#options;
    const args = [...positionArguments(position), String(metaTtlS(room, settings))];
    const reply = await commands.run('mark-read', [keys.meta(room)], args);
    const verdict: unknown = Array.isArray(reply) ? reply[0] : undefined;
    if (verdict !== 'ok' && verdict !== 'void') {
      throw new TypeError(`mark-read.lua answered ${JSON.stringify(verdict)}`);
    }
    return verdict === 'ok';
  }
}
