import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { PacketScanner } from './packet-scanner.ts';

/** Longest that one write makes the broker wait for the other side to read. */
const paceMs = 50;
/** Acknowledgements are owed whatever the backlog; a client that asks and never reads is closed at this many times it. */
const hardFactor = 16;

/**
 * Stands between a socket and the broker. Inwards it lets only packets of permitted size through, and nothing at all
 * while the in-flight window is full, so that pressure reaches the sender through TCP. Outwards it gathers the small
 * writes of one turn into one. While much is unread a write waits, which paces retained and queued messages, but only a
 * moment: aedes would hold up every other subscriber, and every publisher, for one that does not read. What is owed in
 * all is bounded by the broker, which looks at `backlog` before it forwards.
 */
export class GuardedConnection extends Duplex {
  readonly #socket: Socket;
  readonly #scanner: PacketScanner;
  readonly #clock: Clock;
  readonly #backlogMax: number;
  #held = false;
  #wanted = false;

  constructor(socket: Socket, parts: { scanner: PacketScanner; clock: Clock; backlogMax: number }) {
    super({ readableHighWaterMark: 32_768, writableHighWaterMark: 65_536, allowHalfOpen: false });
    this.#socket = socket;
    this.#scanner = parts.scanner;
    this.#clock = parts.clock;
    this.#backlogMax = parts.backlogMax;
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
    const waiting = this.#socket.writableLength;
    if (waiting <= this.#backlogMax / 2) done();
    else if (waiting > this.#backlogMax * hardFactor) this.destroy(new Error('it does not read what it is sent'));
    else this.#afterPause(done);
  }

  /** Once everything was read, or after a moment. */
  #afterPause(done: () => void): void {
    const timer = this.#clock.after(paceMs, () => {
      this.#socket.off('drain', onDrain);
      done();
    });
    const onDrain = (): void => {
      timer.cancel();
      done();
    };
    this.#socket.once('drain', onDrain);
  }
}
