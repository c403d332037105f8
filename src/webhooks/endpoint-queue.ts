import type { Clock, Timer } from '../base/clock.ts';
import type { Duration } from '../base/duration.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DeliveryRecord } from '../domain/delivery.ts';
import { comparePositions, type DeliveryPosition, type DeliveryStore } from './ports.ts';

/** A delivery in memory, waiting for its turn, for its time, or for an answer. */
export interface QueuedDelivery {
  readonly delivery: DeliveryRecord;
  /** Attempts so far. */
  attempts: number;
  timer: Timer | null;
}

export interface EndpointQueueOptions {
  readonly webhookId: string;
  readonly store: Pick<DeliveryStore, 'pending'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Deliveries held in memory at most. */
  readonly windowMax: number;
  /** No delivery waits longer than this for its next attempt, whatever the stored time and the wall clock say. */
  readonly waitMax: Duration;
  /** Called whenever `take` may have something new. */
  readonly onReady: () => void;
}

/** The pause before a page that could not be read is asked for again. */
const pageRetry: Duration = 1_000;

/**
 * The pending deliveries of one endpoint: a window in memory over what is in the store.
 *
 *     store   ····□□□□□□□□□□□□□□■■■■■■■■■■■■■■■   in order of (commit, id)
 *                 └ window ────┘└ not in memory
 *                              ↑ position
 *
 * Everything up to `position` is in memory or done. While the window holds everything (`complete`), new deliveries are
 * added as they are committed; once it is full they stay in the store, and pages are read from `position` on as room comes.
 *
 * Deliveries with the same order key form a line, and only the head of a line is ever due.
 */
export class EndpointQueue {
  readonly #options: EndpointQueueOptions;
  readonly #lines = new Map<string, QueuedDelivery[]>();
  readonly #ready: QueuedDelivery[] = [];
  #size = 0;
  #position: DeliveryPosition | undefined;
  #complete = false;
  /** A delivery was left to the store while a page was being read, which may or may not hold it. */
  #skipped = false;
  #filling = false;
  #pageTimer: Timer | null = null;
  #closed = false;

  constructor(options: EndpointQueueOptions) {
    this.#options = options;
  }

  /** Deliveries in memory. */
  get size(): number {
    return this.#size;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Takes over a delivery that was just committed, or leaves it in the store when the window has no room. */
  accept(delivery: DeliveryRecord): void {
    if (this.#closed) return;
    if (this.#complete && this.#size < this.#options.windowMax) {
      this.#add(delivery);
      return;
    }
    this.#complete = false;
    this.#skipped = true;
    void this.fill();
  }

  /** Reads from the store as far as there is room; at once done when a read is under way already. Never rejects. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      while (!this.#closed && !this.#complete && this.#wantsMore()) await this.#readPage();
    } catch (error) {
      this.#tryPageLater(error);
    } finally {
      this.#filling = false;
    }
  }

  /** Something may have been committed that nobody accepted: look again after what is known. */
  reload(): Promise<void> {
    this.#complete = false;
    this.#skipped = true;
    return this.fill();
  }

  /** The next delivery that is due. It comes back through `finish` or `retryIn`. */
  take(): QueuedDelivery | undefined {
    return this.#ready.shift();
  }

  /** It succeeded or was given up: its line moves on. */
  finish(queued: QueuedDelivery): void {
    if (this.#closed) return;
    const key = queued.delivery.orderKey;
    const line = this.#lines.get(key) ?? [];
    line.shift();
    this.#size--;
    const next = line[0];
    if (next) this.#schedule(next, this.#storedWait(next.delivery));
    else this.#lines.delete(key);
    if (!this.#complete) void this.fill();
  }

  /** It failed and keeps its place in front of its line. */
  retryIn(queued: QueuedDelivery, delay: Duration): void {
    if (this.#closed) return;
    queued.attempts++;
    this.#schedule(queued, delay);
  }

  /** Forgets everything in memory; the store is untouched. */
  close(): void {
    this.#closed = true;
    this.#pageTimer?.cancel();
    for (const line of this.#lines.values()) for (const queued of line) queued.timer?.cancel();
    this.#lines.clear();
    this.#ready.length = 0;
    this.#size = 0;
  }

  async #readPage(): Promise<void> {
    const { webhookId, store, windowMax } = this.#options;
    const limit = windowMax - this.#size;
    this.#skipped = false;
    const page = await store.pending({ webhookId, after: this.#position, limit });
    if (this.#closed) return;
    for (const delivery of page) this.#add(delivery);
    // A short page is the end, unless something was committed behind its back.
    this.#complete = page.length < limit && !this.#skipped;
  }

  /** Few large pages while there is something to do, and whatever there is room for when there is not. */
  #wantsMore(): boolean {
    const room = this.#options.windowMax - this.#size;
    return room > 0 && (room * 2 >= this.#options.windowMax || !this.hasReady);
  }

  #tryPageLater(error: unknown): void {
    if (this.#closed) return;
    const { clock, log, webhookId } = this.#options;
    log.warn({ webhook: webhookId, error: messageOf(error) }, 'pending deliveries could not be read; trying again');
    this.#pageTimer?.cancel();
    this.#pageTimer = clock.after(pageRetry, () => void this.fill());
  }

  #add(delivery: DeliveryRecord): void {
    if (this.#position && comparePositions(delivery, this.#position) <= 0) return;
    this.#position = { seq: delivery.seq, id: delivery.id };
    const queued: QueuedDelivery = { delivery, attempts: delivery.attempts, timer: null };
    this.#size++;
    const line = this.#lines.get(delivery.orderKey);
    if (line) {
      line.push(queued);
      return;
    }
    this.#lines.set(delivery.orderKey, [queued]);
    this.#schedule(queued, this.#storedWait(delivery));
  }

  /** The wall clock may have been corrected since the time was stored, hence the bound. */
  #storedWait(delivery: DeliveryRecord): Duration {
    return Math.min((delivery.nextAttemptAt ?? 0) - this.#options.clock.now(), this.#options.waitMax);
  }

  #schedule(queued: QueuedDelivery, wait: Duration): void {
    const makeReady = (): void => {
      queued.timer = null;
      this.#ready.push(queued);
      this.#options.onReady();
    };
    if (wait <= 0) makeReady();
    else queued.timer = this.#options.clock.after(wait, makeReady);
  }
}
