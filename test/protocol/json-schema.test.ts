import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Compile } from 'typebox/schema';
import { protocolSchema } from '../../src/protocol/json-schema.ts';
import { CLIENT_FRAMES, SERVER_FRAMES } from '../../src/protocol/messages.ts';

/** Through JSON: what another program reads, without anything typebox keeps beside it. */
const document = JSON.parse(JSON.stringify(protocolSchema()));

describe('the JSON Schema document', () => {
  test('is the one in docs/', () => {
    const written: unknown = JSON.parse(readFileSync('docs/protocol.schema.json', 'utf8'));
    expect(written, 'run npm run docs').toEqual(document);
  });

  test('names itself and its dialect', () => {
    expect(document.$id).toBe('urn:roomcast:protocol:1');
    expect(document.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  });

  test('defines every frame of both sides and refers to nothing else', () => {
    const names = [
      ...Object.keys(CLIENT_FRAMES).map((name) => `client.${name}`),
      ...Object.keys(SERVER_FRAMES).map((name) => `server.${name}`),
    ];
    expect(Object.keys(document.$defs)).toEqual(names);
    const refs = [...document.client.anyOf, ...document.server.anyOf].map(
      ({ $ref }: { $ref: string }) => $ref,
    );
    expect(refs).toEqual(names.map((name) => `#/$defs/${name}`));
  });

  test('describes every frame', () => {
    for (const schema of Object.values(document.$defs)) expect(schema).toHaveProperty('description');
  });

  test('validates frames on its own, by reference', () => {
    const side = (name: 'client' | 'server') =>
      Compile({ $schema: document.$schema, $defs: document.$defs, anyOf: document[name].anyOf });
    expect(side('client').Check({ type: 'join', id: 1, room: 'r' })).toBe(true);
    expect(side('client').Check({ type: 'join', id: 1, room: 'a b' })).toBe(false);
    expect(side('client').Check({ type: 'pong' })).toBe(false);
    expect(side('server').Check({ type: 'pong' })).toBe(true);
    expect(side('server').Check({ type: 'ok' })).toBe(false);
  });
});
