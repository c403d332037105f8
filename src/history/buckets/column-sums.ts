/*
 * What a bucket adds up of rows `begin` to `end` (excluded) of a column. Short loops over plain arrays, which the engine of
 * the language compiles well: they decide how fast a chart is.
 */

export function sumOf(values: Float64Array, begin: number, end: number): number {
  let sum = 0;
  for (let at = begin; at < end; at++) sum += values[at];
  return sum;
}

/** The least of `mins` where there are numbers, and of `least`. */
export function leastOf(mins: Float64Array, numbers: Float64Array, begin: number, end: number, least: number): number {
  let min = least;
  for (let at = begin; at < end; at++) if (mins[at] < min && numbers[at] > 0) min = mins[at];
  return min;
}

export function greatestOf(
  maxs: Float64Array,
  numbers: Float64Array,
  begin: number,
  end: number,
  greatest: number,
): number {
  let max = greatest;
  for (let at = begin; at < end; at++) if (maxs[at] > max && numbers[at] > 0) max = maxs[at];
  return max;
}

/** What a counter counted from the first row to the last; a smaller value than the one before is a reset to zero. */
export function increaseOf(values: Float64Array, begin: number, end: number): number {
  let increase = 0;
  for (let at = begin + 1; at < end; at++) {
    const value = values[at];
    const before = values[at - 1];
    increase += value >= before ? value - before : value;
  }
  return increase;
}

/** Value × ms from the first row to the last, straight lines between them. */
export function linearArea(times: Float64Array, values: Float64Array, begin: number, end: number): number {
  let twice = 0;
  for (let at = begin + 1; at < end; at++) twice += (values[at] + values[at - 1]) * (times[at] - times[at - 1]);
  return twice / 2;
}

/** The same when a value holds until the next one. */
export function stepArea(times: Float64Array, values: Float64Array, begin: number, end: number): number {
  let area = 0;
  for (let at = begin + 1; at < end; at++) area += values[at - 1] * (times[at] - times[at - 1]);
  return area;
}

/** Sum of the squared deviations from their `mean`, freed of the rounding in it. */
export function deviationsFrom(mean: number, values: Float64Array, begin: number, end: number): number {
  let sum = 0;
  let squares = 0;
  for (let at = begin; at < end; at++) {
    const deviation = values[at] - mean;
    sum += deviation;
    squares += deviation * deviation;
  }
  return Math.max(0, squares - (sum * sum) / (end - begin));
}
