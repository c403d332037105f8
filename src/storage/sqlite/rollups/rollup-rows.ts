import type { RollupTier } from '../../../domain/retention.ts';
import type { Database } from '../database.ts';
import { bytesIn, numberIn, numberOrNullIn, Statements } from '../database.ts';
import { addMeta } from '../rows/meta.ts';
import { rollupId, rollupOf } from './rollup-key.ts';
import type { RollupState } from './rollup-state.ts';

/** The rows of rollups and what is noted about them; the caller holds the transaction. Totals in `meta` go along. */
export class RollupRows {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  bytes(id: number): Uint8Array<ArrayBuffer> | null {
    const row = this.#statements.get('SELECT bytes FROM rollup WHERE id = ?').get(id);
    return row ? bytesIn(row, 0) : null;
  }

  /** Writes a window anew; null: it has no readings. */
  put(id: number, bytes: Uint8Array | null): void {
    this.removeBetween(id, id);
    if (bytes === null) return;
    this.#statements.get('INSERT INTO rollup (id, bytes) VALUES (?, ?)').run(id, bytes);
    this.#count(1, bytes.length);
  }

  /** Removes the windows with keys from `first` to `last`, both included. */
  removeBetween(first: number, last: number): void {
    const rows = this.#statements
      .get('DELETE FROM rollup WHERE id BETWEEN ? AND ? RETURNING length(bytes)')
      .all(first, last);
    let bytes = 0;
    for (const row of rows) bytes += numberIn(row, 0);
    this.#count(-rows.length, -bytes);
  }

  /** Of the windows of a tier that begin in `[from, to)`, where the one after the first `max` begins; `to` if fewer. */
  beginAfter(
    series: number,
    tier: RollupTier,
    span: { readonly from: number; readonly to: number },
    max: number,
  ): number {
    const row = this.#statements
      .get('SELECT id FROM rollup WHERE id >= ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?')
      .get(rollupId(series, tier, span.from), rollupId(series, tier, span.to), max);
    return row ? rollupOf(numberIn(row, 0)).begin : span.to;
  }

  addDue(id: number): void {
    this.#statements.get('INSERT OR IGNORE INTO rollup_due (id) VALUES (?)').run(id);
  }

  removeDue(first: number, last: number): void {
    this.#statements.get('DELETE FROM rollup_due WHERE id BETWEEN ? AND ?').run(first, last);
  }

  /** Keys of windows that are due, from `first` on. */
  due(first: number, max: number): number[] {
    return this.#statements
      .get('SELECT id FROM rollup_due WHERE id >= ? ORDER BY id LIMIT ?')
      .all(first, max)
      .map((row) => numberIn(row, 0));
  }

  hasDue(first: number, last: number): boolean {
    return (
      this.#statements.get('SELECT 1 FROM rollup_due WHERE id BETWEEN ? AND ? LIMIT 1').get(first, last) !== undefined
    );
  }

  /** Writes what `state` says of a series into its row. */
  note(series: number, { minute, hour, rawFrom }: RollupState): void {
    this.#statements
      .get(
        `UPDATE series SET minute_from = ?, minute_to = ?, minute_looked = ?, hour_from = ?, hour_to = ?,
           hour_looked = ?, raw_from = ? WHERE id = ?`,
      )
      .run(
        timeOrNull(minute.from[series]),
        timeOrNull(minute.to[series]),
        timeOrNull(minute.looked[series]),
        timeOrNull(hour.from[series]),
        timeOrNull(hour.to[series]),
        timeOrNull(hour.looked[series]),
        timeOrNull(rawFrom[series]),
        series,
      );
  }

  /** Fills `state` with what the rows of all series say. */
  recall(state: RollupState): void {
    const rows = this.#statements
      .get(
        `SELECT id, minute_from, minute_to, minute_looked, hour_from, hour_to, hour_looked, raw_from FROM series
         WHERE coalesce(minute_looked, hour_looked, minute_from, hour_from, raw_from) IS NOT NULL`,
      )
      .each();
    for (const row of rows) {
      const series = numberIn(row, 0);
      state.reach(series);
      const time = (index: number): number => numberOrNullIn(row, index) ?? Number.NaN;
      state.minute.from[series] = time(1);
      state.minute.to[series] = time(2);
      state.minute.looked[series] = time(3);
      state.hour.from[series] = time(4);
      state.hour.to[series] = time(5);
      state.hour.looked[series] = time(6);
      state.rawFrom[series] = time(7);
    }
  }

  #count(rows: number, bytes: number): void {
    addMeta(this.#statements, 'rollups', rows);
    addMeta(this.#statements, 'rollup_bytes', bytes);
  }
}

function timeOrNull(time: number): number | null {
  return Number.isNaN(time) ? null : time;
}
