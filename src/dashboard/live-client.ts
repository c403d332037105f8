import type { Alert } from '../contract/alert.ts';
import type { ClientFrame, LiveReading } from '../contract/live.ts';
import type { Clock, Dice } from './clock.ts';
import { parseFrame, type ServerFrame } from './live-frames.ts';

/** What a socket tells the client. */
export interface SocketEvents {
  readonly open: () => void;
  readonly message: (data: unknown) => void;
  readonly close: (code: number, reason: string) => void;
}

/** The part of a browser's WebSocket that is used, so that a test can be the other end. */
export interface LiveSocket {
  send(text: string): void;
  close(): void;
}

/** What the header shows. `retryAt` is when the next try begins, epoch ms by the client's clock. */
export type LiveState =
  | { readonly kind: 'live' }
  | { readonly kind: 'connecting'; readonly retryAt: number | null }
  | { readonly kind: 'offline'; readonly retryAt: number | null; readonly reason: string };

/** Which readings or alerts a page wants. With mode `latest` a reconnect starts from a snapshot instead of resuming. */
export type LiveFilter =
  | { readonly topic: 'alerts' }
  | {
      readonly topic: 'readings';
      readonly device: string;
      readonly metric: string;
      readonly mode: 'all' | 'latest';
    };

/** Called as frames come. After `lost` the readings in between must be asked from REST. */
export interface LiveHandler {
  readings?(readings: readonly LiveReading[]): void;
  alerts?(alerts: readonly Alert[], kind: 'snapshot' | 'transition'): void;
  lost?(): void;
  refused?(message: string): void;
}

export interface LiveClientOptions {
  readonly connect: (events: SocketEvents) => LiveSocket;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly onState: (state: LiveState) => void;
}

interface Subscription {
  readonly id: string;
  readonly filter: LiveFilter;
  readonly handler: LiveHandler;
  /** The last commit of which everything has been handed on; null until the first snapshot is complete. */
  cursor: string | null;
  /** A cursor that counts only once the snapshot that goes with it is complete. */
  pending: string | null;
  /** Whether the gateway has answered on this connection; a heartbeat before that is not about this subscription. */
  isConfirmed: boolean;
}

const backoffMs = { first: 500, longest: 15_000 };
/** The gateway sends a heartbeat every 10 s; after two and a half of them in silence the connection is dead. */
const silenceMs = 25_000;
/** Failures in a row after which the header says offline instead of reconnecting. */
const offlineAfter = 4;
/** The close codes whose verdict in the contract is terminal: the same client would only be refused again. */
const terminalCodes = new Set([1002, 1007, 1008, 1009, 4000]);

/**
 * One socket to `/api/v1/live` for the whole page. It remembers a cursor for each subscription, comes back after a
 * loss with jittered exponential backoff, resumes with `since`, and says so when something was lost in between.
 */
export class LiveClient {
  readonly #options: LiveClientOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  #socket: LiveSocket | null = null;
  #isOpen = false;
  #turn = 0;
  #failures = 0;
  #nextId = 1;
  #cancelRetry: () => void = () => undefined;
  #cancelSilence: () => void = () => undefined;

  constructor(options: LiveClientOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connect();
  }

  /** Closes for good; `start` begins anew. */
  stop(): void {
    this.#cancelRetry();
    this.#drop();
  }

