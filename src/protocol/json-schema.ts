/**
 * The protocol as one JSON Schema document (2020-12), for client authors in
 * other languages and for their generators. `#/$defs/client.join` is a client's
 * `join`, `#/$defs/server.ok.publish` the answer to `publish`; `client` and
 * `server` are what either side may send. Made from the schemas that validate,
 * so it cannot say anything else. scripts/docs.mjs writes it to
 * docs/protocol.schema.json.
 */
import type { TSchema } from 'typebox';
import { PROTOCOL_VERSION, SUBPROTOCOL } from './limits.ts';
import { CLIENT_FRAMES, SERVER_FRAMES } from './messages.ts';

interface Direction {
  readonly description: string;
  readonly anyOf: readonly { readonly $ref: string }[];
}

export interface ProtocolSchema {
  readonly $schema: string;
  readonly $id: string;
  readonly title: string;
  readonly description: string;
  readonly client: Direction;
  readonly server: Direction;
  readonly $defs: Readonly<Record<string, TSchema>>;
}

export function protocolSchema(): ProtocolSchema {
  const client = named('client', CLIENT_FRAMES);
  const server = named('server', SERVER_FRAMES);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:roomcast:protocol:${PROTOCOL_VERSION}`,
    title: `roomcast protocol, version ${PROTOCOL_VERSION}`,
    description: `Frames of the WebSocket subprotocol ${SUBPROTOCOL}. Unknown members are ignored by both sides.`,
    client: direction('What a client may send, alone or several in an array.', client),
    server: direction('What the server may send, one in each WebSocket message.', server),
    $defs: Object.fromEntries([...client, ...server]),
  };
}

type Named = readonly (readonly [name: string, schema: TSchema])[];

function named(side: string, frames: Readonly<Record<string, TSchema>>): Named {
  return Object.entries(frames).map(([name, schema]) => [`${side}.${name}`, schema] as const);
}

function direction(description: string, frames: Named): Direction {
  return { description, anyOf: frames.map(([name]) => ({ $ref: `#/$defs/${name}` })) };
}
