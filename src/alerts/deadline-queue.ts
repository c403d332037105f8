import type { AlertCell } from './standing.ts';

interface Entry {
  readonly deadline: number;
  readonly cell: AlertCell;
}

/**
 * The pending cells by deadline: a binary heap whose entries are corrected when they reach the top, so that a breach that
 * goes on or ends costs nothing here. An entry counts only while `cell.queuedAt` is its deadline, and a deadline may turn
 * out later than its entry says, never earlier: `schedule` adds an earlier one.
 */
export class DeadlineQueue {
  readonly #heap: Entry[] = [];

  /** Sees to it that the cell is looked at by `deadline`. */
  schedule(cell: AlertCell, deadline: number): void {
    if (cell.queuedAt <= deadline) return;
    cell.queuedAt = deadline;
    this.#heap.push({ deadline, cell });
    this.#rise(this.#heap.length - 1);
  }

  /** The earliest deadline, or null. `deadlineOf` gives the true deadline of a cell, infinite when it has none. */
  next(deadlineOf: (cell: AlertCell) => number): number | null {
    for (let top = this.#heap[0]; top; top = this.#heap[0]) {
      const current = top.cell.queuedAt === top.deadline;
      const deadline = current ? deadlineOf(top.cell) : Number.POSITIVE_INFINITY;
      if (deadline <= top.deadline) return top.deadline;
      this.#pop();
      if (!current) continue;
      top.cell.queuedAt = Number.POSITIVE_INFINITY;
      if (deadline < Number.POSITIVE_INFINITY) this.schedule(top.cell, deadline);
    }
    return null;
  }

  /** Every cell whose entry is due by `now`, in no particular order; leaves the queue as it is. */
  due(now: number): AlertCell[] {
    const cells: AlertCell[] = [];
    const open = [0];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const entry = this.#heap[index];
      if (!entry || entry.deadline > now) continue;
      if (entry.cell.queuedAt === entry.deadline) cells.push(entry.cell);
      open.push(2 * index + 1, 2 * index + 2);
    }
    return cells;
  }

  clear(): void {
    for (const { cell } of this.#heap) cell.queuedAt = Number.POSITIVE_INFINITY;
    this.#heap.length = 0;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#heap[parent].deadline <= this.#heap[index].deadline) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(): void {
    let index = 0;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < this.#heap.length && this.#heap[child].deadline < this.#heap[least].deadline) least = child;
      }
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #swap(a: number, b: number): void {
    const entry = this.#heap[a];
    this.#heap[a] = this.#heap[b];
    this.#heap[b] = entry;
  }
}
