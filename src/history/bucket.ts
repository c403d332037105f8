const weekMs = 7 * 86_400_000;
/** Monday 5 January 1970, UTC: the first Monday since the epoch. */
const firstMonday = 4 * 86_400_000;

/**
 * Begin of the bucket that holds `time`, epoch ms: whole multiples of `width` (ms) since the epoch, except that whole
 * weeks begin on a Monday, UTC.
 */
export function bucketBegin(time: number, width: number): number {
  const origin = width % weekMs === 0 ? firstMonday : 0;
  return Math.floor((time - origin) / width) * width + origin;
}
