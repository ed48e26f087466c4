/**
 * The fixed bounds of protocol version 1: lengths, depth and names that every
 * node and every client must agree on, so none of them is configurable. What an
 * operator may turn (payload bytes, batch size, rates) lives in the server's
 * configuration and is told to clients in `welcome.limits`.
 *
 * "Characters" always means Unicode code points, as in JSON Schema.
 */

/** `welcome.protocol`, and the digit in the subprotocol's name. */
export const PROTOCOL_VERSION = 1;

/** The WebSocket subprotocol a client offers (RFC 6455 section 1.9). */
export const SUBPROTOCOL = 'roomcast.v1';

/** Prefix of the second subprotocol value that may carry a token: `bearer.<jwt>`. PROTOCOL "Session". */
export const BEARER_PREFIX = 'bearer.';

/** Characters of a request's `id`, where it is a string. It comes back in the reply, so it costs bytes twice. */
export const ID_LENGTH_MAX = 64;

/** Characters of an idempotency `key`. It becomes part of a key in the store. */
export const KEY_LENGTH_MAX = 64;

/** Characters (ASCII only) of a room name. */
export const ROOM_LENGTH_MAX = 128;

/** Characters of a user name; at most 512 bytes in UTF-8. */
export const USER_LENGTH_MAX = 128;

/** Characters of an epoch. Opaque, made by the server; a longer one was never ours. */
export const EPOCH_LENGTH_MAX = 128;

/** Characters of a connection id. The server's own are uuids of 36; clients treat them as opaque. */
export const CONNECTION_LENGTH_MAX = 64;

/** Characters of a token in `hello` and `refresh`. */
export const TOKEN_LENGTH_MAX = 4096;

/** Characters of `hello.client.name` and `hello.client.version`, which are logged. */
export const CLIENT_LABEL_LENGTH_MAX = 64;

/**
 * Nesting of one frame: the frame object is level 1, the array of a batch does
 * not count. Without it 16 KB of brackets parse well and then overflow the
 * stack of whatever walks them recursively, `JSON.stringify` included.
 */
export const DEPTH_MAX = 32;

/** Largest sequence number, and largest magnitude of an integer `id`: above it JavaScript numbers skip integers. */
export const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

/** Keys no frame object may have: they reach an object's prototype in careless code, on this side or the other. */
export const FORBIDDEN_KEYS: readonly string[] = ['__proto__', 'constructor', 'prototype'];
