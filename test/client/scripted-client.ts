/** A client of the SDK against a scripted server, with what it told and whatever else a test looks at. */
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, type ClientOptions, connect, type StateChange } from '../../src/client/index.ts';
import { type WireConnection, WireServer } from '../support/wire-server.ts';

export function clientForTest(url: string, options: ClientOptions = {}): Client {
  const client = connect(url, { WebSocket, ...options });
  onTestFinished(() => client.close());
  return client;
}

export interface Scripted {
  readonly server: WireServer;
  readonly client: Client;
  readonly states: StateChange[];
  /** The first connection, not greeted yet. */
  readonly first: WireConnection;
}

export async function scripted(options: ClientOptions = {}): Promise<Scripted> {
  const server = await WireServer.start();
  onTestFinished(() => server.stop());
  const client = clientForTest(server.url, options);
  const states: StateChange[] = [];
  client.on('state', (change) => states.push(change));
  return { server, client, states, first: await server.connection() };
}
