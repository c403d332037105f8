import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Clock, Timer } from '../base/clock.ts';
import { type CloseCode, closeCodes, type ErrorFrame } from '../contract/live.ts';
import type { LiveLimits } from './limits.ts';
import type { LiveStats } from './stats.ts';
import type { Subscription } from './subscription.ts';

/** What the hub does for a client; called synchronously. */
export interface ClientOwner {
  /** A text message, within size and rate. */
  onMessage(client: LiveClient, text: string): void;
  /** The cursor from which this client would resume now; null when it has none yet. */
  resumeCursor(client: LiveClient): string | null;
  /** The client begins to close or is gone: nothing can be sent any more. May come twice. */
  onClosing(client: LiveClient): void;
  /** The connection has ended. Comes once. */
  onClosed(client: LiveClient): void;
}

/**
 * One connection. It guards both directions: what the client sends is limited in size, rate and nonsense, what waits
 * to be sent is bounded by `clientBacklogMax`. From the moment it decides to close it hears and says nothing more.
 */
export class LiveClient {
  readonly subscriptions = new Map<string, Subscription>();
  readonly #socket: WebSocket;
  readonly #owner: ClientOwner;
  readonly #limits: LiveLimits;
  readonly #clock: Clock;
  readonly #stats: LiveStats;
  #isClosing = false;
  #closeTimer: Timer | null = null;
  #waiting: (() => void)[] = [];
  #allowance: number;
  #allowanceAt: number;
  #badMessages = 0;
  #queuedBytes = 0;
  #showedLife = true;
  #drainedAtPing = 0;

  constructor(
    socket: WebSocket,
    stream: Duplex,
    parts: { owner: ClientOwner; limits: LiveLimits; clock: Clock; stats: LiveStats },
  ) {
    this.#socket = socket;
    this.#owner = parts.owner;
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#stats = parts.stats;
    this.#allowance = parts.limits.commandBurst;
    this.#allowanceAt = parts.clock.monotonic();
    socket.on('message', (message: Buffer, isBinary: boolean) => this.#hear(message, isBinary));
    socket.on('ping', (payload: Buffer) => this.#answerPing(payload));
    socket.on('pong', () => {
      this.#showedLife = true;
    });
    // A protocol error: ws answers it with the close code that fits and then says `close`.
    socket.on('error', () => this.#beginClosing());
    socket.on('close', () => this.#ended());
    stream.on('drain', () => this.#wake());
  }

  /** False from the decision to close on. */
  get isOpen(): boolean {
    return !this.#isClosing && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Whether snapshots, replays and merged values may go out now. */
  get isWritable(): boolean {
    return this.isOpen && this.#socket.bufferedAmount < this.#limits.writableBelow;
  }

  /** Resolves once the client is writable again, or closing. */
  writable(): Promise<void> {
    if (this.#isClosing || this.isWritable) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /**
   * Queues a text frame; false when the client is, or thereby becomes, closing. `paced` frames are those whose sender
   * waited for `writable`: they may exceed the backlog bound, because a single commit can.
   */
  send(frame: Buffer | string, options: { paced: boolean } = { paced: false }): boolean {
    if (!this.isOpen) return false;
    const backlog = this.#socket.bufferedAmount;
    if (!options.paced && backlog > 0 && backlog + frame.length > this.#limits.clientBacklogMax) {
      this.#closeAsSlow();
      return false;
    }
    this.#write(frame);
    return true;
  }

  /** Tells the client that what it sent is refused; too many such messages close the connection. */
  refuse(error: Omit<ErrorFrame, 'op'>): void {
    this.#stats.messagesRefused++;
    if (!this.send(JSON.stringify({ op: 'error', ...error } satisfies ErrorFrame))) return;
    if (++this.#badMessages > this.#limits.badMessagesMax) {
      this.close('bad_messages', 'too many messages that could not be understood');
    }
  }

  /** Begins the close handshake; `reason` is at most 123 bytes. Ended hard when it takes longer than `closeMs`. */
  close(kind: CloseCode, reason: string): void {
    if (this.#isClosing) return;
    this.#beginClosing();
    this.#socket.close(closeCodes[kind].code, reason);
  }

  /**
   * Asks for a sign of life: any message, a pong, or progress in reading what was queued. Progress counts only where
   * much was waiting, because then the kernel's buffer is full and takes more only when the other side takes some; an
   * empty one swallows many a heartbeat for a client that is long gone.
   */
  ping(): void {
    if (!this.isOpen) return;
    this.#showedLife = false;
    this.#drainedAtPing = this.isWritable ? Number.POSITIVE_INFINITY : this.#drained;
    this.#socket.ping();
  }

  /** Whether something was heard of the client since `ping`. */
  get showedLife(): boolean {
    return this.#showedLife || this.#drained > this.#drainedAtPing;
  }

  /** Ends the connection without a handshake. */
  terminate(): void {
    this.#beginClosing();
    this.#socket.terminate();
  }

  get #drained(): number {
    return this.#queuedBytes - this.#socket.bufferedAmount;
  }

  #hear(message: Buffer, isBinary: boolean): void {
    if (!this.isOpen) return;
    this.#showedLife = true;
    this.#stats.messagesReceived++;
    if (!this.#spend()) return;
    if (isBinary) this.refuse({ code: 'payload_not_json', message: 'send JSON in text frames, not binary ones' });
    else this.#owner.onMessage(this, message.toString());
  }

  /** Answered by hand: pings of a client that never reads would otherwise pile up as unsent pongs. */
  #answerPing(payload: Buffer): void {
    if (!this.isOpen) return;
    this.#showedLife = true;
    if (this.#spend() && this.isWritable) this.#socket.pong(payload);
  }

  #spend(): boolean {
    const now = this.#clock.monotonic();
    const earned = ((now - this.#allowanceAt) / 1000) * this.#limits.commandsPerSecond;
    this.#allowance = Math.min(this.#allowance + earned, this.#limits.commandBurst) - 1;
    this.#allowanceAt = now;
    if (this.#allowance >= 0) return true;
    this.close('too_many_messages', `at most ${this.#limits.commandsPerSecond} messages a second`);
    return false;
  }

  #closeAsSlow(): void {
    this.#stats.slowClosed++;
    const cursor = this.#owner.resumeCursor(this);
    const message = `more than ${this.#limits.clientBacklogMax} bytes were waiting to be read; resume from the cursor`;
    const error: ErrorFrame = { op: 'error', code: 'client_too_slow', message, ...(cursor === null ? {} : { cursor }) };
    this.#write(JSON.stringify(error));
    this.close('too_slow', cursor ?? '');
  }

  #write(frame: Buffer | string): void {
    this.#stats.framesSent++;
    this.#stats.bytesSent += frame.length;
    this.#queuedBytes += frame.length;
    this.#socket.send(frame, { binary: false });
  }

  #beginClosing(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#closeTimer = this.#clock.after(this.#limits.closeMs, () => this.#socket.terminate());
    this.#wake();
    this.#owner.onClosing(this);
  }

  #ended(): void {
    this.#beginClosing();
    this.#closeTimer?.cancel();
    this.#owner.onClosed(this);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
