import { RejectedError } from '../base/errors.ts';
import type { DecodedReading } from '../decode/native.ts';
import { clockCorrection } from './clock-correction.ts';
import type { EntryReading } from './entry.ts';
import type { Ledger } from './ledger.ts';
import type { RetentionTerms } from './ports.ts';
import type { ReceiptClock } from './receipt-clock.ts';
import type { SeriesRegistry } from './series-registry.ts';

/** So far may readings without a time be moved on to make room for one that has its own. */
const nearMs = 1_000;
const dayMs = 86_400_000;

/** When a message came, and how much that says. */
export interface Arrival {
  /** Time of receipt, epoch ms. */
  readonly at: number;
  /** A refused message that is tried again: its time of receipt is past, and others were given since. */
  readonly again: boolean;
}

export interface PlacementParts {
  readonly registry: SeriesRegistry;
  readonly ledger: Ledger;
  readonly receiptClock: ReceiptClock;
  /** Without it everything is kept for ever. */
  readonly retention?: RetentionTerms;
  /** How far ahead a time may be, ms. */
  readonly futureMax: number;
  /** Receipt time of the newest commit that was recovered, epoch ms. */
  readonly lastCommitAt: number;
}

/** Readings with a place: their series, and a time that is never more than `futureMax` ahead. */
export interface Placed {
  readonly readings: readonly EntryReading[];
  /** Whether the times were moved because the clock of the device is ahead. */
  readonly corrected: boolean;
}

/** Gives readings their place in time and series. */
export class Placement {
  readonly #parts: PlacementParts;
  /** By series: the last time of receipt given to a reading without a time, so that two in one millisecond stay two. */
  readonly #stamps = new Map<number, number>();
  /** The same for messages that were tried again. */
  readonly #stampsAgain = new Map<number, number>();
  /** By device: the time that its last corrected message was moved to. */
  readonly #corrected = new Map<string, number>();

  constructor(parts: PlacementParts) {
    this.#parts = parts;
  }

  /**
   * Takes over what was recovered: a reading without a time may have been moved ahead of the clock, or the clock was set
   * back over a restart, and the next one must not take its place. A reading more than a day ahead is not followed.
   */
  load(heads: readonly { readonly id: number; readonly time: number | null }[], now: number): void {
    for (const { id, time } of heads) {
      if (time !== null && time >= now && time - now <= dayMs) this.#stamps.set(id, time);
    }
  }

  /**
   * What the series have after readings of them were deleted: with a reading ahead of the clock goes the reason to place
   * others after it.
   */
  deleted(newest: readonly { readonly series: number; readonly time: number | null }[], now: number): void {
    for (const { series, time } of newest) {
      const stamp = this.#stamps.get(series);
      if (stamp === undefined || stamp - now <= nearMs) continue;
      if (time !== null && time >= now) this.#stamps.set(series, Math.min(stamp, time));
      else this.#stamps.delete(series);
    }
  }

  /**
   * The readings of one device's message; `pointers[i]` is where the time of reading i stands. Throws `time_implausible`,
   * `time_expired` and `series_limit`; of several messages that stand or fall together, within `registry.whole`.
   */
  message(device: string, decoded: readonly DecodedReading[], pointers: readonly string[], arrival: Arrival): Placed {
    const correction = this.correction(device, decoded, pointers, arrival);
    this.refuseExpired(device, decoded, pointers, { correction, arrival });
    const assigned = this.#assigned(device, decoded);
    const stamp = this.#stampFor(decoded, assigned, arrival);
    const readings: EntryReading[] = [];
    for (let index = 0; index < decoded.length; index++) {
      const { time, value } = decoded[index];
      const series = assigned[index];
      const placed = time === null ? stamp : this.#timed(series, time - correction, arrival);
      readings.push({ series, time: placed, value });
    }
    return { readings, corrected: correction > 0 };
  }

  /** Throws `time_expired` for a message with a reading that would be deleted at once. Before it has a series. */
  refuseExpired(
    device: string,
    decoded: readonly Pick<DecodedReading, 'metric' | 'time'>[],
    pointers: readonly string[],
    { correction, arrival }: { readonly correction: number; readonly arrival: Arrival },
  ): void {
    const { retention, receiptClock } = this.#parts;
    if (!retention) return;
    // A message that is tried again came at its time; whether it is kept is asked today.
    const now = arrival.again ? receiptClock.now() : arrival.at;
    const keptFrom = retention.keptFrom(now);
    if (keptFrom === Number.NEGATIVE_INFINITY) return;
    for (let index = 0; index < decoded.length; index++) {
      const { metric, time } = decoded[index];
      const placed = time === null ? arrival.at : time - correction;
      if (placed >= keptFrom) continue;
      const reason = retention.expired(device, metric, placed, now);
      if (reason !== null) throw new RejectedError('time_expired', reason, { pointer: pointers[index] ?? '' });
    }
  }

