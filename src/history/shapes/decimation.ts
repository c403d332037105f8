import { type Value, valueKind } from '../../domain/reading.ts';
import { type SampleColumns, sampleValue } from '../../domain/sample-columns.ts';
import { firstAtOrAfter } from '../buckets/ascending.ts';
import { lttb } from './lttb.ts';
import type { DecimateQuery } from '../queries.ts';
import type { Sample } from '../reader.ts';
import { StretchExtremes } from './stretch-extremes.ts';
import type { Summary } from '../summary.ts';

/** Up to so many readings `lttb` chooses among all of them, 3.4 MB. */
export const lttbMax = 200_000;
/** Beyond, among the extremes of so many times as many stretches as readings are wanted, each giving two. */
const preselection = 2;

export interface DecimationQuestion {
  /** Readings in `[from, to)`, epoch ms. Stretches are of this length, so it should not reach beyond what there is. */
  readonly from: number;
  readonly to: number;
  /** Most readings in the answer, at least 2. */
  readonly points: number;
  readonly method: DecimateQuery['method'];
  /** About how many readings there are. */
  readonly readings: number;
}

/**
 * Readings of one series, which come in order of time, thin out to those that show its shape: see README.md of this folder.
 * Texts are left out; booleans count as 0 and 1 and stay booleans.
 */
export class Decimation {
  readonly #question: DecimationQuestion;
  /** Null while `lttb` may still choose among all. */
  #extremes: StretchExtremes | null = null;
  readonly #all = new PointList();
  #first: Sample | null = null;
  #last: Sample | null = null;

  constructor(question: DecimationQuestion) {
    this.#question = question;
    if (question.method === 'minmax') this.#extremes = this.#makeExtremes(Math.floor(question.points / 2));
    else if (question.readings > lttbMax) this.#preselect();
  }

  /** Adds rows `begin` to `end` (excluded), later than all that was added. Readings out of the range are passed over. */
  add(columns: SampleColumns, begin: number, end: number): void {
    const { times, values, kinds } = columns;
    const { from, to } = this.#question;
    let row = firstAtOrAfter(times, begin, end, from);
    const last = firstAtOrAfter(times, row, end, to);
    while (row < last) {
      // Texts stand between the runs of numbers.
      while (row < last && kinds?.[row] === valueKind.text) row++;
      let stop = kinds === null ? last : row;
      while (stop < last && kinds?.[stop] !== valueKind.text) stop++;
      if (stop === row) return;
      if (this.#extremes) {
        this.#first ??= { time: times[row], value: sampleValue(columns, row) };
        this.#last = { time: times[stop - 1], value: sampleValue(columns, stop - 1) };
        this.#extremes.add(times, values, kinds, row, stop);
      } else {
        this.#all.add(times, values, kinds, row, stop);
        if (this.#all.count > lttbMax) this.#preselect();
      }
      row = stop;
    }
  }

  /**
   * Notes a summary that is to be offered to `addSummary` later, and whose readings are just as it says: having seen all of
   * them, fewer have to be unpacked.
   */
  consider(summary: Summary): void {
    this.#extremes?.consider(summary);
  }

  /** Adds readings of which only the summary is known, when none of them shows; false when they have to be added themselves. */
  addSummary(summary: Summary): boolean {
    const { first, firstTime, last, lastTime, numbers } = summary;
    if (numbers === 0) return true;
    if (!this.#extremes || typeof first === 'string' || typeof last === 'string') return false;
    if (firstTime < this.#question.from || lastTime >= this.#question.to) return false;
    if (this.#extremes.isNeeded(summary)) return false;
    this.#first ??= { time: firstTime, value: first };
    this.#last = { time: lastTime, value: last };
    return true;
  }

  /**
   * Adds readings that are gone but for their summary: the first and the last number stand where they were, and between them
   * the least and the greatest, if they are others, a third of the way from either end.
   */
  addCoarse(summary: Summary): void {
    const points = coarsePoints(summary);
    const values = points.map(({ value }) => value);
    this.add(
      {
        count: points.length,
        times: Float64Array.from(points, ({ time }) => time),
        values: Float64Array.from(values, Number),
        kinds: values.some((value) => typeof value === 'boolean')
          ? Uint8Array.from(values, (value) => (typeof value === 'boolean' ? valueKind.boolean : valueKind.number))
          : null,
        texts: [],
      },
      0,
      points.length,
    );
  }

  /** The readings chosen, ascending. */
  close(): SampleColumns {
    const { points, method } = this.#question;
    const chosen = this.#extremes ? new PointList() : this.#all;
    if (this.#extremes) {
      const keepsEnds = method === 'lttb';
      const first = keepsEnds ? this.#first : null;
      const last = keepsEnds ? this.#last : null;
      if (first) chosen.push(first.time, Number(first.value), kindOf(first.value));
      this.#extremes.forEach((time, value, kind) => {
        if (time !== first?.time && time !== last?.time) chosen.push(time, value, kind);
      });
      if (last && last.time !== first?.time) chosen.push(last.time, Number(last.value), kindOf(last.value));
    }
    if (method === 'minmax') return chosen.columns(null);
    return chosen.columns(lttb(chosen.times, chosen.values, chosen.count, points));
  }

  /** From now on `lttb` chooses among extremes only, of what there was, too. */
  #preselect(): void {
    const all = this.#all;
    this.#extremes = this.#makeExtremes(Math.max(1, preselection * (this.#question.points - 2)));
    if (all.count === 0) return;
    this.#first = all.sampleAt(0);
    this.#last = all.sampleAt(all.count - 1);
    this.#extremes.add(all.times, all.values, all.kinds, 0, all.count);
    all.clear();
  }

  #makeExtremes(stretches: number): StretchExtremes {
    return new StretchExtremes(this.#question.from, this.#question.to, stretches);
  }
}

/** Numbers and booleans with their times. */
class PointList {
  count = 0;
  times = new Float64Array(256);
  values = new Float64Array(256);
  kinds = new Uint8Array(256);