  /** Skips the wait. Does nothing while a connection is open or opening. */
  retryNow(): void {
    if (this.#socket === null) this.#connect();
  }

  /** Asks for frames until the returned function is called. */
  subscribe(filter: LiveFilter, handler: LiveHandler): () => void {
    const subscription: Subscription = {
      id: `s${this.#nextId++}`,
      filter,
      handler,
      cursor: null,
      pending: null,
      isConfirmed: false,
    };
    this.#subscriptions.set(subscription.id, subscription);
    if (this.#isOpen) this.#ask(subscription);
    return () => {
      if (!this.#subscriptions.delete(subscription.id) || !this.#isOpen) return;
      this.#send({ op: 'unsubscribe', id: subscription.id });
    };
  }

  #connect(): void {
    this.#cancelRetry();
    this.#options.onState({ kind: 'connecting', retryAt: null });
    // A socket that was let go of may still speak; its turn is over.
    const turn = ++this.#turn;
    const inTurn = (act: () => void): void => {
      if (turn === this.#turn) act();
    };
    // One that never opens is as silent as one that died.
    this.#watchSilence();
    this.#socket = this.#options.connect({
      open: () => inTurn(() => this.#open()),
      message: (data) => inTurn(() => this.#hear(data)),
      close: (code, reason) => inTurn(() => this.#lose(code, reason)),
    });
  }

  #open(): void {
    this.#isOpen = true;
    this.#watchSilence();
    for (const subscription of this.#subscriptions.values()) this.#ask(subscription);
  }

  #hear(data: unknown): void {
    this.#watchSilence();
    const frame = parseFrame(data);
    if (frame !== null) this.#take(frame);
  }

  #ask(subscription: Subscription): void {
    const { id, filter, cursor } = subscription;
    subscription.isConfirmed = false;
    const since = cursor !== null && (filter.topic === 'alerts' || filter.mode === 'all') ? { since: cursor } : {};
    this.#send({ op: 'subscribe', id, ...filter, ...since });
  }

  #send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #take(frame: ServerFrame): void {
    if (frame.op === 'hello') {
      this.#failures = 0;
      this.#options.onState({ kind: 'live' });
    } else if (frame.op === 'heartbeat') {
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.isConfirmed && subscription.cursor !== null) subscription.cursor = frame.cursor;
      }
    } else {
      const subscription = this.#subscriptions.get(frame.id);
      if (subscription !== undefined) takeFrame(subscription, frame);
    }
  }

  #lose(code: number, reason: string): void {
    this.#drop();
    this.#failures++;
    if (terminalCodes.has(code)) {
      this.#options.onState({
        kind: 'offline',
        retryAt: null,
        reason: reason || 'The gateway refused the connection.',
      });
      return;
    }
    const longest = Math.min(backoffMs.longest, backoffMs.first * 2 ** (this.#failures - 1));
    const delay = longest * (0.5 + this.#options.dice() / 2);
    const retryAt = this.#options.clock.now() + delay;
    this.#cancelRetry = this.#options.clock.after(delay, () => this.#connect());
    this.#options.onState(
      this.#failures < offlineAfter
        ? { kind: 'connecting', retryAt }
        : { kind: 'offline', retryAt, reason: 'The gateway does not answer.' },
    );
  }

  #watchSilence(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#options.clock.after(silenceMs, () => this.#lose(1006, 'silent'));
  }

  #drop(): void {
    this.#cancelSilence();
    this.#turn++;
    this.#isOpen = false;
    this.#socket?.close();
    this.#socket = null;
  }
}

type SubscriptionFrame = Exclude<ServerFrame, { op: 'hello' | 'heartbeat' }>;

function takeFrame(subscription: Subscription, frame: SubscriptionFrame): void {
  const { handler } = subscription;
  switch (frame.op) {
    case 'subscribed':
      subscription.isConfirmed = true;
      if (frame.recovered) {
        subscription.cursor = frame.cursor;
      } else {
        if (subscription.cursor !== null) handler.lost?.();
        subscription.cursor = null;
        subscription.pending = frame.cursor;
      }
      break;
    case 'snapshot':
      if (frame.readings.length > 0) handler.readings?.(frame.readings);
      if (subscription.filter.topic === 'alerts') handler.alerts?.(frame.alerts, 'snapshot');
      if (frame.done) {
        subscription.cursor = subscription.pending ?? subscription.cursor;
        subscription.pending = null;
      }
      break;
    case 'readings':
      handler.readings?.(frame.readings);
      advance(subscription, frame.cursor);
      break;
    case 'alert':
      handler.alerts?.([frame.alert], 'transition');
      advance(subscription, frame.cursor);
      break;
    case 'gap':
      // With a refused resume `subscribed` has already said so; one that comes later is news, and a snapshot follows.
      if (subscription.pending === null) handler.lost?.();
      subscription.cursor = null;
      subscription.pending = frame.resumed;
      break;
    case 'error':
      handler.refused?.(frame.message);
      break;
  }
}

/** While a snapshot is still coming in parts, a newer cursor must wait for its end like the first one. */
function advance(subscription: Subscription, cursor: string): void {
  if (subscription.pending === null) subscription.cursor = cursor;
  else subscription.pending = cursor;
}
