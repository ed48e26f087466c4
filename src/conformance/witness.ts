/**
 * What every connection is promised whatever it does, watched while the checks do other things: each frame
 * is one of the protocol, each request is answered once, the numbers of a room grow by one, an error says
 * of itself what the table says, and `closing` tells the code that follows. The first broken promise is
 * kept as a deviation; the check that owns the connection fails with it.
 */
import { Compile } from 'typebox/compile';
import { CLOSE, CLOSES, ERRORS } from '../protocol/codes.ts';
import { SERVER_FRAMES, type ServerFrame } from '../protocol/messages.ts';
import { Deviation, show } from './outcome.ts';
import type { WireEnd } from './wire.ts';

type Validator = (frame: unknown) => boolean;

/** `ok` and `presence` come in variants: a frame has to be one of them. */
const VALIDATORS = new Map<string, Validator[]>();
for (const [name, schema] of Object.entries(SERVER_FRAMES)) {
  const type = name.split('.')[0] ?? name;
  const compiled = Compile(schema);
  VALIDATORS.set(type, [...(VALIDATORS.get(type) ?? []), (frame) => compiled.Check(frame)]);
}

export class Witness {
  /** The first promise that was broken. */
  deviation: Deviation | undefined;
  readonly #asked = new Set<string | number>();
  readonly #answered = new Set<string | number>();
  /** The newest seq of each room this connection is in. */
  readonly #seqs = new Map<string, number>();
  #closing: number | undefined;
  #welcomes = 0;

  /** A request with this id was sent. */
  asked(id: string | number): void {
    this.#asked.add(id);
  }

  /** The frame in a text of the server; undefined where it is none, or none that is known. */
  read(text: string): ServerFrame | undefined {
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      this.#broken('one JSON object in each WebSocket message', text);
      return undefined;
    }
    if (typeof frame !== 'object' || frame === null || !('type' in frame) || typeof frame.type !== 'string') {
      this.#broken('one JSON object with a type in each WebSocket message', text);
      return undefined;
    }
    const validators = VALIDATORS.get(frame.type);
    // A client ignores a type it does not know: a newer server may say more.
    if (validators === undefined) return undefined;
    if (!validators.some((isValid) => isValid(frame))) {
      this.#broken(`a frame of type ${frame.type} that satisfies its schema`, text);
      return undefined;
    }
    const known = frame as ServerFrame;
    this.#judge(known);
    return known;
  }

  binary(bytes: number): void {
    this.#broken('text messages only', `a binary message of ${bytes} bytes`);
  }

  ended(end: WireEnd): void {
    if (end.refused !== undefined) return;
    if (this.#closing !== undefined && end.code !== this.#closing) {
      this.#broken(`close ${this.#closing}, as closing said`, `close ${end.code}`);
    }
    // Who does not read cannot be told first.
    if (end.code >= 4000 && end.code !== CLOSE.tooSlow && this.#closing === undefined) {
      this.#broken('a closing frame before the close', `close ${end.code} without one`);
    }
  }

  #judge(frame: ServerFrame): void {
    if ('id' in frame && frame.id !== undefined) this.#reply(frame.id, frame);
    switch (frame.type) {
      case 'welcome':
        this.#welcomes += 1;
        if (this.#welcomes > 1) this.#broken('one welcome', `another one: ${show(frame)}`);
        return;
      case 'joined':
        this.#ascending(frame);
        this.#seqs.set(frame.room, frame.seq);
        return;
      case 'reset':
        this.#seqs.set(frame.room, frame.seq);
        return;
      case 'left':
        this.#seqs.delete(frame.room);
        return;
      case 'message':
        this.#next(frame.room, frame.seq);
        return;
      case 'closing':
        this.#closing = frame.code;
        this.#reconnect(frame.code, frame.reconnect);
        return;
      case 'error':
        if (frame.retryable !== ERRORS[frame.code].retryable)
          this.#broken(`retryable ${!frame.retryable} with ${frame.code}`, show(frame));
        return;
      default:
        return;
    }
  }

  #reply(id: string | number, frame: ServerFrame): void {
    if (!this.#asked.has(id)) this.#broken('no reply that nobody asked for', show(frame));
    else if (this.#answered.has(id)) this.#broken(`one reply to id ${id}`, `another one: ${show(frame)}`);
    this.#answered.add(id);
  }

  #next(room: string, seq: number): void {
    const last = this.#seqs.get(room);
    if (last === undefined) this.#broken(`no message of ${room} before joined`, `message ${seq}`);
    else if (seq !== last + 1) this.#broken(`message ${last + 1} of ${room}`, `message ${seq}`);
    this.#seqs.set(room, seq);
  }

  #ascending({ seq, messages, recovered }: Extract<ServerFrame, { type: 'joined' }>): void {
    const seqs = messages.map((message) => message.seq);
    const first = seq - seqs.length + 1;
    if (seqs.some((one, at) => one !== first + at))
      this.#broken(`messages numbered without a gap up to seq ${seq}`, show(seqs));
    if (recovered === false && seqs.length > 0) this.#broken('no messages with recovered: false', show(seqs));
  }

  #reconnect(code: number, reconnect: string): void {
    const wanted = CLOSES[code]?.reconnect ?? reconnect;
    if (reconnect !== wanted) this.#broken(`reconnect "${wanted}" with close ${code}`, `"${reconnect}"`);
  }

  #broken(expected: string, came: string): void {
    this.deviation ??= new Deviation(expected, show(came));
  }
}
