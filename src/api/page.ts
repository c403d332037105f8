/** Compares by UTF-16 units, the order in which names are listed; the same on every machine, unlike a locale's. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/**
 * The first `limit` of `rows` in the given order, and whether there are more. Keeps only that many at a time, so a page
 * of a large fleet costs one pass and no sort of everything.
 */
export function firstOf<T>(
  rows: Iterable<T>,
  limit: number,
  compare: (left: T, right: T) => number,
): { rows: T[]; more: boolean } {
  const kept: T[] = [];
  let more = false;
  for (const row of rows) {
    if (kept.length === limit) {
      more = true;
      if (compare(row, kept[limit - 1]) >= 0) continue;
      kept.pop();
    }
    kept.splice(placeOf(kept, row, compare), 0, row);
  }
  return { rows: kept, more };
}

/** Index of the first element that comes after `row`. */
function placeOf<T>(sorted: readonly T[], row: T, compare: (left: T, right: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(sorted[middle], row) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
