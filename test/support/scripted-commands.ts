/**
 * `Commands` without a Redis: writes down what was sent and answers as the test
 * says, by default as a Redis in which every lease is alive. For tests about
 * when something is sent, and how often; what the scripts do is tested on Redis.
 */
import type { Argument, Commands } from '../../src/broker/redis/commands.ts';
import type { ScriptName } from '../../src/broker/redis/scripts.ts';

export interface Sent {
  /** A script, or the name of a plain command. */
  readonly name: string;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

export interface ScriptedCommands extends Commands {
  readonly sent: readonly Sent[];
  /** Of one name, since `from` (an earlier `sent.length`). */
  sentOf(name: string, from?: number): Sent[];
  setUsable(usable: boolean): void;
  /** How to answer from now on; undefined leaves the default answer. Throwing or rejecting is an answer too. */
  answer(how: (sent: Sent) => unknown): void;
}

const TERM = 'aaaaaaaaaaaa';

export function createScriptedCommands(): ScriptedCommands {
  const sent: Sent[] = [];
  const listeners: ((usable: boolean) => void)[] = [];
  let usable = true;
  let how: (one: Sent) => unknown = () => undefined;

  async function take(one: Sent): Promise<unknown> {
    sent.push(one);
    return (await how(one)) ?? defaultAnswer(one.name);
  }

  return {
    get usable() {
      return usable;
    },
    sent,
    sentOf: (name, from = 0) => sent.slice(from).filter((one) => one.name === name),
    setUsable(now) {
      usable = now;
      for (const listener of listeners) listener(now);
    },
    answer: (answer) => {
      how = answer;
    },
    deadline: () => '1760000000000',
    run: (script: ScriptName, keys, args) => take({ name: script, keys, args }),
    runBuffers: (script: ScriptName, keys, args) => take({ name: script, keys, args }),
    call: (command, ...args) => take({ name: command, keys: [String(args[0])], args: args.slice(1) }),
    onUsable: (listener) => void listeners.push(listener),
  };
}

function defaultAnswer(name: string): unknown {
  switch (name) {
    case 'heartbeat':
      return [1, 1_760_000_000_000, TERM];
    case 'expire':
      return [];
    case 'SSCAN':
    case 'HSCAN':
      return ['0', []];
    case 'SADD':
    case 'SREM':
      return 1;
    case 'reap':
      return ['done', 0];
    case 'audit':
      return ['0', 0];
    default:
      return ['ok', '7'];
  }
}