  add(times: Float64Array, values: Float64Array, kinds: Uint8Array | null, begin: number, end: number): void {
    this.#reserve(end - begin);
    this.times.set(times.subarray(begin, end), this.count);
    this.values.set(values.subarray(begin, end), this.count);
    if (kinds) this.kinds.set(kinds.subarray(begin, end), this.count);
    else this.kinds.fill(valueKind.number, this.count, this.count + end - begin);
    this.count += end - begin;
  }

  push(time: number, value: number, kind: number): void {
    this.#reserve(1);
    this.times[this.count] = time;
    this.values[this.count] = value;
    this.kinds[this.count++] = kind;
  }

  sampleAt(row: number): Sample {
    const value = this.values[row];
    return { time: this.times[row], value: this.kinds[row] === valueKind.boolean ? value !== 0 : value };
  }

  clear(): void {
    this.count = 0;
    this.times = new Float64Array(0);
    this.values = new Float64Array(0);
    this.kinds = new Uint8Array(0);
  }

  /** These rows; null: all. */
  columns(rows: Int32Array | null): SampleColumns {
    const count = rows?.length ?? this.count;
    const pick = (column: Float64Array | Uint8Array) => (_: unknown, index: number) => column[rows?.[index] ?? index];
    const kinds = Uint8Array.from({ length: count }, pick(this.kinds));
    return {
      count,
      times: Float64Array.from({ length: count }, pick(this.times)),
      values: Float64Array.from({ length: count }, pick(this.values)),
      kinds: kinds.every((kind) => kind === valueKind.number) ? null : kinds,
      texts: [],
    };
  }

  #reserve(more: number): void {
    const count = this.count + more;
    if (count <= this.times.length) return;
    const capacity = Math.max(count, this.times.length * 2);
    this.times = longer(this.times, new Float64Array(capacity));
    this.values = longer(this.values, new Float64Array(capacity));
    this.kinds = longer(this.kinds, new Uint8Array(capacity));
  }
}

function longer<T extends Float64Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

function kindOf(value: Value): number {
  return typeof value === 'boolean' ? valueKind.boolean : valueKind.number;
}

function coarsePoints(summary: Summary): { readonly time: number; readonly value: Value }[] {
  const { numbers, firstTime, lastTime, min, max, more } = summary;
  if (numbers === 0) return [];
  // Between booleans there may have been numbers.
  const isBoolean =
    typeof summary.first === 'boolean' &&
    typeof summary.last === 'boolean' &&
    [min, max].every((value) => value === 0 || value === 1);
  const valueOf = (number: number): Value => (isBoolean ? number !== 0 : number);
  const begin = more ? more.firstNumberTime : firstTime;
  const end = more ? more.lastNumberTime : lastTime;
  const first = more ? more.firstNumber : Number(summary.first);
  const last = more ? more.lastNumber : Number(summary.last);
  const points = [{ time: begin, value: valueOf(first) }];
  const third = (end - begin) / 3;
  // Which of the two came first is not known: the line goes on towards the last.
  const inner = (last >= first ? [min, max] : [max, min]).filter((value) => value !== first && value !== last);
  for (const [index, value] of inner.entries()) {
    if (third >= 1) points.push({ time: Math.floor(begin + third * (index + 1)), value: valueOf(value) });
  }
  if (end > begin) points.push({ time: end, value: valueOf(last) });
  return points;
}
