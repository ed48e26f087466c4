/**
 * What this page says in a room and understands of what others say there. A room is open to every client,
 * so nothing may be assumed about `data`: what is not recognised is shown as the JSON it is, and shortened.
 */
import type { Said } from './transcript.ts';

export const TEXT_LENGTH_MAX = 4000;

export type SignalData =
  | { readonly kind: 'typing'; readonly typing: boolean }
  | { readonly kind: 'cursor'; readonly x: number; readonly y: number }
  | { readonly kind: 'cursor-gone' };

/** A message as it is shown. */
export function readMessage(
  message: {
    readonly seq: number;
    readonly ts: number;
    readonly epoch: string;
    readonly key?: string | undefined;
    readonly from?: { readonly user: string } | undefined;
    readonly data: unknown;
  },
  me: string,
): Said {
  const user = message.from?.user ?? '';
  const own = user === me && message.key !== undefined;
  return {
    kind: 'message',
    key: own ? `key-${message.key}` : `seq-${message.epoch}-${message.seq}`,
    user,
    seq: message.seq,
    ts: message.ts,
    ...readData(message.data),
  };
}

function readData(data: unknown): { text: string; name: string | undefined; foreign: boolean } {
  if (typeof data === 'string') return { text: shortened(data), name: undefined, foreign: false };
  const { text, name } = isObject(data) ? data : {};
  if (typeof text === 'string')
    return { text: shortened(text), name: typeof name === 'string' ? name : undefined, foreign: false };
  return { text: shortened(JSON.stringify(data) ?? ''), name: undefined, foreign: true };
}

/** Undefined for a signal of somebody else's making. */
export function readSignal(data: unknown): SignalData | undefined {
  if (!isObject(data)) return undefined;
  const { kind, typing, x, y } = data;
  if (kind === 'typing') return { kind, typing: typing === true };
  if (kind === 'cursor-gone') return { kind };
  if (kind === 'cursor' && isShare(x) && isShare(y)) return { kind, x, y };
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function shortened(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}
