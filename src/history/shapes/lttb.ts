/**
 * Largest triangle three buckets: of `count` points the rows of `wanted` (at least 2) that keep the shape. The first and the
 * last stay; those between are cut into equally many as are wanted, and of each is taken the one that makes the largest
 * triangle with the one taken before and the mean of those after. S. Steinarsson, "Downsampling Time Series for Visual
 * Representation" (2013), section 4.2.
 */
export function lttb(times: Float64Array, values: Float64Array, count: number, wanted: number): Int32Array {
  if (count <= wanted) return Int32Array.from({ length: count }, (_, row) => row);
  const rows = new Int32Array(wanted);
  const size = (count - 2) / (wanted - 2);
  let taken = 0;
  for (let bucket = 0; bucket < wanted - 2; bucket++) {
    const begin = Math.floor(bucket * size) + 1;
    const end = Math.floor((bucket + 1) * size) + 1;
    const nextEnd = Math.min(Math.floor((bucket + 2) * size) + 1, count);
    let time = 0;
    let value = 0;
    for (let row = end; row < nextEnd; row++) {
      // Times less the one taken, or their sum would be rounded.
      time += times[row] - times[taken];
      value += values[row];
    }
    time /= nextEnd - end;
    value = value / (nextEnd - end) - values[taken];
    taken = largest(times, values, { begin, end, taken, time, value });
    rows[bucket + 1] = taken;
  }
  rows[wanted - 1] = count - 1;
  return rows;
}

/** A bucket `[begin, end)`, the row taken before it, and the mean of those after it, seen from that. */
interface Choice {
  readonly begin: number;
  readonly end: number;
  readonly taken: number;
  readonly time: number;
  readonly value: number;
}

function largest(times: Float64Array, values: Float64Array, { begin, end, taken, time, value }: Choice): number {
  let best = begin;
  let bestArea = -1;
  for (let row = begin; row < end; row++) {
    // Twice the area.
    const area = Math.abs((times[row] - times[taken]) * value - time * (values[row] - values[taken]));
    if (area > bestArea) {
      bestArea = area;
      best = row;
    }
  }
  return best;
}
