import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../base/clock.ts';

export interface DoorLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Most connections whose CONNECT is not complete. */
  readonly halfOpenMax: number;
  /** How long a connection may take until then, ms. */
  readonly connectTimeout: number;
}

export type DoorRefusal = 'connections' | 'address';

/** A connection that is in. */
export interface Visit {
  /** The other end, where it is known. */
  readonly remoteAddress: string | undefined;
  /** Its CONNECT has come, whole. */
  introduced(): void;
}

interface Waiting {
  readonly socket: Duplex;
  readonly since: number;
}

/**
 * How many may be in at once, in all and from one address, before a word was said. Those who have said nothing yet wait
 * in a queue of their own: when it is full the one that waited longest goes, so that however many silent connections
 * somebody opens, whoever sends a CONNECT at once gets in.
 */
export class Door {
  readonly #limits: DoorLimits;
  readonly #clock: Clock;
  readonly #refused: (why: DoorRefusal) => void;
  readonly #byAddress = new Map<string, number>();
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #inside = 0;
  #timer: Timer | undefined;
  #isClosed = false;
  #timedOut = 0;
  #pushedOut = 0;

  constructor(limits: DoorLimits, parts: { clock: Clock; refused: (why: DoorRefusal) => void }) {
    this.#limits = limits;
    this.#clock = parts.clock;
    this.#refused = parts.refused;
  }

  get counts(): { readonly inside: number; readonly halfOpen: number; timedOut: number; pushedOut: number } {
    const { size } = this.#waiting;
    return { inside: this.#inside, halfOpen: size, timedOut: this.#timedOut, pushedOut: this.#pushedOut };
  }

  /** Undefined, and the socket destroyed, when there is no room. */
  enter(socket: Duplex, remoteAddress: string | undefined): Visit | undefined {
    const address = remoteAddress ?? '';
    const sameAddress = this.#byAddress.get(address) ?? 0;
    const isFull = this.#inside >= this.#limits.connectionsMax;
    if (isFull || sameAddress >= this.#limits.connectionsPerAddressMax) {
      this.#refused(isFull ? 'connections' : 'address');
      socket.destroy();
      return undefined;
    }
    if (this.#waiting.size >= this.#limits.halfOpenMax) this.#pushOut();
    const waiting = { socket, since: this.#clock.monotonic() };
    this.#inside++;
    this.#byAddress.set(address, sameAddress + 1);
    this.#waiting.add(waiting);
    this.#watch();
    socket.once('close', () => {
      this.#inside--;
      this.#waiting.delete(waiting);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
    return { remoteAddress, introduced: () => void this.#waiting.delete(waiting) };
  }

  /** Sets no more timers. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Ends whoever has said nothing yet, those in a handshake included. */
  empty(): void {
    for (const { socket } of this.#waiting) socket.destroy();
  }

  #pushOut(): void {
    for (const oldest of this.#waiting) {
      this.#pushedOut++;
      this.#waiting.delete(oldest);
      oldest.socket.destroy();
      return;
    }
  }

  /** One timer, for whoever has waited longest. */
  #watch(): void {
    if (this.#timer || this.#isClosed) return;
    for (const { since } of this.#waiting) {
      const wait = since + this.#limits.connectTimeout - this.#clock.monotonic();
      this.#timer = this.#clock.after(wait, () => {
        this.#timer = undefined;
        this.#sweep();
        this.#watch();
      });
      return;
    }
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const waiting of this.#waiting) {
      if (now - waiting.since < this.#limits.connectTimeout) return;
      this.#timedOut++;
      this.#waiting.delete(waiting);
      waiting.socket.destroy();
    }
  }
}
