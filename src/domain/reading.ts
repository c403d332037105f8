/** What a reading can hold. Text is at most `textBytesMax` bytes of UTF-8; numbers are finite. */
export type Value = number | boolean | string;

/** One decoded value. (device, metric, time) is its identity: the same again is identical, another value replaces. */
export interface Reading {
  readonly device: string;
  readonly metric: string;
  /** Epoch milliseconds, a whole number. */
  readonly time: number;
  readonly value: Value;
}

/** Longest text reading, in bytes of UTF-8. */
export const textBytesMax = 256;

/** Kinds of value as they stand in columns, chunks and the commit log. */
export const valueKind = { number: 0, boolean: 1, text: 2 } as const;

/** What a commit made of a reading. */
export const disposition = { stored: 0, replaced: 1, identical: 2 } as const;

/**
 * Readings column by column: the form in which they cross threads and reach the disk without an object each.
 * Row i is (series[i], times[i], value i); only the first `count` rows count, the arrays may be longer.
 */
export interface ReadingColumns {
  readonly count: number;
  /** Series ids. */
  readonly series: Uint32Array<ArrayBuffer>;
  /** Epoch milliseconds, whole numbers. */
  readonly times: Float64Array<ArrayBuffer>;
  /** The number; 0 or 1 for a boolean; the index in `texts` for a text. */
  readonly values: Float64Array<ArrayBuffer>;
  /** One of `valueKind` a row. */
  readonly kinds: Uint8Array<ArrayBuffer>;
  readonly texts: readonly string[];
}

/** The buffers under the columns, each once: they may go to another thread without being copied. */
export function readingBuffers({ series, times, values, kinds }: ReadingColumns): ArrayBuffer[] {
  return [...new Set([series.buffer, times.buffer, values.buffer, kinds.buffer])];
}

/** The value of row `index`. */
export function valueAt(columns: ReadingColumns, index: number): Value {
  const value = columns.values[index];
  switch (columns.kinds[index]) {
    case valueKind.boolean:
      return value !== 0;
    case valueKind.text:
      return columns.texts[value] ?? '';
    default:
      return value;
  }
}
