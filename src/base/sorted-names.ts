/**
 * Names in order, for lists of 100,000 that are read a page at a time. Adding and deleting cost next to nothing; the
 * order is made good when it is next asked for, by merging what is new into what is sorted already.
 */
export class SortedNames {
  #sorted: readonly string[] = [];
  readonly #added = new Set<string>();
  readonly #deleted = new Set<string>();

  /** Fine for a name that is there. */
  add(name: string): void {
    this.#deleted.delete(name);
    this.#added.add(name);
  }

  /** Fine for a name that is not there. */
  delete(name: string): void {
    this.#added.delete(name);
    this.#deleted.add(name);
  }

  /** The names behind `name` (null: all of them), by UTF-16 units, as they were when this was called. */
  after(name: string | null): Iterable<string> {
    this.#merge();
    const sorted = this.#sorted;
    return rest(sorted, name === null ? 0 : placeBehind(sorted, name));
  }

  #merge(): void {
    if (this.#added.size + this.#deleted.size === 0) return;
    const added = [...this.#added].sort(compare);
    const merged: string[] = [];
    let next = 0;
    for (const name of this.#sorted) {
      if (this.#deleted.has(name)) continue;
      while (next < added.length && added[next] < name) merged.push(added[next++]);
      if (added[next] === name) next++;
      merged.push(name);
    }
    while (next < added.length) merged.push(added[next++]);
    this.#sorted = merged;
    this.#added.clear();
    this.#deleted.clear();
  }
}

function* rest(names: readonly string[], from: number): Generator<string> {
  for (let index = from; index < names.length; index++) yield names[index];
}

function placeBehind(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
