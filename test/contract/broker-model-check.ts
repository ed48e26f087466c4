/**
 * The judge of broker-model.contract.ts: what one room answered in one run, and
 * whether a plain list of its messages explains all of it. Knows no broker
 * beyond what it was answered.
 */
import { expect } from 'vitest';
import type { Entry, HistoryPage, HistoryQuery, ReadResult, Receipt } from '../../src/broker/broker.ts';
import type { Position } from '../../src/protocol/position.ts';
import { range, seqsOf } from './store-fixture.ts';
import type { HeardMessage } from './broker-recorder.ts';

/** Messages a room keeps: few enough that a run of random length falls behind them. */
export const KEPT = 8;

export interface Published {
  readonly lane: number;
  readonly identity: string | null;
  readonly body: Buffer;
  receipt?: Receipt;
}

interface Asked<Query, Answer> {
  readonly query: Query;
  /** The highest seq acknowledged before the call: the answer may not know less. */
  readonly floor: number;
  answer?: Answer;
}

export interface RoomRun {
  readonly name: string;
  readonly epoch: string;
  readonly published: Published[];
  readonly reads: Asked<{ since: Position; limit: number }, ReadResult>[];
  readonly pages: Asked<HistoryQuery, HistoryPage>[];
}

/** The messages of the room in order: the body at index i has seq i + 1. */
export function listOf(one: RoomRun): Buffer[] {
  const applied = one.published.filter((call) => call.receipt?.duplicate === false);
  const bySeq = applied.toSorted((a, b) => (a.receipt?.seq ?? 0) - (b.receipt?.seq ?? 0));
  expect(bySeq.map((call) => call.receipt?.seq)).toEqual(range(1, applied.length));
  return bySeq.map((call) => call.body);
}

export function checkReceipts(one: RoomRun): void {
  const firsts = new Map<string, number>();
  for (const { receipt, identity } of one.published) {
    expect(receipt?.epoch).toBe(one.epoch);
    if (identity === null) expect(receipt?.duplicate).toBe(false);
    if (identity === null || !receipt || receipt.duplicate) continue;
    expect(firsts.has(identity), `${identity} was applied twice`).toBe(false);
    firsts.set(identity, receipt.seq);
  }
  for (const { receipt, identity } of one.published) {
    if (identity !== null) expect(receipt?.seq).toBe(firsts.get(identity));
  }
  for (const lane of [0, 1, 2]) {
    const own = one.published.filter((call) => call.lane === lane && call.receipt?.duplicate === false);
    const seqs = own.map((call) => call.receipt?.seq ?? 0);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  }
}

export function checkTold(one: RoomRun, list: readonly Buffer[], told: readonly HeardMessage[]): void {
  expect(told.every((message) => message.epoch === one.epoch)).toBe(true);
  sameEntries(
    told.map((message) => message.entry),
    list,
    range(1, list.length),
  );
}

function sameEntries(entries: readonly Entry[], list: readonly Buffer[], seqs: readonly number[]): void {
  expect(seqsOf(entries)).toEqual(seqs);
  for (const entry of entries) expect(list[entry.seq - 1]?.equals(entry.body)).toBe(true);
}

export function checkRead(one: RoomRun, list: readonly Buffer[], read: RoomRun['reads'][number]): void {
  const { answer, query } = read;
  if (!answer || answer.verdict === 'fresh') throw new Error('a read with a position was not answered');
  const { top } = answer;
  expect(top).toBeGreaterThanOrEqual(read.floor);
  expect(top).toBeLessThanOrEqual(list.length);
  expect(answer.epoch).toBe(one.epoch);
  const { since } = query;
  const oldest = Math.max(1, top - KEPT + 1);
  const newest = range(Math.max(oldest, top - query.limit + 1), top);
  const after = range(since.seq + 1, Math.min(top, since.seq + query.limit));
  if (since.epoch !== one.epoch) expect(answer.verdict).toBe('lost');
  else if (since.seq > top) expect(answer.verdict).toBe('diverged');
  else if (since.seq + 1 < oldest) expect(answer.verdict).toBe('trimmed');
  else expect(answer.verdict).toBe(since.seq + after.length === top ? 'ok' : 'more');
  const expected = { lost: newest, trimmed: newest, diverged: [], ok: after, more: after }[answer.verdict];
  sameEntries(answer.entries, list, expected);
}

export function checkPage(one: RoomRun, list: readonly Buffer[], page: RoomRun['pages'][number]): void {
  const { answer, query } = page;
  if (!answer) throw new Error('a page was not answered');
  const top = answer.seq;
  expect(top).toBeGreaterThanOrEqual(page.floor);
  expect(top).toBeLessThanOrEqual(list.length);
  expect(answer.epoch).toBe(one.epoch);
  const kept = range(Math.max(1, top - KEPT + 1), top);
  const { before = top + 1, after, limit: most } = query;
  const wanted = kept.filter((one) => (after === undefined ? one < before : one > after));
  const expected = after === undefined ? wanted.slice(-most) : wanted.slice(0, most);
  sameEntries(answer.entries, list, expected);
  expect(answer.more).toBe(wanted.length > expected.length);
}
