/** Gets the token of the moment. Whatever the application's provider throws comes out as a `RoomcastError`. */
import type { ClientOptions } from './api.ts';
import { RoomcastError } from './errors.ts';

export async function tokenOf(token: ClientOptions['token']): Promise<string | undefined> {
  try {
    return typeof token === 'function' ? await token() : token;
  } catch (error) {
    throw new RoomcastError('unauthorized', String(error), true);
  }
}
