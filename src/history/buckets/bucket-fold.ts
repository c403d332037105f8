import type { Aggregate, BucketFill, MetricKind } from '../../domain/aggregate.ts';
import { type Value, valueKind } from '../../domain/reading.ts';
import { type SampleColumns, sampleValue } from '../../domain/sample-columns.ts';
import { firstAtOrAfter } from './ascending.ts';
import { answerColumns } from './bucket-answer.ts';
import type { Grid } from './bucket-grid.ts';
import { type BucketNeeds, needsOf } from './bucket-needs.ts';
import { BucketTable } from './bucket-table.ts';
import { deviationsFrom, greatestOf, increaseOf, leastOf, linearArea, stepArea, sumOf } from './column-sums.ts';
import { HeldTime } from './held-time.ts';
import { NumberLine } from './number-line.ts';
import { PercentileBuffer } from './percentile.ts';
import { PickedNumbers, hasText } from './picked-numbers.ts';
import { FoldEnd } from './fold-end.ts';
import type { BucketColumns } from '../queries.ts';
import type { Sample } from '../reader.ts';
import { type Summary, type SummaryColumns, joinedDeviations } from '../summary.ts';

export interface FoldQuestion {
  readonly grid: Grid;
  /** Readings in `[from, to)` count, epoch ms. */
  readonly from: number;
  readonly to: number;
  readonly aggregates: readonly Aggregate[];
  /** How values behave between readings. */
  readonly kind: MetricKind;
  readonly fill: BucketFill;
  /** Most buckets. */
  readonly limit: number;
  /** Buckets that begin here or later belong to the next page; none when left out. */
  readonly until?: number | undefined;
  /** The reading in force at `from`: the last one before it. Null when there is none, or `boundariesNeeded` says no. */
  readonly before: Sample | null;
  /** The last number before it, where that is another one and known: when it lies in the range of which this is a page. */
  readonly numberBefore?: Sample | null | undefined;
  /**
   * Up to when the last reading holds when none comes after it, epoch ms; `to` when left out. What is later is not known,
   * unless readings say it.
   */
  readonly holdsUntil?: number | undefined;
}

/**
 * Readings of one series become buckets. They come in order of time, as readings, or as summaries of stretches of them in
 * between; what the buckets say is the same. What the aggregates mean stands in README.md of this folder.
 */
export class BucketFold {
  readonly #question: FoldQuestion;
  /** What is kept of the readings, and so has to be known of them. */
  readonly needs: BucketNeeds;
  readonly #table: BucketTable;
  readonly #line: NumberLine;
  readonly #held: HeldTime | null;
  readonly #samples: PercentileBuffer | null;
  /** The end of the bucket that is open. */
  #edge: number;
  /** Of what was added: the time of the last reading, or before it where summaries do not say; -Infinity without one. */
  #lastTime = Number.NEGATIVE_INFINITY;
  /** What comes behind the buckets. */
  readonly #end: FoldEnd;
  #isFull = false;
  /** Begin of the first bucket that is too many. */
  #next: number | null = null;
  /** The last reading before the range, and the last one that is a number. */
  #before: Sample | null = null;
  #numberBefore: Sample | null = null;
  #picked: PickedNumbers | null = null;

  constructor(question: FoldQuestion) {
    const { aggregates, kind, fill, before, numberBefore, grid, from, to } = question;
    this.#question = question;
    this.needs = needsOf(aggregates, kind, fill);
    this.#table = new BucketTable(this.needs.ranks.length, this.needs.holds.length);
    this.#line = new NumberLine(this.#table, this.needs.area);
    this.#held = this.needs.holds.length > 0 ? new HeldTime(this.needs.holds, this.#table) : null;
    this.#samples = this.needs.ranks.length > 0 ? new PercentileBuffer() : null;
    this.#edge = fill === 'none' || from >= to ? Number.NEGATIVE_INFINITY : grid.begin(from);
    this.#end = new FoldEnd(to);
    if (numberBefore) this.#keep(numberBefore);
    if (before) this.#keep(before);
  }

  /** Where the open bucket ends: a reading at or after it opens another one. -Infinity before the first. */
  get edge(): number {
    return this.#edge;
  }

  /** As `PercentileBuffer.settle`, for the percentiles of the open bucket: what is left of `looks`, or less than 0. */
  rank(looks: number): number {
    return this.#samples?.settle(this.needs.ranks, looks) ?? looks;
  }

  /** Nothing that is added from now on would change the answer. */
  get isFull(): boolean {
    return this.#isFull && !this.#end.seeksNumber;
  }

