import type { SampleColumns } from '../../domain/sample-columns.ts';
import type { ReadingsPage, RowFormat, SeriesLabel, TextPage } from '../queries.ts';
import { ByteSink } from './byte-sink.ts';
import type { RowWriter } from './row-writer.ts';
import { rowWriters } from './row-writers.ts';

/** What of a `TextPage` is text. */
export type PageText = Pick<TextPage, 'bytes' | 'times' | 'parts'>;

interface OpenPart {
  readonly index: number;
  readonly label: SeriesLabel;
  readings: number;
}

/**
 * Pages of readings as text, one after the other through the same memory. Between two rows of a part stands a comma where
 * the format has one, and none behind the last; of `senml` a comma stands between two parts as well (it ends the part before it),
 * so that the bytes of a page are one list of records.
 */
export class PageTextWriter {
  readonly #rows = new ByteSink();
  readonly #times = new ByteSink(1);
  #parts: TextPage['parts'][number][] = [];
  #writer: RowWriter = rowWriters.rows;
  #part: OpenPart | null = null;

  /** Begins a page; one that was not finished is forgotten. */
  begin(format: RowFormat): void {
    this.#writer = rowWriters[format];
    this.#rows.length = 0;
    this.#times.length = 0;
    this.#parts = [];
    this.#part = null;
  }

  /** Begins the part of the range `index`. A part to which nothing is added is left out. */
  part(index: number, label: SeriesLabel): void {
    this.#endPart();
    this.#part = { index, label, readings: 0 };
  }

  /** Adds rows `begin` to `end` (excluded) to the part; may come many times. */
  add(columns: SampleColumns, begin: number, end: number): void {
    const part = this.#part;
    if (part === null || begin >= end) return;
    part.readings += end - begin;
    this.#writer.write(columns, begin, end, part.label, this.#rows, this.#times);
  }

  /** Bytes of the page so far. */
  get length(): number {
    return this.#rows.length + this.#times.length;
  }

  finish(): PageText {
    this.#endPart();
    const { separated } = this.#writer;
    if (separated === 'page' && this.#parts.length > 0) {
      this.#rows.length--;
      const last = this.#parts.pop();
      if (last) this.#parts.push({ ...last, end: last.end - 1 });
    }
    const parts = this.#parts;
    this.#parts = [];
    const times = this.#writer === rowWriters.columns ? this.#times.take() : null;
    return { bytes: this.#rows.take(), times, parts };
  }

  #endPart(): void {
    const part = this.#part;
    this.#part = null;
    if (part === null || part.readings === 0) return;
    if (this.#writer.separated === 'part') {
      this.#rows.length--;
      if (this.#times.length > 0) this.#times.length--;
    }
    const { index, readings } = part;
    this.#parts.push({ index, readings, end: this.#rows.length, timesEnd: this.#times.length });
  }
}

/** A page that is there as columns, as text. `labels`: one for each range, by the index of the parts. */
export function writePage(
  page: Pick<ReadingsPage, 'parts'>,
  format: RowFormat,
  labels: readonly SeriesLabel[],
  writer = new PageTextWriter(),
): PageText {
  writer.begin(format);
  for (const { index, columns } of page.parts) {
    writer.part(index, labels[index]);
    writer.add(columns, 0, columns.count);
  }
  return writer.finish();
}
