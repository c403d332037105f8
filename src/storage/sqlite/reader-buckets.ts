import type { Value } from '../../domain/reading.ts';
import { sampleValue } from '../../domain/sample-columns.ts';
import { bucketBegin } from '../../history/bucket.ts';
import type { Bucket, BucketsQuery } from '../../history/reader.ts';
import type { ChunkReader, ChunkSummary } from './chunk-reader.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';
import type { MergedRows } from './merge.ts';
import { mergeStretches, stretchOf } from './merge.ts';
import type { Slice } from './writer.ts';

/**
 * Aggregates by bucket. A chunk in order that lies wholly in one bucket, and in whose span nothing was written late,
 * counts by its summary; the others are unpacked one after the other.
 */
export function readBuckets(chunks: ChunkReader, query: BucketsQuery, slice: Slice): Bucket[] {
  const { series, from, to, width } = query;
  const head = chunks.unsealed(series, slice);
  const written = chunks.late(series, from, to).map((chunk) => chunks.read(series, chunk.number));
  if (head) written.push(head);
  // What was written after the chunks in order: late chunks and the head.
  const overlay = mergeStretches(written, from, to);
  const buckets = new BucketList(width, query.limit);
  let at = 0;
  for (const chunk of chunks.ascending(series, from, to)) {
    const before = firstAtOrAfter(overlay.times, overlay.count, chunk.timeMin);
    buckets.addRows(overlay, at, before);
    if (buckets.isFull) return buckets.close();
    at = firstAtOrAfter(overlay.times, overlay.count, chunk.timeMax + 1);
    const isInside = chunk.timeMin >= from && chunk.timeMax < to;
    if (at !== before) {
      const rows = mergeStretches([chunks.read(series, chunk.number), stretchOf(overlay, before, at)], from, to);
      buckets.addRows(rows, 0, rows.count);
    } else if (!isInside || !buckets.addSummary(chunk)) {
      buckets.addStretch(chunks.read(series, chunk.number), from, to);
    }
    if (buckets.isFull) return buckets.close();
  }
  buckets.addRows(overlay, at, overlay.count);
  return buckets.close();
}

interface OpenBucket {
  time: number;
  count: number;
  /** Readings that are numbers or booleans. */
  numbers: number;
  min: number;
  max: number;
  sum: number;
  first: Value;
  last: Value;
}

/** Buckets being filled in order of time; full when a reading came that would begin one more than `limit`. */
class BucketList {
  readonly #list: Bucket[] = [];
  readonly #width: number;
  readonly #limit: number;
  #open: OpenBucket | null = null;
  #isFull = false;

  constructor(width: number, limit: number) {
    this.#width = width;
    this.#limit = limit;
  }

  /** No further bucket would be answered; what is still open then is complete. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Adds rows `begin` to `end` (excluded). */
  addRows(merged: MergedRows, begin: number, end: number): void {
    for (let row = begin; row < end && !this.#isFull; row++) {
      const bucket = this.#at(merged.times[row]);
      if (!bucket) return;
      addValue(bucket, sampleValue(merged.stretches[merged.sources[row]], merged.rows[row]));
    }
  }

  /** Adds the readings of a stretch in `[from, to)`. */
  addStretch(stretch: Stretch, from: number, to: number): void {
    const end = firstAtOrAfter(stretch.times, stretch.count, to);
    let row = firstAtOrAfter(stretch.times, stretch.count, from);
    while (row < end) {
      const bucket = this.#at(stretch.times[row]);
      if (!bucket) return;
      const next = Math.min(end, firstAtOrAfter(stretch.times, stretch.count, bucket.time + this.#width));
      if (stretch.kinds) addValues(bucket, stretch, row, next);
      else addNumbers(bucket, stretch.values, row, next);
      row = next;
    }
  }

  /** Adds a whole chunk when it lies in one bucket and has a summary; false when it has to be unpacked. */
  addSummary(chunk: ChunkSummary): boolean {
    const { numbers } = chunk;
    if (!numbers || bucketBegin(chunk.timeMin, this.#width) !== bucketBegin(chunk.timeMax, this.#width)) return false;
    const bucket = this.#at(chunk.timeMin);
    if (!bucket) return true;
    if (bucket.count === 0) bucket.first = numbers.first;
    bucket.last = numbers.last;
    bucket.count += chunk.count;
    bucket.numbers += chunk.count;
    bucket.sum += numbers.sum;
    bucket.min = Math.min(bucket.min, numbers.min);
    bucket.max = Math.max(bucket.max, numbers.max);
    return true;
  }

  /** The buckets, the last one closed. */
  close(): Bucket[] {
    if (this.#open) this.#list.push(closed(this.#open));
    this.#open = null;
    return this.#list;
  }

  /** The bucket that holds `time`, begun if need be; null when that would be one too many. */
  #at(time: number): OpenBucket | null {
    const open = this.#open;
    // Times ascend, so only the end of the open bucket has to be compared.
    if (open && time < open.time + this.#width) return open;
    if (open) this.#list.push(closed(open));
    this.#open = null;
    if (this.#list.length >= this.#limit) {
      this.#isFull = true;
      return null;
    }
    this.#open = {
      time: bucketBegin(time, this.#width),
      count: 0,
      numbers: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
      sum: 0,
      first: 0,
      last: 0,
    };
    return this.#open;
  }
}

function addValue(bucket: OpenBucket, value: Value): void {
  if (bucket.count === 0) bucket.first = value;
  bucket.last = value;
  bucket.count++;
  if (typeof value === 'string') return;
  const number = Number(value);
  bucket.numbers++;
  bucket.sum += number;
  if (number < bucket.min) bucket.min = number;
  if (number > bucket.max) bucket.max = number;
}

function addValues(bucket: OpenBucket, stretch: Stretch, begin: number, end: number): void {
  for (let row = begin; row < end; row++) addValue(bucket, sampleValue(stretch, row));
}

/** The same for numbers only, in locals: most of the work of a long chart. */
function addNumbers(bucket: OpenBucket, values: Float64Array, begin: number, end: number): void {
  let { min, max, sum } = bucket;
  for (let row = begin; row < end; row++) {
    const value = values[row];
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (bucket.count === 0) bucket.first = values[begin];
  bucket.last = values[end - 1];
  bucket.count += end - begin;
  bucket.numbers += end - begin;
  bucket.min = min;
  bucket.max = max;
  bucket.sum = sum;
}

function closed(bucket: OpenBucket): Bucket {
  const { time, count, numbers, min, max, sum, first, last } = bucket;
  if (numbers === 0) return { time, count, min: null, max: null, sum: null, avg: null, first, last };
  // Which zero of several comes out depends on their order, which chunk summaries do not keep: it is always the positive.
  return { time, count, min: min + 0, max: max + 0, sum: sum + 0, avg: sum / numbers + 0, first, last };
}
