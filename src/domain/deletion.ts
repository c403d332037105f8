/** Readings of one series in `[from, to)`, epoch ms, that are to be gone for good. */
export interface Deletion {
  readonly series: number;
  readonly from: number;
  readonly to: number;
}
