import type { Clock, Timer } from '../base/clock.ts';
import type { CommitStream, Stretch } from './commit-stream.ts';
import type { LiveLimits } from './limits.ts';
import type { Polls } from './polls.ts';
import type { Subscription } from './subscription.ts';

/**
 * Brings everything that is live to the position of the stream: at once when idle, otherwise with a pause between two
 * flushes, so that under load a frame gathers many commits. A flush takes at most about a quarter of the time: the more
 * it costs, the longer the pause and the more the next one gathers.
 */
export class Flusher {
  readonly #stream: CommitStream;
  readonly #polls: Polls;
  readonly #clock: Clock;
  readonly #limits: LiveLimits;
  readonly #onBehind: (subscription: Subscription) => void;
  readonly #live = new Set<Subscription>();
  #timer: Timer | null = null;
  #soon: NodeJS.Immediate | null = null;
  #endedAt = Number.NEGATIVE_INFINITY;
  #pause: number;

  constructor(parts: {
    stream: CommitStream;
    polls: Polls;
    clock: Clock;
    limits: LiveLimits;
    /** A live subscription cannot be served from memory any more; it is live no longer. */
    onBehind: (subscription: Subscription) => void;
  }) {
    this.#stream = parts.stream;
    this.#polls = parts.polls;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#onBehind = parts.onBehind;
    this.#pause = parts.limits.flushMinMs;
  }

  /** From here on the subscription, which stands at the position of the stream, is served by every flush. */
  add(subscription: Subscription): void {
    this.#live.add(subscription);
  }

  delete(subscription: Subscription): void {
    this.#live.delete(subscription);
  }

  /** Something was published. */
  schedule(): void {
    if (this.#timer || this.#soon || (this.#live.size === 0 && this.#polls.waiting === 0)) return;
    const wait = this.#endedAt + this.#pause - this.#clock.monotonic();
    if (wait > 0) this.#timer = this.#clock.after(wait, () => this.flush());
    else this.#soon = setImmediate(() => this.flush());
  }

  flush(): void {
    this.cancel();
    const began = this.#clock.monotonic();
    const stretches = new Map<number, Stretch | null>();
    const stretchAfter = (position: number): Stretch | null => {
      let stretch = stretches.get(position);
      if (stretch === undefined) {
        stretch = this.#stream.recent(position);
        stretches.set(position, stretch);
      }
      return stretch;
    };
    for (const subscription of this.#live) this.#advance(subscription, stretchAfter);
    this.#polls.examine(stretchAfter);
    this.#endedAt = this.#clock.monotonic();
    const { flushMinMs, flushMaxMs } = this.#limits;
    this.#pause = Math.min(Math.max((this.#endedAt - began) * 3, flushMinMs), flushMaxMs);
  }

  /** Forgets a scheduled flush. */
  cancel(): void {
    this.#timer?.cancel();
    if (this.#soon) clearImmediate(this.#soon);
    this.#timer = null;
    this.#soon = null;
  }

  #advance(subscription: Subscription, stretchAfter: (position: number) => Stretch | null): void {
    while (subscription.position < this.#stream.position && subscription.client.isOpen) {
      const stretch = stretchAfter(subscription.position);
      if (!stretch) {
        this.#live.delete(subscription);
        this.#onBehind(subscription);
        return;
      }
      subscription.deliver(stretch, { paced: false });
      if (subscription.position !== stretch.last) return;
    }
  }
}
