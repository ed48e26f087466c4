/**
 * The link that writes and reads: `Commands` for everybody, and whole batches
 * for the publisher's lanes. A connection counts as usable only after the
 * scripts are in the cache of that Redis and its time is known, so a publish
 * never begins with NOSCRIPT and never without a deadline. A command is sent
 * once: what is sent again, and when, is decided by who knows the command.
 */
import type { Redis } from 'ioredis';
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Argument, Commands } from './commands.ts';
import { Exchange } from './exchange.ts';
import type { FirstContact } from './first-contact.ts';
import { Link } from './link.ts';
import { batchOutcomes, isMissingScript, NOT_CONNECTED, valueOf, type Outcome } from './outcome.ts';
import { createRedisTime, parseTime } from './redis-time.ts';
import type { RedisTarget } from './redis-target.ts';
import type { ReplyEncoding } from './request.ts';
import { runIdOf } from './run-id.ts';
import type { Script, ScriptName } from './scripts.ts';
import { scriptHead, scriptWire } from './wire-text.ts';

export interface CommandLinkSettings {
  readonly redisDeadlineMs: number;
}

export interface CommandLinkOptions {
  readonly settings: CommandLinkSettings;
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly scripts: ReadonlyMap<ScriptName, Script>;
  readonly contact?: FirstContact | undefined;
}

export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

const TIME_SAMPLE_MS = 1_000;
/** A Redis that takes no writes for this long is no longer the one to talk to: connect again, resolve the name again. */
export const TOPOLOGY_PATIENCE_MS = 3_000;
const MULTI = '*1\r\n$5\r\nMULTI\r\n';
const EXEC = '*1\r\n$4\r\nEXEC\r\n';
/** SCRIPT FLUSH may hit again while a script is sent the second time; a storm of them is somebody's mistake. */
const SCRIPT_TRIES_MAX = 4;

export class CommandLink implements Commands {
  readonly #options: CommandLinkOptions;
  readonly #link: Link;
  readonly #time = createRedisTime();
  readonly #listeners: ((usable: boolean) => void)[] = [];
  #exchange: Exchange | undefined;
  #usable = false;
  #identity: string | undefined;
  #refusesWritesSinceMs: number | undefined;
  #sampling: Timer | undefined;
  /** On this connection: how many script calls were sent, and how many before each script was loaded again. */
  #scriptsSent = 0;
  #reloadedAfter = new Map<ScriptName, number>();
  readonly #heads = new Map<ScriptName, string>();

  constructor(options: CommandLinkOptions) {
    this.#options = options;
    this.#link = new Link(
      { ...options, name: 'commands' },
      { opened: (connection) => this.#opened(connection), lost: () => this.#lost() },
    );
  }

  start(): void {
    this.#link.start();
  }

  stop(): void {
    this.#link.stop();
    this.#lost();
  }

  get usable(): boolean {
    return this.#usable;
  }

  /** `run_id` of the Redis at the other end; undefined while unknown, or where it may not be asked. */
  get identity(): string | undefined {
    return this.#identity;
  }

  onUsable(listener: (usable: boolean) => void): void {
    this.#listeners.push(listener);
  }

