import { valueKind } from '../../domain/reading.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';

/** Numbers picked out from among texts. */
export class PickedNumbers {
  times = new Float64Array(64);
  values = new Float64Array(64);

  /** Takes the numbers of rows `begin` to `end`; returns how many there are. */
  take({ times, values, kinds }: SampleColumns, begin: number, end: number): number {
    if (end - begin > this.times.length) {
      this.times = new Float64Array(2 * (end - begin));
      this.values = new Float64Array(2 * (end - begin));
    }
    let count = 0;
    for (let row = begin; row < end; row++) {
      if (kinds?.[row] === valueKind.text) continue;
      this.times[count] = times[row];
      this.values[count++] = values[row];
    }
    return count;
  }
}

export function hasText(kinds: Uint8Array, begin: number, end: number): boolean {
  const at = kinds.indexOf(valueKind.text, begin);
  return at >= 0 && at < end;
}
