/**
 * What an error reply of Redis says about the command it answers. The one thing
 * that must be right is whether the command can have written anything: Redis
 * refuses most commands before they start, but an error raised inside a script
 * comes after whatever the script had already done, and is not undone.
 */
export type Verdict =
  /** The script cache does not hold it: nothing ran, load it and send again. */
  | 'no_script'
  /** This Redis does not take writes (a replica, or a primary without enough replicas): nothing ran. */
  | 'topology'
  /** Nothing ran: out of memory, loading, busy, not allowed, malformed, … */
  | 'refused'
  /** Raised while a script ran: what came before the error in it has been written. */
  | 'perhaps_applied';

/** `message`: the text of the reply, its first word being the code. */
export function judgeErrorReply(message: string): Verdict {
  if (message.startsWith('NOSCRIPT')) return 'no_script';
  // Redis adds ` script: <sha1>, on @user_script:<line>.` to what a running script raised, and to nothing else.
  if (RAISED_IN_SCRIPT.test(message)) return 'perhaps_applied';
  if (message.startsWith('READONLY') || message.startsWith('NOREPLICAS')) return 'topology';
  return 'refused';
}

const RAISED_IN_SCRIPT = / script: [0-9a-f]{40}, on @/;

/** ioredis rejects with other errors too (a closed connection); only these come from Redis. */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}
