import type { RollupTier } from '../../../domain/retention.ts';

/** What the writer remembers of the rollups of one tier, by series number. NaN: never told. */
export class TierState {
  /** Buckets from `from` (included) to `to` are summed up; none where they are equal or NaN. */
  from = new Float64Array(0);
  to = new Float64Array(0);
  /** Windows before it have been looked at. */
  looked = new Float64Array(0);
  /** Wanted, because readings are about to be purged or because windows are worth it; nothing where NaN. */
  wantedFrom = new Float64Array(0);
  wantedTo = new Float64Array(0);

  grow(length: number): void {
    this.from = grown(this.from, length);
    this.to = grown(this.to, length);
    this.looked = grown(this.looked, length);
    this.wantedFrom = grown(this.wantedFrom, length);
    this.wantedTo = grown(this.wantedTo, length);
  }

  isEmpty(series: number): boolean {
    return !(this.from[series] < this.to[series]);
  }
}

/** Columns rather than fields of each series: there may be 200,000 of them, and most have nothing to tell. */
export class RollupState {
  readonly minute = new TierState();
  readonly hour = new TierState();
  /** Readings before it are purged; NaN when none are. */
  rawFrom: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** No chunk holds an older reading; infinite without chunks, NaN as long as nobody has looked. */
  oldest = new Float64Array(0);
  /** No chunk ends before, with the same meaning of infinite and NaN: what ends later cannot be purged by time. */
  firstEnd = new Float64Array(0);
  #length = 0;

  tier(tier: RollupTier): TierState {
    return tier === 'hour' ? this.hour : this.minute;
  }

  /** Makes room for series up to `series`. */
  reach(series: number): void {
    if (series < this.#length) return;
    this.#length = Math.max(series + 1, this.#length + (this.#length >> 1), 64);
    this.minute.grow(this.#length);
    this.hour.grow(this.#length);
    this.rawFrom = grown(this.rawFrom, this.#length);
    this.oldest = grown(this.oldest, this.#length);
    this.firstEnd = grown(this.firstEnd, this.#length);
  }
}

function grown(column: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length).fill(Number.NaN);
  larger.set(column);
  return larger;
}
