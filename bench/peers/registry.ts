/** The peers by name, in the order in which tables show them. */
import type { Wire } from '../generator/wire.ts';
import { blasterWire } from '../generator/blaster-wire.ts';
import type { Peer } from './peer.ts';
import { centrifugo } from './centrifugo.ts';
import { epollWriter } from './epoll-writer.ts';
import { nats } from './nats.ts';
import { nchan } from './nchan.ts';
import { plainWs } from './plain-ws.ts';
import { roomcast, roomcastEmbedded } from './roomcast.ts';
import { socketio, socketioSharded } from './socketio.ts';

export const PEERS: readonly Peer[] = [
  roomcast,
  roomcastEmbedded,
  socketio,
  socketioSharded,
  plainWs,
  nchan,
  nats,
  centrifugo,
  epollWriter,
];

export function peerNamed(name: string): Peer {
  const peer = PEERS.find((candidate) => candidate.name === name);
  if (!peer)
    throw new Error(`no peer is called ${name}; there are ${PEERS.map((each) => each.name).join(', ')}`);
  return peer;
}

export function wireOf(name: string): Wire {
  return name === 'blaster' ? blasterWire : peerNamed(name).wire;
}
