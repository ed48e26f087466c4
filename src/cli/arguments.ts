/**
 * What people type, checked before anything is connected: a wrong room name or URL is answered here, with
 * the reason, instead of by a server that may not even be reachable.
 */
import { maskAddress, printable, safeText } from '../ops/redact.ts';
import { KEY_LENGTH_MAX } from '../protocol/limits.ts';
import { isRoomName, isUserName } from '../protocol/names.ts';
import type { Position } from '../protocol/position.ts';
import { UsageError } from './terminal.ts';

export function roomArgument(text: string): string {
  if (isRoomName(text)) return text;
  throw new UsageError(`"${safeText(text, 128)}" is no room name: 1-128 of A-Z a-z 0-9 _ . : / -`);
}

export function userOption(text: string | undefined): string | undefined {
  if (text === undefined || isUserName(text)) return text;
  throw new UsageError(`"${safeText(text, 128)}" is no user name: 1-128 printable characters without { }`);
}

export function keyOption(text: string | undefined): string | undefined {
  if (text === undefined || (text !== '' && Array.from(text).length <= KEY_LENGTH_MAX)) return text;
  throw new UsageError(`--key takes 1-${KEY_LENGTH_MAX} characters`);
}

/** `http://host` means `ws://host/ws`: what a browser shows can be pasted. */
export function urlOption(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`"${safeText(maskAddress(text))}" is no URL: use --url ws://127.0.0.1:8080/ws`);
  }
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new UsageError(
      `"${safeText(maskAddress(text))}" is no WebSocket URL: use --url ws://127.0.0.1:8080/ws`,
    );
  }
  if (url.pathname === '/') url.pathname = '/ws';
  url.hash = '';
  return url.href;
}

export function countOption(name: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) >= min) return Number(text);
  throw new UsageError(`${name} takes a whole number from ${min}, not "${safeText(text, 32)}"`);
}

/** `<epoch>:<seq>`, as tail prints it when it ends. */
export function sinceOption(text: string | undefined): Position | undefined {
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(':');
  const [epoch, seq] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  if (epoch !== '' && /^\d{1,15}$/.test(seq)) return { epoch, seq: Number(seq) };
  throw new UsageError(`--since takes <epoch>:<seq> as tail prints it, not "${safeText(text, 128)}"`);
}

/** A value as one line that no terminal obeys. Still JSON, as what is escaped can only stand inside strings. */
export function jsonLine(value: unknown): string {
  return printable(JSON.stringify(value));
}
