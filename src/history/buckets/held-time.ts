import type { Value } from '../../domain/reading.ts';
import { valueKind } from '../../domain/reading.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import { sampleValue } from '../../domain/sample-columns.ts';
import type { HoldAggregate } from './bucket-needs.ts';
import type { BucketTable } from './bucket-table.ts';
import type { Sample } from '../reader.ts';

/** For how long in each bucket a value was in force that fits: in a range, or a certain state. Each holds until the next. */
export class HeldTime {
  readonly #tests: readonly HoldAggregate[];
  readonly #table: BucketTable;
  /** Whether the reading in force fits, test by test. */
  readonly #fits: boolean[];
  /** The texts of the columns seen last, and which of them fit, test by test. */
  #texts: readonly string[] | null = null;
  #fitting: readonly Uint8Array[] = [];
  /** The reading in force came then; before its bucket all is told. */
  #time = Number.NaN;
  #row = 0;
  #since = Number.NaN;

  constructor(tests: readonly HoldAggregate[], table: BucketTable) {
    this.#tests = tests;
    this.#table = table;
    this.#fits = tests.map(() => false);
  }

  /** From when on it is known what is in force; NaN when nothing is. */
  get since(): number {
    return this.#since;
  }

  /** The reading in force when the range begins. */
  keep({ time, value }: Sample): void {
    this.#time = time;
    this.#since = time;
    for (const [index, test] of this.#tests.entries()) this.#fits[index] = isFit(test, value);
  }

  /** Adds rows of the last bucket of the table. */
  add(columns: SampleColumns, begin: number, end: number): void {
    const { times } = columns;
    if (Number.isNaN(this.#since)) this.#since = times[begin];
    this.#spread(times[begin]);
    if (columns.texts !== this.#texts) {
      this.#texts = columns.texts;
      this.#fitting = this.#tests.map((test) => fittingTexts(test, columns.texts));
    }
    const row = this.#table.count - 1;
    for (const [index, test] of this.#tests.entries()) {
      this.#table.held[index][row] += heldIn(columns, begin, end, test, this.#fitting[index]);
      this.#fits[index] = isFit(test, sampleValue(columns, end - 1));
    }
    this.#time = times[end - 1];
    this.#row = row;
  }

  /** What is in force stays so until `time`. */
  close(time: number): void {
    this.#spread(time);
  }

  #spread(time: number): void {
    if (!(time > this.#time)) return;
    const { begins, ends, count, held } = this.#table;
    for (let row = this.#row; row < count; row++) {
      const span = Math.min(time, ends[row]) - Math.max(this.#time, begins[row]);
      if (span > 0) for (const [index, column] of held.entries()) if (this.#fits[index]) column[row] += span;
    }
  }
}

/** Whether a value is what is asked for. A device that sends a bare `on` has it kept as `true`: that is `on`, too. */
function isFit(test: HoldAggregate, value: Value): boolean {
  if (test.kind === 'timeInRange') {
    return typeof value !== 'string' && Number(value) >= test.low && Number(value) <= test.high;
  }
  return value === test.state || (typeof value === 'boolean' && test.state === (value ? 'on' : 'off'));
}

/** How long what fits was in force from row `begin` to row `end` - 1, ms. `fitting`: of the texts, see `fittingTexts`. */
function heldIn(
  { times, values, kinds }: SampleColumns,
  begin: number,
  end: number,
  test: HoldAggregate,
  fitting: Uint8Array,
): number {
  let held = 0;
  if (kinds === null && test.kind === 'timeInRange') {
    const { low, high } = test;
    for (let at = begin; at < end - 1; at++) {
      if (values[at] >= low && values[at] <= high) held += times[at + 1] - times[at];
    }
    return held;
  }
  for (let at = begin; at < end - 1; at++) {
    const kind = kinds === null ? valueKind.number : kinds[at];
    const value = values[at];
    const isHeld =
      kind === valueKind.text ? fitting[value] === 1 : isFit(test, kind === valueKind.boolean ? value !== 0 : value);
    if (isHeld) held += times[at + 1] - times[at];
  }
  return held;
}

/** For each text 1 when it fits, so that readings need not be compared letter by letter. */
function fittingTexts(test: HoldAggregate, texts: readonly string[]): Uint8Array {
  return Uint8Array.from(texts, (text) => (isFit(test, text) ? 1 : 0));
}
