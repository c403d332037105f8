/** device × metric, with the number that stands for it in columns and on disk. */
export interface Series {
  /** 1 … 2^32 − 1, given out once and never again. */
  readonly id: number;
  readonly device: string;
  readonly metric: string;
}

/** Looks a series up by its number. */
export interface SeriesDirectory {
  /** Throws `InvariantError` for a number that was never given out. */
  series(id: number): Series;
}

const devicePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const metricPattern = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;

export function isDeviceId(text: string): boolean {
  return devicePattern.test(text);
}

/** `__proto__` is no name: as a member of a JSON object it would vanish, or worse. */
export function isMetricName(text: string): boolean {
  return metricPattern.test(text) && text !== '__proto__';
}

/** For error messages: what a device id must look like. */
export const deviceIdRule = '1 to 64 characters of A-Z a-z 0-9 . _ : - beginning with a letter or digit';
/** For error messages: what a metric name must look like. */
export const metricNameRule = '1 to 128 characters of A-Z a-z 0-9 _ . : - beginning with a letter, digit or _';
