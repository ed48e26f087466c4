/**
 * The words of a refusal: what was wrong and what would be right, taken from
 * the `description` of the schema that did not match. What a client sent is
 * echoed short and with everything invisible escaped, because the sentence ends
 * up in consoles and logs; a token is never echoed.
 */
import type { TSchema } from 'typebox';

/** UTF-16 units of a client's text that an error message repeats. */
const ECHO_LENGTH_MAX = 64;

/** Fields whose value is a secret even where it is wrong. */
const SECRET_FIELDS: readonly string[] = ['token'];

/** As much as this file reads of a validation error. */
interface SchemaError {
  readonly keyword: string;
  /** A JSON pointer to the value that did not match; '' is the frame. */
  readonly instancePath: string;
  readonly params: object;
}

interface SchemaPart {
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaPart>>;
  /** Of a frame: fields that exclude each other. */
  readonly not?: { readonly required?: readonly string[] };
}

/** One sentence for the first error of a frame, such as `join needs "room": 1–128 of …, got "a b"`. */
export function explain(type: string, frameSchema: TSchema, error: SchemaError, frame: object): string {
  const schema = frameSchema as SchemaPart;
  const path = pathOf(error);
  if (path.length === 0) {
    const fields = schema.not?.required ?? [];
    return `${type} takes ${fields.map((field) => `"${field}"`).join(' or ')}, not both`;
  }

  // Down to the last field with a name of its own: inside a union there is none.
  let part = schema;
  let value: unknown = frame;
  let isNeeded = true;
  const named: string[] = [];
  for (const field of path) {
    const inner = part.properties?.[field];
    if (inner === undefined) break;
    isNeeded = part.required?.includes(field) ?? false;
    named.push(field);
    part = inner;
    value = (value as Readonly<Record<string, unknown>>)[field];
  }
  const got = SECRET_FIELDS.includes(named[named.length - 1] ?? '') ? outline(value) : show(value);
  const right = part.description ?? 'another value';
  return `${type} ${isNeeded ? 'needs' : 'takes'} "${named.join('.')}": ${right}; got ${got}`;
}

/** Where the error is, the name of a missing field included. */
function pathOf(error: SchemaError): readonly string[] {
  const path = error.instancePath.split('/').slice(1);
  const missing = (error.params as { readonly requiredProperties?: readonly string[] })
    .requiredProperties?.[0];
  return missing === undefined ? path : [...path, missing];
}

/** A value of a client's, safe to repeat: short, quoted where it is text, nothing invisible in it. */
export function show(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return outline(value);
}

/** What a value is, without telling what it holds. */
function outline(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `a string of length ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Text in quotes, cut at `max` UTF-16 units (never inside a surrogate pair). */
export function quote(text: string, max: number = ECHO_LENGTH_MAX): string {
  if (text.length <= max) return `"${escape(text)}"`;
  const cut = isHighSurrogate(text.charCodeAt(max - 1)) ? max - 1 : max;
  return `"${escape(text.slice(0, cut))}"…`;
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** Quote, backslash and whatever a terminal would act upon or a reader could not see. */
const UNSAFE = /["\\]|[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

function escape(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}
