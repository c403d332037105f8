/** The first row from `begin` to `end` whose time is not before `time`, or `end`; looked for near `begin` first. */
export function firstAtOrAfter(times: Float64Array, begin: number, end: number, time: number): number {
  let low = begin;
  let step = 1;
  while (low + step < end && times[low + step] < time) {
    low += step;
    step *= 2;
  }
  let high = Math.min(end, low + step);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
