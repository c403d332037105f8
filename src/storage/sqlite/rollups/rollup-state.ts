import type { GoneChanges, RollupTier } from '../../../domain/retention.ts';

/** No reading has a later time, epoch ms. */
const timeMax = 8_640_000_000_000_000;

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
  /** No chunk holds an older reading; Infinity without chunks, NaN as long as nobody has looked. */
  oldest = new Float64Array(0);
  /** No chunk ends before, with the same meaning of infinite and NaN: what ends later cannot be purged by time. */
  firstEnd = new Float64Array(0);
  /** Series whose `rawFrom` is another since that was last told. */
  readonly #moved = new Set<number>();
  #length = 0;

  tier(tier: RollupTier): TierState {
    return tier === 'hour' ? this.hour : this.minute;
  }

  /** Readings before `time` are purged from here on; NaN: none are. What is on disk says so already. */
  moveRawFrom(series: number, time: number): void {
    if (Object.is(this.rawFrom[series], time)) return;
    this.rawFrom[series] = time;
    this.#moved.add(series);
  }

  /** `rawFrom` of all series. */
  tellRawFrom(): Float64Array<ArrayBuffer> {
    this.#moved.clear();
    return this.rawFrom.slice();
  }

  /** Where it is another since it was last told; null where nothing is. */
  tellMoved(): GoneChanges | null {
    if (this.#moved.size === 0) return null;
    const series = Float64Array.from(this.#moved);
    this.#moved.clear();
    return { series, before: series.map((id) => this.rawFrom[id]) };
  }

  /** Chunks hold nothing of `[from, to)` any more. */
  erased(series: number, { from, to }: { readonly from: number; readonly to: number }): void {
    if (!(from <= this.oldest[series])) return;
    const bound = to >= timeMax ? Number.POSITIVE_INFINITY : to;
    this.oldest[series] = Math.max(this.oldest[series], bound);
    this.firstEnd[series] = Math.max(this.firstEnd[series], bound);
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
