/**
 * What read.lua and history.lua answer, as the port tells it. Entries of a format
 * that this release cannot read must not vanish in silence: a page simply leaves
 * them out, a read turns into a `trimmed` reset behind the last of them.
 */
import type { Position } from '../../protocol/position.ts';
import type { Entry, HistoryPage, ReadResult, TermStart } from '../broker.ts';
import { decodeEntry } from './envelope.ts';

/** A reply with every string as a Buffer. */
export type Absent = 'absent';

export interface Decoded<Result> {
  readonly result: Result;
  /** Entries that could not be read. */
  readonly unreadable: number;
}

/**
 * The arguments of read.lua for a position. An epoch that is not "e.token" (made
 * up, or of another store) is asked as one that never was, and reads as `lost`.
 */
export function readArguments(since: Position | null, limit: number): string[] {
  return [...(since === null ? ['', '', ''] : positionArguments(since)), String(limit)];
}

export function positionArguments({ epoch, seq }: Position): string[] {
  const [, life = '-', token = '-'] = /^(\w+)\.(\w+)$/.exec(epoch) ?? [];
  return [life, token, String(seq)];
}

export function decodeRead(reply: unknown): Decoded<ReadResult> | Absent {
  const [verdict, epoch, top, rawEntries, terms, version] = fields(reply);
  const kind = text(verdict);
  if (kind === 'absent') return 'absent';
  const told = { epoch: text(epoch), top: number(top), presenceVersion: number(version) };
  if (kind === 'fresh') return { result: { verdict: kind, ...told }, unreadable: 0 };

  const { entries, unreadable } = decodeEntries(rawEntries);
  if (kind === 'ok' || kind === 'more') {
    if (unreadable === 0) {
      return {
        result: { verdict: kind, ...told, entries, terms: termsOf(told.epoch, text(terms)) },
        unreadable,
      };
    }
    // A reset's entries must reach the top, which those of `more` do not.
    const kept = kind === 'ok' ? entries : [];
    return { result: { verdict: 'trimmed', ...told, entries: contiguousEnd(kept, told.top) }, unreadable };
  }
  if (kind !== 'lost' && kind !== 'diverged' && kind !== 'trimmed') {
    throw new TypeError(`read.lua answered ${JSON.stringify(kind)}`);
  }
  return { result: { verdict: kind, ...told, entries: contiguousEnd(entries, told.top) }, unreadable };
}

export function decodeHistory(reply: unknown): Decoded<HistoryPage> | Absent {
  const [epoch, top, rawEntries, more] = fields(reply);
  if (text(epoch) === 'absent') return 'absent';
  const { entries, unreadable } = decodeEntries(rawEntries);
  return { result: { epoch: text(epoch), seq: number(top), entries, more: text(more) === '1' }, unreadable };
}

/** The mark, or before the first message where there is none. */
export function decodeMark(reply: unknown): Decoded<Position> | Absent {
  const [epoch, mark] = fields(reply);
  if (text(epoch) === 'absent') return 'absent';
  const [, marked, seq] = /^(\w+\.\w+):(\d+)$/.exec(text(mark)) ?? [];
  const result = marked === undefined ? { epoch: text(epoch), seq: 0 } : { epoch: marked, seq: Number(seq) };
  return { result, unreadable: 0 };
}

/** The longest end of `entries` without a hole up to `top`: an unreadable one in the middle is a hole. */
function contiguousEnd(entries: readonly Entry[], top: number): Entry[] {
  let from = entries.length;
  while (from > 0 && entries[from - 1]?.seq === top - (entries.length - from)) from -= 1;
  return entries.slice(from);
}

function decodeEntries(raw: unknown): { entries: Entry[]; unreadable: number } {
  const entries: Entry[] = [];
  let unreadable = 0;
  for (const item of fields(raw)) {
    const [id, named] = fields(item);
    const logged = fields(named)[1];
    const entry = Buffer.isBuffer(id) && Buffer.isBuffer(logged) ? decodeEntry(id, logged) : undefined;
    if (entry === undefined) unreadable += 1;
    else entries.push(entry);
  }
  return { entries, unreadable };
}

/** "token:start;token:start;" with the life's "e." put before each token. */
function termsOf(epoch: string, terms: string): TermStart[] {
  const life = epoch.slice(0, epoch.indexOf('.') + 1);
  return Array.from(terms.matchAll(/(\w+):(\d+);/g), ([, token, start]) => ({
    epoch: `${life}${token}`,
    start: Number(start),
  }));
}

function fields(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString() : '';
}

function number(value: unknown): number {
  const parsed = Number(text(value));
  if (!Number.isSafeInteger(parsed)) throw new TypeError(`not an integer in a reply: ${text(value)}`);
  return parsed;
}
