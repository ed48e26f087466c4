/** Why something was not done, in words for the person who wanted it. */
import { RoomcastError } from '../../../client/index.ts';

export function failureText(error: unknown): string {
  if (error instanceof RoomcastError && error.code === 'closed') return 'you are offline';
  return error instanceof Error ? error.message : String(error);
}
