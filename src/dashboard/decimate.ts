/** Points in ascending time, read by index; a `PointRing` is one. */
export interface Points {
  readonly size: number;
  time(index: number): number;
  value(index: number): number;
}

/** What is drawn: parallel columns, null where the line breaks. Times are epoch ms. */
export interface Line {
  readonly times: number[];
  readonly values: (number | null)[];
}

/**
 * Min/max decimation: of the points in `[from, to]` at most two for each of `columns` pixel columns, the smallest and
 * the largest in the order in which they came, so that no spike disappears. Columns with one or two points keep them
 * unchanged.
 */
export function decimate(points: Points, from: number, to: number, columns: number): Line {
  const line: Line = { times: [], values: [] };
  const width = (to - from) / columns;
  let index = 0;
  while (index < points.size && points.time(index) < from) index++;
  while (index < points.size && points.time(index) <= to) {
    const column = columnOf(points.time(index), from, width, columns);
    let least = index;
    let most = index;
    for (; index < points.size && points.time(index) <= to; index++) {
      if (columnOf(points.time(index), from, width, columns) !== column) break;
      if (points.value(index) < points.value(least)) least = index;
      if (points.value(index) >= points.value(most)) most = index;
    }
    keep(line, points, Math.min(least, most));
    if (least !== most) keep(line, points, Math.max(least, most));
  }
  return line;
}

/**
 * Breaks the line over every outage, by a null halfway. A straight line across one would claim values that nobody
 * measured.
 */
export function breakAtGaps(line: Line, leastMs: number): Line {
  const broken: Line = { times: [], values: [] };
  for (const [index, time] of line.times.entries()) {
    if (isGap(line.times, index, leastMs)) {
      broken.times.push(((line.times[index - 1] ?? time) + time) / 2);
      broken.values.push(null);
    }
    broken.times.push(time);
    broken.values.push(line.values[index] ?? null);
  }
  return broken;
}

/** Distances before and behind one that say what is usual there. */
const neighbours = 4;

/**
 * Whether there is an outage between the time at `index` and the one before: more than five times the distance that is
 * usual around it, and more than `leastMs`. Around it, since a device may speak more often at one time than at another.
 */
export function isGap(times: readonly number[], index: number, leastMs: number): boolean {
  const distance = distanceAt(times, index);
  if (!(distance > leastMs)) return false;
  const around: number[] = [];
  for (let at = index - neighbours; at <= index + neighbours; at++) {
    const other = distanceAt(times, at);
    if (at !== index && !Number.isNaN(other)) around.push(other);
  }
  around.sort((a, b) => a - b);
  const usual = around[Math.floor(around.length / 2)] ?? 0;
  return distance > usual * 5;
}

/** NaN where there is none. */
function distanceAt(times: readonly number[], index: number): number {
  return (times[index] ?? Number.NaN) - (times[index - 1] ?? Number.NaN);
}

function columnOf(time: number, from: number, width: number, columns: number): number {
  return Math.min(columns - 1, Math.floor((time - from) / width));
}

function keep(line: Line, points: Points, index: number): void {
  line.times.push(points.time(index));
  line.values.push(points.value(index));
}
