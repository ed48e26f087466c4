/**
 * A write that goes to the socket's handle instead of through its stream. For a
 * peer that reads, the kernel takes a frame at once: then all that `socket.write`
 * adds, a request and a state machine per write, is a tenth of what a delivery
 * costs. One request serves all such writes, because a write that completes at
 * once leaves it unused. docs/decisions/0021.
 *
 * It needs private parts of Node, so it trusts nothing: which Node this is, what
 * the handle has, and what the first write did are looked at, and where anything
 * is different every connection is written to as ever. What the kernel does not
 * take at once is queued by libuv, in order with whatever the socket writes behind
 * it, and is counted until it is gone.
 */
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Logger } from '../core/logger.ts';

export interface DirectWriteSettings {
  readonly writeDirect: 'auto' | 'off';
}

/** A write request of Node's; its class is not exported, the first write of a socket shows it. */
interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Kept with the request: nobody else keeps the bytes of a write under way. */
  buffer: Buffer | undefined;
  /** -1 while no write under way holds it. */
  getAsyncId(): number;
}

type WriteRequestClass = new () => WriteRequest;

/** The part of a socket's handle that is used. */
export interface DirectHandle {
  readonly writeQueueSize: number;
  readonly bytesWritten: number;
  writeBuffer: (request: object, frames: Buffer) => number;
}

type WithHandle = Socket & { readonly _handle?: DirectHandle | null };

/** Whose write it is: told once what was under way is gone, or the socket is. */
export interface DirectWriter {
  directDone(): void;
}

/** What a write came to: not made, taken by the kernel, or under way until `directDone`. */
export type Written = 'not' | 'taken' | 'under way';

/** The majors under which test/transport/connection-writing passes: test/full/server-versions runs it under each. */
export const NODE_MAJORS: readonly string[] = ['20', '22', '24'];
const FREE = -1;

export class DirectWrite {
  readonly #logger: Logger;
  #state: 'unknown' | 'learning' | 'first' | 'on' | 'off';
  #Request: WriteRequestClass | undefined;
  #shared: WriteRequest | undefined;

  constructor(logger: Logger, { writeDirect }: DirectWriteSettings) {
    this.#logger = logger;
    const [major = ''] = process.versions.node.split('.');
    this.#state = writeDirect === 'auto' && NODE_MAJORS.includes(major) ? 'unknown' : 'off';
  }

  /** Whether it is used: it begins once one connection has written twice. */
  get isOn(): boolean {
    return this.#state === 'on';
  }

  /** Of a socket that may be written to this way, asked once for each; undefined where it never may. */
  handleOf(socket: Socket): DirectHandle | undefined {
    const handle = (socket as WithHandle)._handle;
    return this.#state !== 'off' && handle && isPlain(socket, handle) ? handle : undefined;
  }

  /**
   * Writes, unless it may not or does not know yet how. Whoever calls it knows that nothing is in front, neither in
   * the stream of the socket nor in its handle. An error destroys the socket as one of a write of its own would.
   */
  write(socket: Socket, handle: DirectHandle, frames: Buffer, writer: DirectWriter): Written {
    if (this.#state === 'off') return 'not';
    const request = this.#shared;
    if (!request) {
      this.#learn(socket, handle);
      return 'not';
    }
    if (this.#state === 'first') return this.#first(socket, handle, request, frames, writer);
    return this.#write(socket, handle, request, frames, writer);
  }

  #write(
    socket: Socket,
    handle: DirectHandle,
    request: WriteRequest,
    frames: Buffer,
    writer: DirectWriter,
  ): Written {
    const status = handle.writeBuffer(request, frames);
    if (status === 0 && request.getAsyncId() === FREE) return 'taken';
    // Held by the write, or perhaps: the next one gets another.
    this.#shared = this.#Request && new this.#Request();
    if (status !== 0) {
      socket.destroy(writeError(status));
      return 'taken';
    }
    request.buffer = frames;
    request.oncomplete = (completed) => {
      request.buffer = undefined;
      if (completed < 0 && !socket.destroyed) socket.destroy(writeError(completed));
      writer.directDone();
    };
    return 'under way';
  }

  /** The first one is looked at: the handle must have counted exactly its bytes. */
  #first(
    socket: Socket,
    handle: DirectHandle,
    request: WriteRequest,
    frames: Buffer,
    writer: DirectWriter,
  ): Written {
    const before = handle.bytesWritten;
    const written = this.#write(socket, handle, request, frames, writer);
    const isCounted = socket.destroyed || handle.bytesWritten - before === frames.length;
    this.#state = isCounted ? 'on' : 'off';
    if (!isCounted) this.#logger.warn({ node: process.version }, 'sockets are not written to directly');
    return written;
  }

  /** The next write of this socket's own shows the class of its request. */
  #learn(socket: Socket, handle: DirectHandle): void {
    if (this.#state !== 'unknown') return;
    this.#state = 'learning';
    const { writeBuffer } = handle;
    handle.writeBuffer = (request, frames) => {
      Reflect.deleteProperty(handle, 'writeBuffer');
      this.#shown(request);
      return writeBuffer.call(handle, request, frames);
    };
    // Where that socket never writes a single buffer, the next one is asked.
    socket.once('close', () => {
      if (this.#state === 'learning') this.#state = 'unknown';
    });
  }

  #shown(request: object): void {
    const Request = request.constructor as WriteRequestClass;
    const fresh = Request.name === 'WriteWrap' ? new Request() : undefined;
    if (typeof fresh?.getAsyncId !== 'function' || fresh.getAsyncId() !== FREE) {
      this.#state = 'off';
      this.#logger.warn({ node: process.version }, 'sockets are not written to directly');
      return;
    }
    this.#Request = Request;
    this.#shared = fresh;
    this.#state = 'first';
  }
}

/** TCP and nothing over it. TLS has a handle that looks alike. */
function isPlain(socket: Socket, handle: DirectHandle): boolean {
  return (
    Object.getPrototypeOf(socket) === Socket.prototype &&
    handle.constructor.name === 'TCP' &&
    typeof handle.writeBuffer === 'function' &&
    !Object.hasOwn(handle, 'writeBuffer') &&
    typeof handle.writeQueueSize === 'number' &&
    typeof handle.bytesWritten === 'number'
  );
}

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' });
}
