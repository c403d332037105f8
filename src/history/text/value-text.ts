import { valueKind } from '../../domain/reading.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import { decimalBytesMax } from './decimal.ts';

const encoder = new TextEncoder();

export function encoded(text: string): Uint8Array {
  return encoder.encode(text);
}

export const trueBytes = encoded('true');
export const falseBytes = encoded('false');

/**
 * The texts of some columns as a format writes them, each made once however many rows have it; `longest` is what a value
 * of these columns may take, bytes.
 */
export class TextValues {
  readonly #texts: readonly string[];
  readonly #write: (text: string) => string;
  readonly #encoded: (Uint8Array | undefined)[] = [];

  constructor(columns: SampleColumns, write: (text: string) => string) {
    this.#texts = columns.texts;
    this.#write = write;
  }

  at(index: number): Uint8Array {
    return (this.#encoded[index] ??= encoded(this.#write(this.#texts[index] ?? '')));
  }

  /** Bytes of the longest value in rows `begin` to `end`. */
  longest({ kinds, values }: SampleColumns, begin: number, end: number): number {
    let longest = decimalBytesMax;
    if (kinds === null) return longest;
    for (let row = begin; row < end; row++) {
      if (kinds[row] === valueKind.text) longest = Math.max(longest, this.at(values[row]).length);
    }
    return longest;
  }
}