  /** Adds rows `begin` to `end` (excluded), which come after all that was added. Readings out of the range are passed over. */
  addReadings(columns: SampleColumns, begin: number, end: number): void {
    const { times } = columns;
    let row = begin < end && times[begin] < this.#question.from ? this.#passBefore(columns, begin, end) : begin;
    while (row < end && !this.#isFull) {
      const time = times[row];
      if (time >= this.#edge && !this.#open(time)) {
        this.#reachEnd({ time, value: sampleValue(columns, row) });
        break;
      }
      const stop = firstAtOrAfter(times, row + 1, end, this.#edge);
      this.#addRows(columns, row, stop);
      row = stop;
    }
    while (row < end && this.#end.seeksNumber) this.#end.pass({ time: times[row], value: sampleValue(columns, row++) });
  }

  /**
   * Adds readings of which only the summary is known, and which come after all that was added. False, and nothing is added,
   * when they do not all lie in one bucket, or the summary says too little: then the readings have to be added.
   */
  addSummary(summary: Summary): boolean {
    const { from, to, grid } = this.#question;
    const { firstTime, lastTime, more } = summary;
    if (this.isFull) return true;
    if (firstTime < from || !this.#isEnough(summary)) return false;
    if (firstTime >= this.#edge) {
      if (!this.#isFull && firstTime < to && lastTime >= Math.min(to, grid.next(grid.begin(firstTime)))) return false;
      if (this.#isFull || !this.#open(firstTime)) {
        if (!this.#end.seeksNumber) this.#reachEnd({ time: firstTime, value: summary.first });
        if (this.#end.seeksNumber) this.#end.pass(firstNumberOf(summary));
        return true;
      }
    } else if (lastTime >= this.#edge) return false;
    const table = this.#table;
    const row = table.count - 1;
    this.#lastTime = lastTime;
    this.#count(row, summary.count, summary.first, summary.last);
    if (summary.numbers === 0) return true;
    if (this.needs.numbers) {
      const firstNumber = more ? more.firstNumber : Number(summary.first);
      this.#line.reach(row, more ? more.firstNumberTime : firstTime, firstNumber);
      if (more) {
        table.increases[row] += more.increase;
        if (this.needs.area !== 'none') {
          table.areas[row] += this.needs.area === 'linear' ? more.linearArea : more.stepArea;
        }
      }
      this.#line.leave(row, more ? more.lastNumberTime : lastTime, more ? more.lastNumber : Number(summary.last));
    }
    this.#join(row, summary.numbers, summary.sum, more ? more.deviations : 0);
    if (summary.min < table.mins[row]) table.mins[row] = summary.min;
    if (summary.max > table.maxs[row]) table.maxs[row] = summary.max;
    return true;
  }

  /**
   * The same for rows `begin` to `end` (excluded) of summaries, each of a stretch of `width` ms. Returns the row before which
   * it stopped, because it does not lie in one bucket, or `end`. Of the columns only those are read that `needs` asks for.
   */
  addSummaries(columns: SummaryColumns, begin: number, end: number, width: number): number {
    const { from, to, grid } = this.#question;
    const { begins } = columns;
    if (this.needs.ranks.length > 0 || this.needs.holds.length > 0) return begin;
    let row = begin;
    while (row < end && !this.#isFull) {
      const time = begins[row];
      if (time < from) return row;
      if (time >= this.#edge) {
        if (time < to && time + width > Math.min(to, grid.next(grid.begin(time)))) return row;
        if (!this.#open(time)) {
          this.#reachEnd(this.#firstNumberIn(columns, row));
          break;
        }
      } else if (time + width > this.#edge) return row;
      const stop = firstAtOrAfter(begins, row + 1, end, this.#edge - width + 1);
      this.#addStretches(columns, row, stop);
      row = stop;
    }
    while (row < end && this.#end.seeksNumber) this.#end.pass(this.#firstNumberIn(columns, row++));
    return this.#isFull ? end : row;
  }

  /**
   * The buckets, and the begin of the one with which to go on when there were more than `limit`. `after` is the first
   * reading at or after `to`, null when there is none or `boundariesNeeded` says no. Nothing can be added any more.
   */
  close(after: Sample | null): { readonly buckets: BucketColumns; readonly next: number | null } {
    const { from, to, fill, holdsUntil = to, aggregates } = this.#question;
    this.#isFull = true;
    if (fill !== 'none' && from < to) while (this.#edge < to && this.#next === null) this.#push(this.#edge);
    this.#rank();
    const { reading, line } = this.#end.neighbours(after);
    const last = reading === null ? Math.max(holdsUntil, this.#lastTime) : reading.time;
    this.#held?.close(last);
    this.#line.close(line?.time ?? last, line === null || typeof line.value === 'string' ? null : Number(line.value));
    const columns = answerColumns({
      aggregates,
      needs: this.needs,
      fill,
      table: this.#table,
      before: this.#before,
      numberBefore: this.#numberBefore,
      after: line,
      knownFrom: this.#line.since,
      knownTo: last,
      heldFrom: this.#held?.since ?? Number.NaN,
    });
    const { count, times } = this.#table;
    return { buckets: { count, times: times.slice(0, count), columns }, next: this.#next };
  }

  /** A reading came that no bucket holds. */
  #reachEnd(reading: Sample): void {
    const isLined = this.#question.fill === 'linear' || this.needs.area === 'linear';
    this.#end.reach(reading, isLined && this.#next !== null);
  }

  /** The first number of a summary, or that it begins with a text. */
  #firstNumberIn(columns: SummaryColumns, row: number): Sample {
    const hasNumber = this.needs.numbers && columns.numbers[row] > 0;
    return hasNumber
      ? { time: columns.firstNumberTimes[row], value: columns.firstNumbers[row] }
      : { time: columns.begins[row], value: '' };
  }

  /** Opens the bucket that holds `time`; false when there is none, because the range ends before or the limit is reached. */
  #open(time: number): boolean {
    const { grid, to, fill } = this.#question;
    if (time >= to) this.#isFull = true;
    else if (fill === 'none') this.#push(grid.begin(time));
    else while (this.#edge <= time && this.#next === null) this.#push(this.#edge);
    return !this.#isFull;
  }

  #push(time: number): void {
    const { grid, from, to, limit, until = to } = this.#question;
    const table = this.#table;
    if (table.count === limit || time >= until) {
      this.#isFull = true;
      this.#next = time;
      return;
    }
    this.#rank();
    this.#edge = Math.min(to, grid.next(time));
    table.add(time, Math.max(from, time), this.#edge);
  }

  /** The bucket that is open is complete: its percentiles are told. */
  #rank(): void {
    const row = this.#table.count - 1;
    if (!this.#samples || row < 0) return;
    for (const [index, rank] of this.needs.ranks.entries()) {
      this.#table.percentiles[index][row] = this.#samples.at(rank);
    }
    this.#samples.clear();
  }

  /** Adds summaries that lie in the open bucket. Like those over readings, each loop has one purpose. */
  #addStretches(columns: SummaryColumns, begin: number, end: number): void {
    const table = this.#table;
    const row = table.count - 1;
    const { ends, extremes, sums, numbers } = this.needs;
    const first = ends ? columns.firstValue(begin) : 0;
    const last = ends ? columns.lastValue(end - 1) : 0;
    this.#lastTime =
      numbers && columns.numbers[end - 1] > 0 ? columns.lastNumberTimes[end - 1] : columns.begins[end - 1];
    this.#count(row, sumOf(columns.counts, begin, end), first, last);
    const numbersBefore = table.numbers[row];
    if (numbers) this.#addNeighbours(row, columns, begin, end);
    // What the neighbours counted is counted anew below.
    table.numbers[row] = numbersBefore;
    if (extremes) {
      table.mins[row] = leastOf(columns.mins, columns.numbers, begin, end, table.mins[row]);
      table.maxs[row] = greatestOf(columns.maxs, columns.numbers, begin, end, table.maxs[row]);
    }
    if (this.needs.deviations) {
      for (let at = begin; at < end; at++) {
        const count = columns.numbers[at];
        if (count > 0) this.#join(row, count, columns.sums[at], columns.deviations[at]);
      }
      return;
    }
    if (sums) table.sums[row] += sumOf(columns.sums, begin, end);
    table.numbers[row] += sumOf(columns.numbers, begin, end);
  }

  /** Adds what depends on the number before each. */
  #addNeighbours(row: number, columns: SummaryColumns, begin: number, end: number): void {
    const table = this.#table;
    const { increase, area } = this.needs;
    const areas = area === 'linear' ? columns.linearAreas : columns.stepAreas;
    for (let at = begin; at < end; at++) {
      if (columns.numbers[at] === 0) continue;
      this.#line.reach(row, columns.firstNumberTimes[at], columns.firstNumbers[at]);
      if (increase) table.increases[row] += columns.increases[at];
      if (area !== 'none') table.areas[row] += areas[at];
      this.#line.leave(row, columns.lastNumberTimes[at], columns.lastNumbers[at]);
      table.numbers[row] += columns.numbers[at];
    }
  }

  #isEnough({ count, numbers, more }: Summary): boolean {
    const { ranks, holds, increase, deviations, area } = this.needs;
    if (ranks.length > 0 || holds.length > 0) return false;
    if (more !== null) return true;
    return !increase && !deviations && area === 'none' && (!this.needs.numbers || numbers === count);
  }

  /** Readings before the range say what is in force when it begins. Returns the first row in it. */
  #passBefore(columns: SampleColumns, begin: number, end: number): number {
    const { times } = columns;
    const first = firstAtOrAfter(times, begin, end, this.#question.from);
    let number = first - 1;
    while (number > begin && columns.kinds?.[number] === valueKind.text) number--;
    this.#keep({ time: times[number], value: sampleValue(columns, number) });
    if (number < first - 1) this.#keep({ time: times[first - 1], value: sampleValue(columns, first - 1) });
    return first;
  }

  /** The last reading before the range so far. */
  #keep(sample: Sample): void {
    this.#before = sample;
    this.#held?.keep(sample);
    if (typeof sample.value === 'string') return;
    this.#numberBefore = sample;
    this.#line.keep(sample.time, Number(sample.value));
  }

  /** Adds rows that lie in the open bucket. */
  #addRows(columns: SampleColumns, begin: number, end: number): void {
    const { times, values, kinds } = columns;
    const row = this.#table.count - 1;
    this.#lastTime = times[end - 1];
    this.#count(row, end - begin, sampleValue(columns, begin), sampleValue(columns, end - 1));
    this.#held?.add(columns, begin, end);
    if (kinds === null || !hasText(kinds, begin, end)) {
      this.#addNumbers(row, times, values, begin, end);
      return;
    }
    this.#picked ??= new PickedNumbers();
    const numbers = this.#picked.take(columns, begin, end);
    if (numbers > 0) this.#addNumbers(row, this.#picked.times, this.#picked.values, 0, numbers);
  }

  #count(row: number, count: number, first: Value, last: Value): void {
    const table = this.#table;
    if (table.counts[row] === 0) table.firsts[row] = first;
    table.lasts[row] = last;
    table.counts[row] += count;
  }

  /** Adds numbers, at least one. Each loop has one purpose and runs only when that was asked for: that is what is fast. */
  #addNumbers(row: number, times: Float64Array, values: Float64Array, begin: number, end: number): void {
    const table = this.#table;
    const { extremes, sums, deviations, numbers, increase, area } = this.needs;
    this.#samples?.add(values, begin, end);
    if (numbers) {
      this.#line.reach(row, times[begin], values[begin]);
      if (increase) table.increases[row] += increaseOf(values, begin, end);
      if (area === 'linear') table.areas[row] += linearArea(times, values, begin, end);
      if (area === 'step') table.areas[row] += stepArea(times, values, begin, end);
      this.#line.leave(row, times[end - 1], values[end - 1]);
    }
    if (extremes) this.#addExtremes(row, values, begin, end);
    if (!sums) {
      table.numbers[row] += end - begin;
      return;
    }
    const sum = sumOf(values, begin, end);
    this.#join(row, end - begin, sum, deviations ? deviationsFrom(sum / (end - begin), values, begin, end) : 0);
  }

  #addExtremes(row: number, values: Float64Array, begin: number, end: number): void {
    let min = this.#table.mins[row];
    let max = this.#table.maxs[row];
    for (let at = begin; at < end; at++) {
      const value = values[at];
      if (value < min) min = value;
      if (value > max) max = value;
    }
    this.#table.mins[row] = min;
    this.#table.maxs[row] = max;
  }

  /** Adds so many numbers with this sum to the moments of a bucket. */
  #join(row: number, count: number, sum: number, deviations: number): void {
    const table = this.#table;
    if (this.needs.deviations) {
      const old = { count: table.numbers[row], sum: table.sums[row], deviations: table.deviations[row] };
      table.deviations[row] = old.count === 0 ? deviations : joinedDeviations(old, { count, sum, deviations });
    }
    table.numbers[row] += count;
    table.sums[row] += sum;
  }
}

/** The first number of a summary, or its first text where it has none. */
function firstNumberOf({ firstTime, first, numbers, more }: Summary): Sample {
  return more && numbers > 0
    ? { time: more.firstNumberTime, value: more.firstNumber }
    : { time: firstTime, value: first };
}
