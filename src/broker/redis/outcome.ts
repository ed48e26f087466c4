/**
 * What became of a command. The whole reliability of publishing rests on telling
 * "certainly not applied" from "perhaps applied" at each step; these few functions
 * are the only place where that is decided.
 */
import { BrokerError } from '../broker.ts';
import { isErrorReply, judgeErrorReply, type Verdict } from './reply-error.ts';

export type Outcome =
  | { readonly kind: 'reply'; readonly value: unknown }
  /** Nothing left this process. */
  | { readonly kind: 'not_sent'; readonly message: string }
  /** An error reply; `verdict` says whether something may have been written. */
  | { readonly kind: 'error'; readonly verdict: Verdict; readonly message: string }
  /** The link broke, or was given up, before the answer: perhaps applied. */
  | { readonly kind: 'lost'; readonly message: string };

export const NOT_CONNECTED = {
  kind: 'not_sent',
  message: 'Redis is not connected',
} as const satisfies Outcome;

/** How a command's promise was rejected. */
export function failedOutcome(error: unknown): Outcome {
  if (isErrorReply(error)) return errorOutcome(error);
  return { kind: 'lost', message: error instanceof Error ? error.message : String(error) };
}

function errorOutcome(error: Error): Outcome {
  return { kind: 'error', verdict: judgeErrorReply(error.message), message: error.message };
}

/**
 * Of the answers to MULTI, n calls and EXEC: the outcomes of the n calls. Each
 * call was only queued; what became of all of them is told by EXEC at once.
 */
export function batchOutcomes(answers: readonly Outcome[]): Outcome[] {
  const [multi, exec] = [answers[0], answers.at(-1)];
  const calls = answers.slice(1, -1);
  if (multi === undefined || exec === undefined) return calls;
  // Without a transaction (an ACL that forbids MULTI) each call ran alone and told its own outcome.
  if (multi.kind === 'error') return calls;
  if (exec.kind === 'error') {
    // "EXECABORT Transaction discarded because of previous errors": those errors say why. None of the calls ran.
    const cause = calls.find((outcome) => outcome.kind === 'error') ?? exec;
    return calls.map(() => cause);
  }
  if (exec.kind !== 'reply') return calls.map(() => exec);
  const values: readonly unknown[] = Array.isArray(exec.value) ? exec.value : [];
  return calls.map((_, index) => {
    const value = values[index];
    return isErrorReply(value) ? errorOutcome(value) : { kind: 'reply', value };
  });
}

export function isMissingScript(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.verdict === 'no_script';
}

/** The reply, or the `BrokerError` that says what may have happened instead. */
export function valueOf(outcome: Outcome): unknown {
  if (outcome.kind === 'reply') return outcome.value;
  const perhaps =
    outcome.kind === 'lost' || (outcome.kind === 'error' && outcome.verdict === 'perhaps_applied');
  throw new BrokerError(perhaps ? 'unknown_outcome' : 'unavailable', outcome.message);
}
