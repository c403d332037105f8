import { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { ExpressLane, type ExpressPublish } from './express-lane.ts';
import { AnswersInOrder } from './express-lane-answers.ts';
import type { SubscribedTopics } from './express-lane-topics.ts';
import type { Receipt } from '../../domain/message.ts';
import { PacketOrder } from './express-lane-order.ts';
import { PacketRefusedError, type PacketRoute, type PacketScanner } from './packet-scanner.ts';
import { faultOf, isWorthChecking } from './sessions/strict-packet.ts';

/** What bytes come and go over: a TCP or TLS socket, or a WebSocket made to look like one. */
export type ByteStream = Duplex & { setNoDelay(on?: boolean): unknown; readonly remoteAddress?: string | undefined };

/** Why a connection is not read: the in-flight window is full, or its device is above its rate. */
export type HoldReason = 'window' | 'rate';

const holdBits: Readonly<Record<HoldReason, number>> = { window: 1, rate: 2 };

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
 *
 * Once its client is connected most PUBLISH packets leave for the express lane. They may overtake nothing of their own
 * connection: a packet takes the lane only while aedes has shown every PUBLISH that it was given and answered every
 * SUBSCRIBE and UNSUBSCRIBE. So messages reach the sink in the order of the stream, a client that subscribes and then
 * publishes gets what it published, and `answers` keeps the acknowledgements of both ways in one order.
 */
export class GuardedConnection extends Duplex {
  /** The acknowledgements that are owed to the client. */
  readonly answers: AnswersInOrder;
  readonly #socket: ByteStream;
  readonly #scanner: PacketScanner;
  readonly #clock: Clock;
  readonly #backlogMax: number;
  readonly #order = new PacketOrder();
  readonly #route: PacketRoute = {
    begins: (first) => (this.#order.begins(first) && this.#lane !== undefined && !this.destroyed) || isChecked(first),
    take: (bytes, first, start, end) => {
      const lane = ExpressLane.claims(first) && this.#order.isClear ? this.#lane : undefined;
      // What the lane does not want it has looked at.
      if (lane) return lane.take(bytes, first, start, end);
      const fault = isChecked(first) ? faultOf(bytes, first, start, end) : null;
      // [MQTT-4.8.0-1]
      if (fault !== null) throw new PacketRefusedError(fault);
      return false;
    },
    declines: (first) => this.#order.declines(first),
    pass: (bytes) => this.#pass(bytes),
  };
  #lane: ExpressLane | undefined;
  /** One bit a reason. */
  #holds = 0;
  #wanted = false;
  #heardAt: number;
  /** Silence after which the client is taken for gone, ms. */
  #silenceMax = Number.POSITIVE_INFINITY;

  constructor(socket: ByteStream, parts: { scanner: PacketScanner; clock: Clock; backlogMax: number }) {
    super({ readableHighWaterMark: 32_768, writableHighWaterMark: 65_536, allowHalfOpen: false });
    this.#socket = socket;
    this.#scanner = parts.scanner;
    this.#clock = parts.clock;
    this.#backlogMax = parts.backlogMax;
    this.#heardAt = parts.clock.monotonic();
    this.answers = new AnswersInOrder({
      write: (bytes) => this.#acknowledge(bytes),
      fail: (error) => this.destroy(error),
      now: () => parts.clock.monotonic(),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
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

  /** Stops reading from the socket, whatever the broker asks for, until no reason is left. */
  hold(reason: HoldReason, held: boolean): void {
    if (this.#held && !held) this.#heardAt = this.#clock.monotonic();
    if (held) this.#holds |= holdBits[reason];
    else this.#holds &= ~holdBits[reason];
    if (this.#held) this.#socket.pause();
    else if (this.#wanted) this.#socket.resume();
  }

  /** The client was let in: its messages may take the express lane. */
  openLane(subscribed: SubscribedTopics, publish: (publish: ExpressPublish, receipt: Receipt) => void): void {
    const fail = (error: Error): void => void this.destroy(error);
    this.#lane = new ExpressLane({ subscribed, answers: this.answers, publish, fail });
  }

  /** aedes shows a PUBLISH that it was given. */
  publishShown(): void {
    this.#order.publishShown();
  }

  /** aedes has done what a SUBSCRIBE or UNSUBSCRIBE asked for. */
  subscriptionsMade(): void {
    this.#order.subscriptionsMade();
  }

  /** The client is taken for gone after so many ms of silence (MQTT 3.1.1 section 3.1.2.10). */
  allowSilence(ms: number): void {
    this.#silenceMax = ms;
  }

  /** Whether the client has been silent for too long. A client that is not listened to cannot be blamed for it. */
  isSilent(now: number): boolean {
    return now - this.#heardAt > this.#silenceMax && !this.#held;
  }

  get #held(): boolean {
    return this.#holds !== 0;
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

  #receive(chunk: Buffer): void {
    this.#heardAt = this.#clock.monotonic();
    try {
      this.#scanner.scan(chunk, this.#route);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #pass(bytes: Buffer): void {
    if (this.push(bytes)) return;
    this.#wanted = false;
    this.#socket.pause();
  }

  /** Straight to the socket, unless something that aedes wrote has not got there yet. */
  #acknowledge(bytes: Buffer): void {
    if (this.destroyed || this.writableEnded) return;
    if (this.writableLength > 0) this.write(bytes);
    else this.#socket.write(bytes);
    if (this.backlog > this.#backlogMax * hardFactor) this.destroy(new Error('it does not read what it is sent'));
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

/** Whether a packet is seen whole before aedes is given it. The CONNECT was, before there was a connection. */
function isChecked(first: number): boolean {
  return first >> 4 !== 1 && isWorthChecking(first);
}
