import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { PacketScanner } from './packet-scanner.ts';

/**
 * Stands between a socket and the broker. Inwards it lets only packets of permitted size through, and nothing at all
 * while the in-flight window is full, so that pressure reaches the sender through TCP. Outwards it gathers the small
 * writes of one turn into one and never makes the broker wait: aedes would hold up every other subscriber, and every
 * publisher, for one that does not read. The broker looks at `backlog` before it forwards, which bounds it.
 */
export class GuardedConnection extends Duplex {
  readonly #socket: Socket;
  readonly #scanner: PacketScanner;
  #held = false;
  #wanted = false;

  constructor(socket: Socket, scanner: PacketScanner) {
    super({ readableHighWaterMark: 32_768, writableHighWaterMark: 65_536, allowHalfOpen: false });
    this.#socket = socket;
    this.#scanner = scanner;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.pause();
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** Bytes that wait for the other side to read. */
  get backlog(): number {
    return this.writableLength + this.#socket.writableLength;
  }

  /** Stops (or lets on) reading from the socket, whatever the broker asks for. */
  hold(held: boolean): void {
    this.#held = held;
    if (held) this.#socket.pause();
    else if (this.#wanted) this.#socket.resume();
  }

  override _read(): void {
    this.#wanted = true;
    if (!this.#held) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    try {
      this.#scanner.scan(chunk);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (!this.push(chunk)) {
      this.#wanted = false;
      this.#socket.pause();
    }
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) {
      done(new Error('the connection is closed'));
      return;
    }
    this.#socket.write(bytes);
    done();
  }
}
