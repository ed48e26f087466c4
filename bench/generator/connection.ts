/**
 * One connection of the load: a raw socket that upgrades, joins its rooms, and
 * from then on counts. All connections of a process read into one buffer, which
 * is safe because a chunk is used up before the next read; a buffer each would
 * be gigabytes at the counts measured here.
 */
import { connect, type Socket } from 'node:net';
import { BINARY, CLOSE, clientFrame, PING, PONG, TEXT } from './client-frame.ts';
import { FrameScanner, type PayloadTaker } from './frame-scanner.ts';
import { UpgradeResponse, upgradeRequest } from './handshake.ts';
import { MarkerReader, type MarkerSeen } from './marker.ts';
import type { Member, StreamCounter, Wire } from './wire.ts';

const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);
/** More than this queued towards the server means it stopped reading: what is due is then not sent. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Source address, where one address has too few ports for all connections. */
  readonly from?: string;
}

export interface ConnectionEvents {
  ready(): void;
  /** Before `ready`: it could not be opened or joined. Afterwards: it was closed; `code` of the close frame, or 1006. */
  ended(reason: string, code: number): void;
  error(text: string): void;
  /** For a connection of the sample: every marker it received. */
  readonly marker?: MarkerSeen;
  told?(): void;
}

export class Connection {
  readonly member: Member;
  readonly #wire: Wire;
  readonly #events: ConnectionEvents;
  readonly #socket: Socket;
  readonly #scanner: FrameScanner;
  readonly #counter: StreamCounter | undefined;
  #upgrade: UpgradeResponse | undefined = new UpgradeResponse();
  #joined = 0;
  #isReady = false;
  #hasEnded = false;
  #closeCode = 1006;

  constructor(wire: Wire, member: Member, endpoint: Endpoint, events: ConnectionEvents) {
    this.member = member;
    this.#wire = wire;
    this.#events = events;
    const heard = (text: string) => this.#hear(text);
    const counter = wire.counter?.(heard);
    this.#counter = counter;
    const markers = events.marker && new MarkerReader(events.marker);
    const other = (opcode: number, payload: Buffer) => this.#other(opcode, payload);
    this.#scanner = new FrameScanner(wire.probe, { payload: payloadTaker(counter, markers), other });
    this.#socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      ...(endpoint.from === undefined ? {} : { localAddress: endpoint.from }),
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (length) => this.#read(length) },
    });
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('closed'));
    this.#socket.write(
      upgradeRequest(`${endpoint.host}:${endpoint.port}`, wire.path(member), wire.subprotocol),
    );
  }

  get messages(): number {
    return this.#counter ? this.#counter.messages : this.#scanner.messages;
  }

  get bytes(): number {
    return this.#scanner.bytes;
  }

  get isOpen(): boolean {
    return this.#isReady && !this.#hasEnded;
  }

  /** Sends what the peer calls a publish. False where the server does not take what was sent before. */
  publish(room: string, payload: string): boolean {
    if (this.#hasEnded || this.#socket.writableLength > QUEUED_BYTES_MAX) return false;
    this.#send(this.#wire.publish(room, payload));
    return true;
  }

  /** Leaves a room and stays connected. False where the peer has no such word. */
  leave(room: string): boolean {
    const frame = this.#wire.leave?.(room);
    if (frame === undefined) return false;
    this.#send(frame);
    return true;
  }

  /** Between the two, everything sent leaves in one write. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#hasEnded = true;
    this.#socket.destroy();
  }

  #read(length: number): boolean {
    try {
      if (this.#upgrade) this.#opened(this.#upgrade, READ_BUFFER.subarray(0, length));
      else this.#scanner.push(READ_BUFFER, length);
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
      this.#socket.destroy();
    }
    return true;
  }

  #opened(upgrade: UpgradeResponse, chunk: Buffer): void {
    const behind = upgrade.push(chunk);
    if (!behind) return;
    this.#upgrade = undefined;
    for (const text of this.#wire.opening(this.member)) this.#send(text);
    if (this.#wire.joinsByUpgrade === true) this.#joins(this.member.rooms.length);
    if (behind.length > 0) this.#scanner.push(behind, behind.length);
  }

  #send(text: string): void {
    this.#socket.write(clientFrame(this.#wire.binary === true ? BINARY : TEXT, text));
  }

  #other(opcode: number, payload: Buffer): void {
    if (opcode === PING) {
      this.#socket.write(clientFrame(PONG, payload));
    } else if (opcode === CLOSE) {
      this.#closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#socket.end(clientFrame(CLOSE, payload.subarray(0, 2)));
    } else if (opcode === TEXT || opcode === BINARY) {
      this.#hear(payload.toString('latin1'));
    }
  }

  #hear(text: string): void {
    const { send, joined, error, told } = this.#wire.hear(text, this.member);
    if (send) for (const answer of send) this.#send(answer);
    if (joined !== undefined) this.#joins(joined);
    if (told === true) this.#events.told?.();
    if (error === undefined) return;
    this.#events.error(error);
    if (!this.#isReady) this.#end(error);
  }

  #joins(rooms: number): void {
    this.#joined += rooms;
    if (this.#isReady || this.#joined < this.member.rooms.length) return;
    this.#isReady = true;
    this.#events.ready();
  }

  #end(reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#events.ended(reason, this.#closeCode);
  }
}

/** Where the bytes of messages go: to the counter, to the marker reader, to both or nowhere. */
function payloadTaker(counter?: StreamCounter, markers?: MarkerReader): PayloadTaker | undefined {
  if (counter && markers) {
    return (chunk, from, to, isFrameEnd) => {
      counter.push(chunk, from, to, isFrameEnd);
      markers.push(chunk, from, to);
    };
  }
  if (counter) return (chunk, from, to, isFrameEnd) => counter.push(chunk, from, to, isFrameEnd);
  if (markers) return (chunk, from, to) => markers.push(chunk, from, to);
  return undefined;
}