  deadline(): string {
    return this.deadlineIn(this.#options.settings.redisDeadlineMs);
  }

  /** `deadline()` of a write that must have landed within `ms`. */
  deadlineIn(ms: number): string {
    // Where the time is not known, one long past: the script then refuses, whatever happens.
    return String(this.#time.at(this.#options.clock.now() + ms) ?? 1);
  }

  run(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#evaluate(script, { keys, args });
  }

  runBuffers(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#evaluate(script, { keys, args }, 'buffer');
  }

  async call(command: string, ...args: Argument[]): Promise<unknown> {
    return valueOf(this.#usable && this.#exchange ? await this.#exchange.send(command, args) : NOT_CONNECTED);
  }

  /**
   * Several calls of one script as one step (MULTI … EXEC): all are applied or none,
   * so a SCRIPT FLUSH and a SCRIPT LOAD by others cannot fall between them and let a
   * later one succeed where an earlier one found no script. One outcome per call, in
   * order. Where the script is missing it is on its way again when this resolves.
   */
  sendBatch(name: ScriptName, calls: readonly ScriptCall[]): Promise<readonly Outcome[]> {
    const exchange = this.#exchange;
    if (!this.#usable || exchange?.accepts(calls.length + 2) !== true) {
      return Promise.resolve(calls.map(() => NOT_CONNECTED));
    }
    const isTransaction = calls.length > 1;
    const sentAs = this.#scriptsSent + calls.length;
    return new Promise((resolve) => {
      const answers: Outcome[] = [];
      const answered = (outcome: Outcome): void => {
        // Answers come in the order of the commands, and a lost link loses all that are left.
        answers.push(outcome);
        if (answers.length < calls.length + (isTransaction ? 2 : 0)) return;
        const outcomes = isTransaction ? batchOutcomes(answers) : answers;
        for (const one of outcomes) this.#judge(exchange, name, one, sentAs);
        resolve(outcomes);
      };
      if (isTransaction) exchange.sendWire('multi', MULTI, answered);
      for (const call of calls) this.#send(exchange, name, call, answered);
      if (isTransaction) exchange.sendWire('exec', EXEC, answered);
    });
  }

  /** Writes now what was sent in this turn. */
  flush(): void {
    this.#exchange?.flush();
  }

  /** Gives the connection up: it is open, but wrong. */
  replace(reason: string): void {
    this.#link.replace(reason);
  }

  #opened(connection: Redis): void {
    const deadlineMs = this.#options.settings.redisDeadlineMs;
    const silent = (): void => this.#link.replace(`no answer for ${deadlineMs} ms`);
    this.#exchange = new Exchange({ connection, clock: this.#options.clock, deadlineMs, silent });
    void this.#warmUp(this.#exchange);
  }

  async #warmUp(exchange: Exchange): Promise<void> {
    const { scripts, target } = this.#options;
    const asked = exchange.send('info', ['server']);
    // Asked here and not by ioredis, which goes on in database 0 where Redis refuses it.
    const selecting = target.db ? [exchange.send('select', [String(target.db)])] : [];
    const loading = [...scripts.values()].map(({ source }) => exchange.send('script', ['load', source]));
    const answers = await Promise.all([...selecting, ...loading]);
    const refused = answers.find((outcome) => outcome.kind !== 'reply');
    const identity = runIdOf(await asked);
    const timed = refused === undefined && (await this.#sampleTime(exchange));
    if (this.#exchange !== exchange) return;
    if (!timed) {
      // Redis still loads its data, or its ACL is wrong: from here both heal by asking again.
      this.#link.replace(refused === undefined ? 'TIME was not answered' : refused.message);
      return;
    }
    this.#identity = identity;
    this.#link.proven();
    this.#sampling = this.#options.clock.every(TIME_SAMPLE_MS, () => void this.#sampleTime(exchange));
    this.#setUsable(true);
  }

  #lost(): void {
    const ending = this.#exchange;
    this.#exchange = undefined;
    this.#identity = undefined;
    this.#refusesWritesSinceMs = undefined;
    this.#scriptsSent = 0;
    this.#reloadedAfter = new Map();
    this.#sampling?.cancel();
    this.#time.reset();
    this.#setUsable(false);
    ending?.end('the connection to Redis was lost');
  }

  #setUsable(usable: boolean): void {
    if (this.#usable === usable) return;
    this.#usable = usable;
    for (const listener of this.#listeners) listener(usable);
  }

  async #sampleTime(exchange: Exchange): Promise<boolean> {
    const { clock } = this.#options;
    const sentMs = clock.now();
    const outcome = await exchange.send('time', []);
    const redisMs = outcome.kind === 'reply' ? parseTime(outcome.value) : undefined;
    if (redisMs === undefined || this.#exchange !== exchange) return false;
    this.#time.sample(sentMs, redisMs, clock.now());
    return true;
  }

  async #evaluate(name: ScriptName, call: ScriptCall, encoding?: ReplyEncoding): Promise<unknown> {
    for (let tries = 1; ; tries += 1) {
      const exchange = this.#exchange;
      if (!this.#usable || exchange === undefined) return valueOf(NOT_CONNECTED);
      const sentAs = this.#scriptsSent + 1;
      const outcome = await new Promise<Outcome>((resolve) => {
        this.#send(exchange, name, call, resolve, encoding);
      });
      this.#judge(exchange, name, outcome, sentAs);
      if (!isMissingScript(outcome) || tries === SCRIPT_TRIES_MAX) return valueOf(outcome);
    }
  }

  #send(
    exchange: Exchange,
    name: ScriptName,
    call: ScriptCall,
    settle: (outcome: Outcome) => void,
    encoding?: ReplyEncoding,
  ): void {
    this.#scriptsSent += 1;
    exchange.sendWire('evalsha', scriptWire(this.#head(name), call.keys, call.args), settle, encoding);
  }

  #head(name: ScriptName): string {
    let head = this.#heads.get(name);
    if (head === undefined) {
      head = scriptHead(this.#script(name).sha1);
      this.#heads.set(name, head);
    }
    return head;
  }

  /** What an outcome says of the script and of the Redis at the other end, whoever asked. */
  #judge(exchange: Exchange, name: ScriptName, outcome: Outcome, sentAs: number): void {
    if (isMissingScript(outcome)) this.#reload(exchange, name, sentAs);
    else this.#judgeTopology(name, outcome);
  }

  /**
   * Puts a script back into the cache, unless a SCRIPT LOAD already left after the call
   * that missed it: without this each of a thousand calls in flight would send its own.
   */
  #reload(exchange: Exchange, name: ScriptName, missedBy: number): void {
    if (exchange !== this.#exchange || (this.#reloadedAfter.get(name) ?? -1) >= missedBy) return;
    this.#reloadedAfter.set(name, this.#scriptsSent);
    this.#options.logger.debug({ script: name }, 'script was missing in Redis, loading it again');
    void exchange.send('script', ['load', this.#script(name).source]);
  }

  #judgeTopology(name: ScriptName, outcome: Outcome): void {
    if (outcome.kind === 'reply') {
      if (this.#refusesWritesSinceMs !== undefined && !readsOnly(this.#script(name))) {
        this.#refusesWritesSinceMs = undefined;
      }
    } else if (outcome.kind === 'error' && outcome.verdict === 'topology') {
      const nowMs = this.#options.clock.now();
      this.#refusesWritesSinceMs ??= nowMs;
      if (nowMs - this.#refusesWritesSinceMs >= TOPOLOGY_PATIENCE_MS) this.#link.replace(outcome.message);
    }
  }

  #script(name: ScriptName): Script {
    const script = this.#options.scripts.get(name);
    if (script === undefined) throw new RangeError(`there is no script ${name}`);
    return script;
  }
}

function readsOnly(script: Script): boolean {
  return /^#!lua[^\n]*no-writes/.test(script.source);
}
