import type { GapReason, ServerFrame } from '../contract/live.ts';
import { type Cursor, formatCursor } from '../domain/cursor.ts';
import type { CommitStream } from './commit-stream.ts';
import type { LiveStats } from './stats.ts';
import type { Subscription } from './subscription.ts';
import { Turns } from './turns.ts';

/**
 * Brings a subscription from where it begins to where the stream is:
 *
 *     no cursor            → subscribed, snapshot ─┐
 *     cursor still kept    → subscribed ───────────┼→ replay page by page → live
 *     cursor lost          → subscribed, gap, snapshot ─┘
 *
 * Everything is paced by the client: a page is taken only while the client is writable, so a slow one costs its
 * position and nothing else (and the values of its snapshot, while they go out). Two steps are synchronous pieces into
 * which no commit can fall: taking position and snapshot together, and going from the end of the replay to live.
 */
export class CatchUp {
  readonly #stream: CommitStream;
  readonly #epoch: () => string;
  readonly #stats: LiveStats;
  readonly #turns = new Turns();

  constructor(parts: { stream: CommitStream; epoch: () => string; stats: LiveStats }) {
    this.#stream = parts.stream;
    this.#epoch = parts.epoch;
    this.#stats = parts.stats;
  }

  /** Begins a subscription. Resolves when it is live or has ended; rejects when the commit log cannot be read. */
  async begin(subscription: Subscription, since: Cursor | null, onLive: () => void): Promise<void> {
    const reason = since && (this.#lostAtOnce(since) ?? (await this.#trimmed(since)));
    if (subscription.hasEnded) return;
    if (since && !reason) {
      subscription.position = since.seq;
      this.#stats.recovered++;
      this.#tell(subscription, this.#subscribed(subscription, true));
    } else {
      subscription.position = this.#stream.position;
      this.#tell(subscription, this.#subscribed(subscription, false));
      if (since && reason) this.#tellGap(subscription, formatCursor(since.epoch, since.seq), reason);
    }
    if (!since || reason) await this.#sendSnapshot(subscription);
    subscription.hasBegun = true;
    await this.replay(subscription, onLive);
  }

  /** Goes on from `subscription.position` until it is live; synchronous where memory and the client allow. */
  async replay(subscription: Subscription, onLive: () => void): Promise<void> {
    while (!subscription.hasEnded) {
      if (subscription.position >= this.#stream.position) {
        onLive();
        return;
      }
      const stretch = this.#stream.recent(subscription.position) ?? (await this.#stream.read(subscription.position));
      if (subscription.hasEnded) return;
      if (!subscription.client.isWritable) {
        await subscription.client.writable();
      } else if (stretch.resumableFrom !== null) {
        await this.#startOver(subscription);
      } else {
        subscription.deliver(stretch, { paced: true });
        if (subscription.position < this.#stream.position) await this.#turns.next();
      }
    }
  }

  /** The log was trimmed past a slow client: the gap is told, and the present in place of what is lost. */
  async #startOver(subscription: Subscription): Promise<void> {
    const after = formatCursor(this.#epoch(), subscription.position);
    subscription.position = this.#stream.position;
    subscription.hasBegun = false;
    this.#tellGap(subscription, after, 'trimmed');
    await this.#sendSnapshot(subscription);
    subscription.hasBegun = true;
  }

  /** Called in the same piece as `position` was set, so that the values are exactly those of that commit. */
  async #sendSnapshot(subscription: Subscription): Promise<void> {
    for (const frame of subscription.snapshot()) {
      while (!subscription.hasEnded && !subscription.client.isWritable) await subscription.client.writable();
      if (subscription.hasEnded) return;
      subscription.client.send(frame, { paced: true });
    }
  }

  #lostAtOnce(since: Cursor): GapReason | null {
    if (since.epoch !== this.#epoch()) return 'epoch_changed';
    return since.seq > this.#stream.position ? 'ahead' : null;
  }

  async #trimmed(since: Cursor): Promise<GapReason | null> {
    const stretch = this.#stream.recent(since.seq) ?? (await this.#stream.read(since.seq));
    return stretch.resumableFrom === null ? null : 'trimmed';
  }

  #subscribed(subscription: Subscription, recovered: boolean): ServerFrame {
    return { op: 'subscribed', id: subscription.id, cursor: this.#cursorOf(subscription), recovered };
  }

  #tellGap(subscription: Subscription, after: string, reason: GapReason): void {
    this.#stats.gaps++;
    this.#tell(subscription, {
      op: 'gap',
      id: subscription.id,
      after,
      resumed: this.#cursorOf(subscription),
      reason,
    });
  }

  #cursorOf(subscription: Subscription): string {
    return formatCursor(this.#epoch(), subscription.position);
  }

  #tell(subscription: Subscription, frame: ServerFrame): void {
    subscription.client.send(JSON.stringify(frame));
  }
}
