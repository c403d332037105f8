import { type Value, valueKind } from '../../src/domain/reading.ts';
import { type SampleColumns, sampleValue } from '../../src/domain/sample-columns.ts';
import type { Sample } from '../../src/history/reader.ts';

/** Samples as columns; `kinds` only when something is not a number. */
export function columnsOf(samples: readonly Sample[]): SampleColumns {
  const texts: string[] = [];
  const values = samples.map(({ value }) => (typeof value === 'string' ? texts.push(value) - 1 : Number(value)));
  const kinds = samples.map(({ value }) => kindOf(value));
  return {
    count: samples.length,
    times: Float64Array.from(samples, ({ time }) => time),
    values: Float64Array.from(values),
    kinds: kinds.every((kind) => kind === valueKind.number) ? null : Uint8Array.from(kinds),
    texts,
  };
}

export function samplesOf(columns: SampleColumns): Sample[] {
  return Array.from({ length: columns.count }, (_, row) => ({
    time: columns.times[row],
    value: sampleValue(columns, row),
  }));
}

function kindOf(value: Value): number {
  if (typeof value === 'string') return valueKind.text;
  return typeof value === 'boolean' ? valueKind.boolean : valueKind.number;
}
