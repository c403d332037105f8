import type { Clock, Timer } from '../../base/clock.ts';

/** What one device may send; 0 is no limit. */
export interface RateLimits {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  /** How long it may be above that, with what it saved while it was quiet, ms. */
  readonly burst: number;
}

/** Something that can be stopped from being read. */
export interface Holdable {
  hold(reason: 'rate', held: boolean): void;
}

export type RateState =
  | { readonly state: 'throttled'; readonly messagesPerSecond: number; readonly until: string }
  | { readonly state: 'ok' };

/** What one device may still send. Several connections of a device share one. */
export interface Bucket {
  readonly key: string;
  users: number;
  /** Below zero: a debt, which time pays off. */
  messages: number;
  bytes: number;
  /** Monotonic ms up to which it was filled. */
  filledTo: number;
  /** While it is above its limit, and a moment after. */
  episode: { readonly held: Set<Holdable>; until: number; timer: Timer | undefined } | undefined;
}

/** An episode ends when this long, ms, nothing was above the limit: a device at its limit is told once, not all the time. */
const calmMs = 1_000;

/**
 * Limits of messages and bytes for each device, as token buckets on the monotonic clock. Nothing acknowledged is lost:
 * QoS 1 and 2 that are above the limit are taken, and the connection is not read until the debt is paid; only QoS 0 is
 * shed. The device is told when that begins and when it ends.
 */
export class DeviceRate {
  readonly #limits: RateLimits;
  readonly #clock: Clock;
  readonly #tell: (device: string, state: RateState) => void;
  readonly #buckets = new Map<string, Bucket>();
  readonly #isOff: boolean;
  #shed = 0;
  #slowed = 0;
  #throttled = 0;

  constructor(limits: RateLimits, parts: { clock: Clock; tell: (device: string, state: RateState) => void }) {
    this.#limits = limits;
    this.#clock = parts.clock;
    this.#tell = parts.tell;
    this.#isOff = limits.messagesPerSecond === 0 && limits.bytesPerSecond === 0;
  }

  /** QoS 0 messages shed, times that a connection was held, and devices that are throttled now. */
  get counts(): { readonly shed: number; readonly slowed: number; readonly throttled: number } {
    return { shed: this.#shed, slowed: this.#slowed, throttled: this.#throttled };
  }

  /** `key` is the device, or the client id of whoever is none. Undefined when there are no limits. */
  join(key: string): Bucket | undefined {
    if (this.#isOff) return undefined;
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      const filledTo = this.#clock.monotonic();
      bucket = { key, users: 0, messages: this.#messagesMax, bytes: this.#bytesMax, filledTo, episode: undefined };
      this.#buckets.set(key, bucket);
    }
    bucket.users++;
    return bucket;
  }

  leave(bucket: Bucket, connection: Holdable): void {
    bucket.users--;
    bucket.episode?.held.delete(connection);
  }

  /** Forgets who is gone and has nothing to pay; coming back at once does not fill a bucket. */
  sweep(): void {
    for (const bucket of this.#buckets.values()) {
      if (bucket.users > 0 || bucket.episode) continue;
      this.#fill(bucket);
      if (bucket.messages >= this.#messagesMax && bucket.bytes >= this.#bytesMax) this.#buckets.delete(bucket.key);
    }
  }

  close(): void {
    for (const { episode } of this.#buckets.values()) episode?.timer?.cancel();
  }

  /** Whether the message is taken; `false` sheds it, which happens to QoS 0 only. */
  take(bucket: Bucket, message: { readonly qos: 0 | 1 | 2; readonly bytes: number }, connection: Holdable): boolean {
    this.#fill(bucket);
    const isOver = bucket.messages < 1 || bucket.bytes < Math.min(message.bytes, this.#bytesMax);
    if (isOver && message.qos === 0) {
      this.#shed++;
      this.#above(bucket);
      return false;
    }
    bucket.messages -= 1;
    bucket.bytes -= message.bytes;
    if (isOver) this.#slow(bucket, connection);
    return true;
  }

  get #messagesMax(): number {
    return capacity(this.#limits.messagesPerSecond, this.#limits.burst);
  }

  get #bytesMax(): number {
    return capacity(this.#limits.bytesPerSecond, this.#limits.burst);
  }

  #fill(bucket: Bucket): void {
    const now = this.#clock.monotonic();
    const seconds = (now - bucket.filledTo) / 1_000;
    if (seconds <= 0) return;
    bucket.filledTo = now;
    bucket.messages = Math.min(bucket.messages + seconds * this.#limits.messagesPerSecond, this.#messagesMax);
    bucket.bytes = Math.min(bucket.bytes + seconds * this.#limits.bytesPerSecond, this.#bytesMax);
  }

  #slow(bucket: Bucket, connection: Holdable): void {
    const { held } = this.#above(bucket);
    if (held.has(connection)) return;
    this.#slowed++;
    held.add(connection);
    connection.hold('rate', true);
  }

  /** Begins an episode, or makes the one that there is last longer. */
  #above(bucket: Bucket): { readonly held: Set<Holdable>; until: number } {
    const until = bucket.filledTo + Math.max(this.#debtMs(bucket), calmMs);
    if (bucket.episode) {
      bucket.episode.until = Math.max(bucket.episode.until, until);
      return bucket.episode;
    }
    const episode = { held: new Set<Holdable>(), until, timer: undefined };
    bucket.episode = episode;
    this.#throttled++;
    this.#tell(bucket.key, {
      state: 'throttled',
      messagesPerSecond: this.#limits.messagesPerSecond,
      until: new Date(this.#clock.now() + until - bucket.filledTo).toISOString(),
    });
    this.#watch(bucket);
    return episode;
  }

  /** Looks again when the debt is paid, which more messages of the chunk that is being read may put off. */
  #watch(bucket: Bucket): void {
    const { episode } = bucket;
    if (!episode) return;
    const wait = episode.held.size > 0 ? this.#debtMs(bucket) : episode.until - this.#clock.monotonic();
    // Never at once: the rest of the chunk comes first.
    episode.timer = this.#clock.after(Math.max(wait, 10), () => {
      this.#fill(bucket);
      if (this.#debtMs(bucket) === 0) {
        for (const connection of episode.held) connection.hold('rate', false);
        episode.held.clear();
      }
      if (episode.held.size > 0 || this.#clock.monotonic() < episode.until) {
        this.#watch(bucket);
        return;
      }
      bucket.episode = undefined;
      this.#throttled--;
      this.#tell(bucket.key, { state: 'ok' });
    });
  }

  /** How long until it may send one more message, ms. */
  #debtMs({ messages, bytes }: Bucket): number {
    const { messagesPerSecond, bytesPerSecond } = this.#limits;
    const forMessages = messagesPerSecond > 0 ? Math.max(1 - messages, 0) / messagesPerSecond : 0;
    const forBytes = bytesPerSecond > 0 ? Math.max(-bytes, 0) / bytesPerSecond : 0;
    return Math.max(forMessages, forBytes) * 1_000;
  }
}

/** At least one message, or byte, may come at a time. */
function capacity(perSecond: number, burst: number): number {
  return perSecond === 0 ? Number.POSITIVE_INFINITY : Math.max((perSecond * burst) / 1_000, 1);
}
