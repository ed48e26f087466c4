/**
 * What an outcome of publish.lua means to the lane it was sent for. The script
 * answers `{'ok' | 'dup', "e.token:seq"}` or `{'expired'}`; anything else that
 * comes back says only whether it ran.
 */
import type { Receipt } from '../broker.ts';
import type { Answer } from './lane.ts';
import type { Outcome } from './outcome.ts';

export function answerOf(outcome: Outcome): Answer<Receipt> {
  if (outcome.kind === 'not_sent') return { kind: 'again' };
  if (outcome.kind === 'lost') return { kind: 'unknown', message: outcome.message };
  if (outcome.kind === 'reply') return receiptOf(outcome.value);
  if (outcome.verdict === 'no_script') return { kind: 'again' };
  const kind = outcome.verdict === 'perhaps_applied' ? 'unknown' : 'refused';
  return { kind, message: outcome.message };
}

/** Whether asking again at once would only be told the same. A lost link and a missing script are not of that kind. */
export function wantsPause(outcome: Outcome, answer: Answer<Receipt> | undefined): boolean {
  if (outcome.kind === 'error') return outcome.verdict !== 'no_script';
  return outcome.kind === 'not_sent' || (outcome.kind === 'reply' && answer?.kind !== 'applied');
}

function receiptOf(reply: unknown): Answer<Receipt> {
  const [verdict, position]: unknown[] = Array.isArray(reply) ? reply : [];
  if (verdict === 'expired') return { kind: 'expired' };
  const colon = typeof position === 'string' ? position.lastIndexOf(':') : -1;
  const seq = typeof position === 'string' ? Number(position.slice(colon + 1)) : Number.NaN;
  if ((verdict !== 'ok' && verdict !== 'dup') || typeof position !== 'string' || colon < 1 || !(seq > 0)) {
    return { kind: 'unknown', message: 'publish.lua answered something unknown' };
  }
  return { kind: 'applied', value: { epoch: position.slice(0, colon), seq, duplicate: verdict === 'dup' } };
}
