import { type Value, valueKind } from './reading.ts';

/**
 * Readings of one series as columns, ascending by time unless said otherwise: the form in which history reads, answers
 * and crosses threads. Row i is (times[i], value i); only the first `count` rows count.
 */
export interface SampleColumns {
  readonly count: number;
  /** Epoch milliseconds, whole numbers, each once. */
  readonly times: Float64Array<ArrayBuffer>;
  /** The number; 0 or 1 for a boolean; the index in `texts` for a text. */
  readonly values: Float64Array<ArrayBuffer>;
  /** One of `valueKind` a row; null: all are numbers. */
  readonly kinds: Uint8Array<ArrayBuffer> | null;
  readonly texts: readonly string[];
}

/** The value of row `index`. */
export function sampleValue(columns: SampleColumns, index: number): Value {
  const value = columns.values[index];
  switch (columns.kinds?.[index]) {
    case valueKind.boolean:
      return value !== 0;
    case valueKind.text:
      return columns.texts[value] ?? '';
    default:
      return value;
  }
}

/** The buffers under the columns, which may go to another thread without being copied. */
export function sampleBuffers(columns: SampleColumns): ArrayBuffer[] {
  const { times, values, kinds } = columns;
  return kinds ? [times.buffer, values.buffer, kinds.buffer] : [times.buffer, values.buffer];
}
