import type { Sample } from '../../history/reader.ts';
import type { DamagedStretch } from '../../history/queries.ts';
import { formatTime } from '../moment.ts';
import { Pieces } from './pieces.ts';
import type { SeriesNames } from '../ports.ts';
import type { RawPart } from './raw-pages.ts';
import { jsonText, type Table, valueText } from './reading-table.ts';

/** What stands around readings and buckets in JSON, bit by bit, so that an answer may be longer than memory. */
export class ReadingEnvelope {
  readonly #pieces = new Pieces();
  readonly #form: 'rows' | 'columns';
  /** The members of the only series there is, which make the answer itself an object of that series. */
  readonly #single: string | null;
  /** What the rows are called. */
  readonly #list: 'readings' | 'buckets';
  #open: number | null = null;
  #count = 0;

  constructor(form: 'rows' | 'columns', list: 'readings' | 'buckets', single: string | null) {
    this.#form = form;
    this.#list = list;
    this.#single = form === 'rows' ? single : null;
    if (this.#single === null) this.#pieces.add('{"series":[');
  }

  /** Members of a series that is told with rows of the main thread. */
  async addTable(head: string, table: Table): Promise<void> {
    this.#addBody(head, await jsonText(table, this.#form, this.#list));
  }

  #addBody(head: string, body: string): void {
    this.#close();
    if (this.#single !== null) this.#pieces.add(`{${head},${body}`);
    else this.#pieces.add(`${this.#count === 0 ? '' : ','}{${head},${body}}`);
    this.#count++;
  }

  /** Readings that the reader wrote; the rest of a series may follow. */
  addPart(head: string, { series, bytes, times }: RawPart): void {
    if (this.#form === 'columns') {
      this.#pieces.add(`${this.#count === 0 ? '' : ','}{${head},"times":[`, times, '],"values":[', bytes, ']}');
    } else if (this.#open === series.id) {
      this.#pieces.add(',', bytes);
    } else {
      this.#close();
      if (this.#single !== null) this.#pieces.add(`{${head},"${this.#list}":[`, bytes);
      else this.#pieces.add(`${this.#count === 0 ? '' : ','}{${head},"${this.#list}":[`, bytes);
      this.#open = series.id;
    }
    this.#count++;
  }

  /** A series without readings. */
  addEmpty(head: string): void {
    this.#addBody(head, this.#form === 'rows' ? `"${this.#list}":[]` : '"times":[],"values":[]');
  }

  /** What is ready to be sent. */
  take(): readonly Uint8Array[] {
    return this.#pieces.take();
  }

  /** Closes the answer. `tail`: further members, each with a comma before it. */
  end(tail: string, next: string | null): void {
    if (this.#single !== null && this.#count === 0) this.addEmpty(this.#single);
    this.#close();
    const close = this.#single === null ? ']' : '';
    this.#pieces.add(`${close}${tail},"next":${JSON.stringify(next)}}`);
  }

  whole(): Uint8Array {
    return this.#pieces.whole();
  }

  #close(): void {
    if (this.#open === null) return;
    this.#pieces.add(this.#single === null ? ']}' : ']');
    this.#open = null;
  }
}

/** The members that name a series. */
export function headOf(series: {
  readonly device: string;
  readonly metric: string;
  readonly unit: string | null;
}): string {
  const { device, metric, unit } = series;
  return `"device":${JSON.stringify(device)},"metric":${JSON.stringify(metric)},"unit":${JSON.stringify(unit)}`;
}

export function sampleText(sample: Sample | null): string {
  return sample === null ? 'null' : `{"time":"${formatTime(sample.time)}","value":${valueText(sample.value)}}`;
}

/** Says which readings are there no more because what held them is damaged; nothing where all is well. */
export function damagedText(names: SeriesNames, stretches: readonly DamagedStretch[]): string {
  if (stretches.length === 0) return '';
  const rows = stretches.map(({ series, firstTime, lastTime, readings }) => {
    const { device, metric } = names.series(series);
    return { device, metric, from: formatTime(firstTime), to: formatTime(lastTime + 1), readings };
  });
  return `,"damaged":${JSON.stringify(rows)}`;
}
