/**
 * Text as a client might send it, from right to hostile: frames by the grammar,
 * frames with one field replaced by anything, batches of both, valid text with
 * a few characters changed, deep nests, any JSON, any text. Each kind finds
 * what the others do not: only the grammar reaches the rules between fields,
 * only mutation reaches the edges of the syntax.
 *
 * `parserFault` is the property itself, shared by the short and the long run.
 */
import fc from 'fast-check';
import { ERRORS, type ErrorCode } from '../../src/protocol/codes.ts';
import { CLIENT_FRAMES } from '../../src/protocol/messages.ts';
import { type Parsed, parseText } from '../../src/protocol/parse.ts';
import { clientFrameFault, serverFrameFault } from './frame-schemas.ts';

const BATCH_MAX = 8;

/** Longer than the longest sentence of a refusal with its echo escaped (64 characters of up to 10). */
const MESSAGE_LENGTH_MAX = 1000;

const id = fc.oneof(fc.integer(), fc.string({ minLength: 1, maxLength: 8 }), fc.constant('i'.repeat(64)));
const room = fc.constantFrom('r', 'chat:general', 'org/1.a_b-c', 'r'.repeat(128));
const user = fc.constantFrom('anna', 'Anna Maria', '山田', '🦊'.repeat(128));
const seq = fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER));
const key = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme-ascii' });
const token = fc.constantFrom('t', 'a.b.c', 't'.repeat(4096));
const position = fc.record({ epoch: key, seq });
const data = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(null));
const state = fc.dictionary(fc.string({ maxLength: 3 }), data, { maxKeys: 2 });
const label = fc.constantFrom('web', '1.2.3');

/** Fields of every type; those in `needed` are always there. */
const fields = {
  hello: [
    [],
    {
      id,
      token,
      user,
      client: fc.record({ name: label, version: label }),
      inbox: fc.oneof(fc.constant(true), position),
    },
  ],
  refresh: [['token'], { id, token }],
  ping: [[], { id }],
  join: [
    ['id', 'room'],
    { id, room, since: position, history: seq, presence: fc.constantFrom('full', 'count', 'none'), state },
  ],
  leave: [['room'], { id, room }],
  publish: [['room', 'data'], { id, room, data, key }],
  history: [['id', 'room'], { id, room, before: seq, after: seq, limit: fc.integer({ min: 1, max: 1000 }) }],
  signal: [
    ['room', 'data'],
    { id, room, data, to: fc.oneof(fc.record({ user }), fc.record({ connection: key })) },
  ],
  state: [['room', 'state'], { id, room, state }],
  presence: [['id', 'room'], { id, room }],
  send: [['to', 'data'], { id, to: user, data, key }],
  read: [['seq'], { id, seq }],
} as const satisfies Record<
  keyof typeof CLIENT_FRAMES,
  readonly [readonly string[], Record<string, fc.Arbitrary<unknown>>]
>;

type Fields = Record<string, unknown>;

/** Right in every single field; `since` may still stand beside `history`. */
const grammatical: fc.Arbitrary<Fields> = fc.oneof(
  ...Object.entries(fields).map(([type, [needed, model]]) =>
    fc
      .record(model as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [...needed] })
      .map((rest): Fields => ({ type, ...rest })),
  ),
);

const hostileName = fc.constantFrom(
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'id',
  'room',
  'type',
  'data',
  'x',
);
const hostileValue = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }),
  fc.constantFrom(
    null,
    '',
    ' ',
    '@a',
    'a b',
    'a{b}',
    '\u0000',
    '\u202e',
    '\ud800',
    'r'.repeat(129),
    -1,
    1.5,
    2 ** 53,
    1e300,
    [],
    {},
    true,
  ),
  fc.string({ unit: 'binary', maxLength: 80 }),
);

/** One field of a right frame taken away, replaced, or added. */
const damaged = fc
  .tuple(grammatical, fc.nat(), hostileName, hostileValue, fc.nat(3))
  .map(([frame, at, name, value, how]): Fields => {
    const names = Object.keys(frame);
    const victim = names[at % names.length] ?? 'type';
    const entries = Object.entries(frame).filter(([field]) => how > 0 || field !== victim);
    if (how === 1) entries.push([name, value]);
    // fromEntries defines properties: `__proto__` becomes a key, as in parsed JSON, and not a prototype.
    return Object.fromEntries(
      entries.map(([field, old]) => [field, how > 1 && field === victim ? value : old]),
    );
  });

const element = fc.oneof(
  { weight: 3, arbitrary: grammatical },
  { weight: 3, arbitrary: damaged },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
);
const frameText = fc.oneof(grammatical, damaged).map((frame) => JSON.stringify(frame));
const batchText = fc.array(element, { maxLength: BATCH_MAX + 2 }).map((batch) => JSON.stringify(batch));

