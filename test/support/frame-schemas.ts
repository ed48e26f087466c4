/**
 * Whether a frame is one the protocol knows, for tests that look at frames from
 * outside: examples in the documents, bytes from a server. Answers with words,
 * so that a failing test says which field is wrong.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { CLIENT_FRAMES, SERVER_FRAMES } from '../../src/protocol/messages.ts';

interface Variant {
  readonly name: string;
  readonly validator: { Check(value: unknown): boolean; Errors(value: unknown): readonly object[] };
}

function variantsByType(frames: Readonly<Record<string, TSchema>>): ReadonlyMap<string, readonly Variant[]> {
  const variants = new Map<string, Variant[]>();
  for (const [name, schema] of Object.entries(frames)) {
    const type = name.split('.')[0] ?? name;
    variants.set(type, [...(variants.get(type) ?? []), { name, validator: Compile(schema) }]);
  }
  return variants;
}

const CLIENT = variantsByType(CLIENT_FRAMES);
const SERVER = variantsByType(SERVER_FRAMES);

/** undefined where the frame is valid, else what is wrong with it. */
export function clientFrameFault(frame: unknown): string | undefined {
  return faultOf(frame, CLIENT);
}

/** undefined where the frame is valid, else what is wrong with it. */
export function serverFrameFault(frame: unknown): string | undefined {
  return faultOf(frame, SERVER);
}

/** The names of all variants a server frame matches: `['ok.publish']`. */
export function serverFrameNames(frame: unknown): readonly string[] {
  return (SERVER.get(typeOf(frame)) ?? []).filter((one) => one.validator.Check(frame)).map((one) => one.name);
}

function faultOf(frame: unknown, known: ReadonlyMap<string, readonly Variant[]>): string | undefined {
  const type = typeOf(frame);
  const variants = known.get(type);
  if (variants === undefined) return `no frame has the type ${JSON.stringify(type)}`;
  if (variants.some((variant) => variant.validator.Check(frame))) return undefined;
  return variants.map((one) => `${one.name}: ${JSON.stringify(one.validator.Errors(frame)[0])}`).join('; ');
}

function typeOf(frame: unknown): string {
  const type = typeof frame === 'object' && frame !== null && 'type' in frame ? frame.type : undefined;
  return typeof type === 'string' ? type : '';
}