  /** The series of a message's readings: all of them, or none is given out. */
  #assigned(device: string, decoded: readonly DecodedReading[]): readonly number[] {
    const { registry } = this.#parts;
    const assigned: number[] = [];
    for (let index = 0; index < decoded.length; index++) {
      const known = registry.find(device, decoded[index].metric);
      if (known === undefined)
        return registry.whole(() => decoded.map(({ metric }) => registry.assign(device, metric)));
      assigned.push(known);
    }
    return assigned;
  }

  /** The time for those readings that have none; 0 when each has one. */
  #stampFor(decoded: readonly DecodedReading[], assigned: readonly number[], arrival: Arrival): number {
    let timed = 0;
    while (timed < decoded.length && decoded[timed].time !== null) timed++;
    if (timed === decoded.length) return 0;
    return this.#stamp(
      assigned.filter((_, index) => decoded[index].time === null),
      arrival,
    );
  }

  /** A single reading whose message was corrected by `correction` ms. Throws `series_limit`. */
  reading(device: string, { metric, time, value }: DecodedReading, correction: number, arrival: Arrival): EntryReading {
    const series = this.#parts.registry.assign(device, metric);
    const placed = time === null ? this.#stamp([series], arrival) : this.#timed(series, time - correction, arrival);
    return { series, time: placed, value };
  }

  /**
   * Milliseconds to subtract from every time of a device's message. `pointers[i]` is where the time of reading i stands.
   * Throws `time_implausible`.
   */
  correction(
    device: string,
    decoded: readonly { readonly time: number | null }[],
    pointers: readonly string[],
    arrival: Arrival,
  ): number {
    let newest = Number.NEGATIVE_INFINITY;
    let oldest = Number.POSITIVE_INFINITY;
    let newestPointer: string | undefined;
    let oldestPointer: string | undefined;
    for (let index = 0; index < decoded.length; index++) {
      const { time } = decoded[index];
      if (time === null) continue;
      if (time > newest) {
        newest = time;
        newestPointer = pointers[index];
      }
      if (time < oldest) {
        oldest = time;
        oldestPointer = pointers[index];
      }
    }
    if (newest < oldest) return 0;
    const receivedAt = arrival.at;
    const clockTrusted = this.isClockTrusted(arrival);
    const { futureMax } = this.#parts;
    const facts = { newest, oldest, newestPointer, oldestPointer, receivedAt, futureMax, clockTrusted };
    const correction = clockCorrection(facts);
    if (correction <= 0) return 0;
    this.#parts.ledger.clockCorrected++;
    if (arrival.again) return correction;
    // A device that empties its buffer sends many messages in one millisecond; each keeps a time of its own.
    const target = Math.max(receivedAt, (this.#corrected.get(device) ?? 0) + 1);
    this.#corrected.set(device, target);
    return newest - target;
  }

  /** A clock that is behind the newest commit is no judge of others; one that judged a message before still is. */
  isClockTrusted({ at, again }: Arrival): boolean {
    return again || at >= this.#parts.lastCommitAt;
  }

  /** A reading with a time of its own: one without a time that comes in the same millisecond must not take its place. */
  #timed(series: number, time: number, { at }: Arrival): number {
    const isNear = time >= at && time - at <= nearMs;
    if (isNear && time > (this.#stamps.get(series) ?? 0)) this.#stamps.set(series, time);
    return time;
  }

  /** One time of receipt for these series, later than any that one of them was given before. */
  #stamp(series: readonly number[], arrival: Arrival): number {
    let stamp = arrival.at;
    if (arrival.again) return this.#stampAgain(series, stamp);
    for (const id of series) stamp = Math.max(stamp, (this.#stamps.get(id) ?? 0) + 1);
    for (const id of series) this.#stamps.set(id, stamp);
    return stamp;
  }

  /** The time at which the message came; messages of one millisecond that are tried again one after the other stay apart. */
  #stampAgain(series: readonly number[], at: number): number {
    let stamp = at;
    for (const id of series) {
      const given = this.#stampsAgain.get(id) ?? 0;
      if (given >= stamp && given - at <= nearMs) stamp = given + 1;
    }
    for (const id of series) this.#stampsAgain.set(id, stamp);
    return stamp;
  }
}