const SNIPPETS = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '-',
  'e',
  '\u0000',
  '\ufeff',
  '\\u0000',
  'null',
  '"__proto__":1,',
  '"id":{},',
  ' ',
];
const edit = fc.record({ at: fc.nat(), cut: fc.nat(4), add: fc.constantFrom('', ...SNIPPETS) });
const mutatedText = fc
  .tuple(fc.oneof(frameText, batchText), fc.array(edit, { minLength: 1, maxLength: 4 }))
  .map(([text, edits]) =>
    edits.reduce((now, { at, cut, add }) => {
      const from = at % (now.length + 1);
      return now.slice(0, from) + add + now.slice(from + cut);
    }, text),
  );

/** Around the limit of depth, alone and inside of a batch, closed and left open. */
const deepText = fc
  .record({
    levels: fc.integer({ min: 25, max: 40 }),
    open: fc.constantFrom('[', '{"a":'),
    batch: fc.boolean(),
    closed: fc.boolean(),
  })
  .map(({ levels, open, batch, closed }) => {
    const close = open === '[' ? ']' : '}';
    const nest = `${open.repeat(levels)}1${closed ? close.repeat(levels) : ''}`;
    const frame = `{"type":"publish","id":1,"room":"r","data":${nest}}`;
    return batch ? `[{"type":"ping"},${frame}]` : frame;
  });

export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: frameText },
  { weight: 3, arbitrary: batchText },
  { weight: 4, arbitrary: mutatedText },
  { weight: 1, arbitrary: deepText },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
);

/** What a run reached. A generator that only makes rubbish proves nothing about frames. */
export interface Tally {
  frames: number;
  refusals: Map<ErrorCode, number>;
  /** Frame types that came out valid. */
  types: Set<string>;
}

export const newTally = (): Tally => ({ frames: 0, refusals: new Map(), types: new Set() });

/** undefined where the parser kept its promises for this text, else which one it broke. */
export function parserFault(text: string, tally: Tally): string | undefined {
  const results = parseText(text, { batchMax: BATCH_MAX });
  const elements = elementsOf(text);
  if (results.length !== elements.length) return `${results.length} results for ${elements.length} elements`;
  for (const [at, result] of results.entries()) {
    const fault = result.frame ? frameFault(result.frame, elements[at]) : refusalFault(result, elements[at]);
    if (fault) return `element ${at}: ${fault}`;
    count(result, tally);
  }
  return undefined;
}

/** What the text holds, found without the parser: one result is due for each. */
function elementsOf(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.length > 0 && value.length <= BATCH_MAX ? value : [value];
  } catch {
    return [undefined];
  }
}

function frameFault(frame: object, element: unknown): string | undefined {
  const fault = clientFrameFault(frame);
  if (fault) return fault;
  if (JSON.stringify(frame) !== JSON.stringify(element)) return 'it is not what was sent';
  for (const name of ['__proto__', 'constructor', 'prototype'])
    if (Object.hasOwn(frame, name)) return `it has ${name}`;
  if ('since' in frame && 'history' in frame && Reflect.get(frame, 'type') === 'join')
    return 'since and history';
  if ('before' in frame && 'after' in frame && Reflect.get(frame, 'type') === 'history')
    return 'before and after';
  return depthOf(frame) > 32 ? 'it is too deep' : undefined;
}

function refusalFault(result: Parsed, element: unknown): string | undefined {
  const { error, bad } = result as Extract<Parsed, { bad: boolean }>;
  if (!Object.hasOwn(ERRORS, error.code)) return `unknown code ${error.code}`;
  if (bad !== (error.code === 'bad_request')) return 'bad is wrong';
  if (error.message.length > MESSAGE_LENGTH_MAX) return 'the message is too long';
  if (/[\p{Cc}\p{Cs}\u202e\u2028\u2029]/u.test(error.message)) return 'the message holds what cannot be seen';
  const { retryable } = ERRORS[error.code];
  const told = serverFrameFault({ ...error, type: 'error', retryable });
  if (told) return told;
  if (error.id === undefined && error.room === undefined) return undefined;
  const sent = element as { readonly id?: unknown; readonly room?: unknown };
  if (error.id !== undefined && error.id !== sent.id) return 'the id is not the one sent';
  return error.room !== undefined && error.room !== sent.room ? 'the room is not the one sent' : undefined;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function count(result: Parsed, tally: Tally): void {
  if (result.frame) {
    tally.frames += 1;
    tally.types.add(result.frame.type);
  } else {
    tally.refusals.set(result.error.code, (tally.refusals.get(result.error.code) ?? 0) + 1);
  }
}
