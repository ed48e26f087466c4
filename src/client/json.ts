/**
 * What an application hands over, as JSON has it. Made when it is given: what comes later, in a timer or on
 * the next connection, may neither throw nor send what was changed since.
 */
import { RoomcastError } from './errors.ts';

/** What JSON has no word for is null, as it is inside an array. Throws `bad_request`. */
export function encode(value: unknown): string {
  try {
    return (JSON.stringify(value) as string | undefined) ?? 'null';
  } catch (error) {
    throw new RoomcastError('bad_request', String(error));
  }
}

/** A copy that can be sent at any time. Throws `bad_request`. */
export const copy = <T>(value: T): T => JSON.parse(encode(value)) as T;

export const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
