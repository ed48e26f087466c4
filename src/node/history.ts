/** History: a page of what the store keeps of a room, for scrolling back. Its positions are receipts and never go into `since`. */
import type { Broker } from '../broker/broker.ts';
import { historyFrame } from '../protocol/encode.ts';
import type { HistoryFrame } from '../protocol/messages.ts';
import { Refusal } from './refusal.ts';

export interface HistorySettings {
  readonly limitHistoryMessages: number;
}

/** Where no limit is configured a page still has an end. */
const PAGE_MAX = 1000;

export async function history(
  broker: Broker,
  frame: HistoryFrame,
  settings: HistorySettings,
): Promise<Buffer> {
  const max = settings.limitHistoryMessages || PAGE_MAX;
  const limit = frame.limit ?? Math.min(max, 100);
  if (limit > max) {
    throw new Refusal(
      'bad_request',
      `history takes "limit" up to ${max}, got ${limit}; ask for the next page with "before"`,
    );
  }
  const page = await broker.history(frame.room, { before: frame.before, after: frame.after, limit });
  return historyFrame(
    { id: frame.id, room: frame.room, epoch: page.epoch, seq: page.seq, more: page.more },
    page.entries,
  );
}
