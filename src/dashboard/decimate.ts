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
 * Breaks the line where nothing came for longer than `gapMs`, by a null halfway. A straight line across an outage
 * would claim values that nobody measured.
 */
export function breakAtGaps(line: Line, gapMs: number): Line {
  const broken: Line = { times: [], values: [] };
  for (const [index, time] of line.times.entries()) {
    const before = line.times[index - 1];
    if (before !== undefined && time - before > gapMs) {
      broken.times.push((before + time) / 2);
      broken.values.push(null);
    }
    broken.times.push(time);
    broken.values.push(line.values[index] ?? null);
  }
  return broken;
}

/** The gap worth showing: five times the usual distance of the points, at least `leastMs`. */
export function gapOf(points: Points, leastMs: number): number {
  const distances: number[] = [];
  const step = Math.max(1, Math.floor(points.size / 64));
  for (let index = 1; index < points.size; index += step) distances.push(points.time(index) - points.time(index - 1));
  distances.sort((a, b) => a - b);
  const usual = distances[Math.floor(distances.length / 2)] ?? 0;
  return Math.max(usual * 5, leastMs);
}

function columnOf(time: number, from: number, width: number, columns: number): number {
  return Math.min(columns - 1, Math.floor((time - from) / width));
}

function keep(line: Line, points: Points, index: number): void {
  line.times.push(points.time(index));
  line.values.push(points.value(index));
}
