/**
 * From the text of one WebSocket message to frames: one result per frame, in
 * order, each either a frame that satisfies its schema or a refusal that says
 * what was wrong. Never throws, whatever the text.
 *
 * Not done here: identity, rates, limits an operator may turn (except the
 * length of a batch), and whether the server serves the frame. A frame comes
 * out as it was parsed, unknown fields included: read fields by name, never
 * copy the object.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { ErrorCode } from './codes.ts';
import { textNestsDeeper, valueNestsDeeper } from './depth.ts';
import { explain, quote, show } from './explain.ts';
import { Id } from './fields.ts';
import { DEPTH_MAX, FORBIDDEN_KEYS } from './limits.ts';
import { CLIENT_FRAMES, type ClientFrame, type ClientType } from './messages.ts';
import { isInboxName, isRoomName } from './names.ts';

export interface ParseLimits {
  /** Frames in one batch; 0 = no limit. */
  readonly batchMax: number;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** Of the refused frame, wherever it is a valid one: a client waiting for this reply is answered. */
  readonly id?: string | number;
  readonly room?: string;
  /** Of the refused frame, where it is one this server knows: a hello that was not right may be said again. */
  readonly type?: ClientType;
}

export type Parsed =
  | { readonly frame: ClientFrame; readonly error?: undefined }
  /** `bad`: the client is broken or hostile, and it counts towards close 4508. A frame that is merely newer than this server does not. */
  | { readonly error: Refusal; readonly bad: boolean; readonly frame?: undefined };

interface FrameValidator {
  readonly schema: TSchema;
  Check(value: unknown): boolean;
  Errors(value: unknown): readonly { keyword: string; instancePath: string; params: object }[];
}

const VALIDATORS: ReadonlyMap<string, FrameValidator> = new Map(
  Object.entries(CLIENT_FRAMES).map(([type, schema]) => {
    const compiled = Compile(schema);
    return [
      type,
      { schema, Check: (value) => compiled.Check(value), Errors: (value) => compiled.Errors(value) },
    ] satisfies [string, FrameValidator];
  }),
);

const ID = Compile(Id);

const KNOWN_TYPES = [...VALIDATORS.keys()].join(', ');

/** How much of a text that is not JSON is repeated: enough to recognise it, too little to hold a part of a token. */
const TEXT_ECHO_MAX = 16;

/** One result per frame of the text. A text that is no frame and no batch of frames has one result, a refusal. */
export function parseText(text: string, limits: ParseLimits): Parsed[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [
      refuse('bad_request', `a frame is one JSON object; this is not JSON: ${quote(text, TEXT_ECHO_MAX)}`),
    ];
  }
  if (!Array.isArray(value)) return [parseElement(value, textNestsDeeper(text, DEPTH_MAX))];

  const batch: readonly unknown[] = value;
  if (batch.length === 0)
    return [refuse('bad_request', 'a batch holds at least one frame, this one is empty')];
  if (limits.batchMax > 0 && batch.length > limits.batchMax) {
    const message = `a batch holds at most ${limits.batchMax} frames, got ${batch.length}; none of them was applied`;
    return [refuse('limit_exceeded', message)];
  }
  const perhapsDeep = textNestsDeeper(text, DEPTH_MAX + 1);
  return batch.map((element) => parseElement(element, perhapsDeep));
}

/** `perhapsDeep`: something in the text nests too deep, which of the frames is to be found out. */
function parseElement(element: unknown, perhapsDeep: boolean): Parsed {
  if (typeof element !== 'object' || element === null || Array.isArray(element)) {
    return refuse('bad_request', `a frame is a JSON object, got ${show(element)}`);
  }
  for (const key of FORBIDDEN_KEYS) {
    if (Object.hasOwn(element, key)) return refuse('bad_request', `a frame has no key "${key}"`, element);
  }
  if (perhapsDeep && valueNestsDeeper(element, DEPTH_MAX)) {
    return refuse('bad_request', `a frame nests at most ${DEPTH_MAX} levels deep, itself included`, element);
  }
  const type = (element as { readonly type?: unknown }).type;
  if (typeof type !== 'string') {
    return refuse('bad_request', `a frame needs "type": one of ${KNOWN_TYPES}; got ${show(type)}`, element);
  }
  const validator = VALIDATORS.get(type);
  if (validator === undefined) {
    return refuse('unsupported', `unknown type ${quote(type)}; this server knows ${KNOWN_TYPES}`, element);
  }
  // The schema was checked: from here on the type is the truth.
  if (validator.Check(element)) return { frame: element as ClientFrame };

  const [first] = validator.Errors(element);
  // A check that fails without an error to show would be typebox's defect; the client is still answered.
  const message = first ? explain(type, validator.schema, first, element) : `${type} is not valid`;
  return refuse('bad_request', message, element);
}

function refuse(code: ErrorCode, message: string, element: object = {}): Parsed {
  const { type, id, room } = element as Readonly<Record<string, unknown>>;
  const error: Refusal = {
    code,
    message,
    ...(isKnown(type) ? { type } : {}),
    ...(ID.Check(id) ? { id } : {}),
    ...(isRoomName(room) || isInboxName(room) ? { room } : {}),
  };
  return { error, bad: code === 'bad_request' };
}

function isKnown(type: unknown): type is ClientType {
  return typeof type === 'string' && VALIDATORS.has(type);
}
