import { type RollupTier, rollupTiers } from '../../../domain/retention.ts';
import type { Database, Row } from '../database.ts';
import { bytesIn, numberIn, Statements } from '../database.ts';
import { decodeRollup } from './rollup-codec.ts';
import { RollupColumns } from './rollup-columns.ts';
import { rollupId, rollupIds, rollupOf, windowBegin } from './rollup-key.ts';

/** Times in `[from, to)`, epoch ms. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How far a series is summed up, and from where on its readings are kept. */
export interface RollupFacts {
  /** Readings before it are purged: a chunk that reaches further back is told from here on. -Infinity when none are. */
  readonly rawFrom: number;
  /** Empty where `from` is `to`. */
  readonly minute: Span;
  readonly hour: Span;
}

/**
 * Rollups of the snapshot that the reader holds. A rollup says what the chunks of its time say, and of purged time what
 * they said; heads and late readings that are not yet sealed come on top.
 */
export class RollupReader {
  readonly #statements: Statements;
  readonly #columns = new RollupColumns();

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  /** Facts of a series; an unknown one has no rollups. */
  facts(series: number): RollupFacts {
    const row = this.#statements
      .get('SELECT raw_from, minute_from, minute_to, hour_from, hour_to FROM series WHERE id = ?')
      .get(series);
    return {
      rawFrom: timeIn(row, 0) ?? Number.NEGATIVE_INFINITY,
      minute: { from: timeIn(row, 1) ?? 0, to: timeIn(row, 2) ?? 0 },
      hour: { from: timeIn(row, 3) ?? 0, to: timeIn(row, 4) ?? 0 },
    };
  }

  /**
   * The stretches of `[from, to)` that rollups of this tier tell, ascending, not touching each other. What lies in them
   * and in no row has no readings. Their edges are edges of buckets, but for `from` and `to` themselves.
   */
  covered(series: number, tier: RollupTier, from: number, to: number, facts = this.facts(series)): Span[] {
    const told = facts[tier];
    const begin = Math.max(from, told.from);
    const end = Math.min(to, told.to);
    if (begin >= end) return [];
    const spans: { from: number; to: number }[] = [];
    const add = (spanFrom: number, spanTo: number): void => {
      if (spanFrom >= spanTo) return;
      const last = spans[spans.length - 1];
      if (last?.to === spanFrom) last.to = spanTo;
      else spans.push({ from: spanFrom, to: spanTo });
    };
    let at = begin;
    for (const due of this.#due(series, tier, begin, end)) {
      // Of what is purged the row is still right, and all there is.
      const stale = { from: Math.max(due.from, facts.rawFrom), to: due.to };
      if (stale.from >= stale.to) continue;
      add(at, Math.min(Math.max(stale.from, at), end));
      at = Math.max(at, Math.min(stale.to, end));
    }
    add(at, end);
    return spans;
  }

  /**
   * Rows of the windows that touch `[from, to)`, ascending, with the rows of its buckets that begin in it between
   * `columns.from` and `columns.to`. Always the same object, filled anew; no second walk of the tier may run meanwhile.
   * `parts` are bits of `rollupPart`. Throws `CorruptStoreError` for a damaged window. Says nothing about `covered`.
   */
  *windows(
    series: number,
    tier: RollupTier,
    from: number,
    to: number,
    parts: number,
  ): Generator<RollupColumns, void, undefined> {
    if (from >= to) return;
    const columns = this.#columns;
    const rows = this.#statements
      .get('SELECT id, bytes FROM rollup WHERE id BETWEEN ? AND ? ORDER BY id')
      .each(rollupId(series, tier, windowBegin(tier, from)), rollupId(series, tier, windowBegin(tier, to - 1)));
    for (const row of rows) {
      decodeRollup(bytesIn(row, 1), rollupOf(numberIn(row, 0)), parts, columns);
      columns.from = columns.rowAtOrAfter(from);
      columns.to = columns.rowAtOrAfter(to);
      if (columns.from < columns.to) yield columns;
    }
  }

  /** Begin of the last window with a row that begins before `time`; null without one. */
  windowBefore(series: number, tier: RollupTier, time: number): number | null {
    const row = this.#statements
      .get('SELECT id FROM rollup WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1')
      .get(rollupIds(series, tier).first, rollupId(series, tier, windowBegin(tier, time - 1)));
    return row ? rollupOf(numberIn(row, 0)).begin : null;
  }

  /** Begin of the first window with a row that ends after `time`; null without one. */
  windowFrom(series: number, tier: RollupTier, time: number): number | null {
    const row = this.#statements
      .get('SELECT id FROM rollup WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1')
      .get(rollupId(series, tier, windowBegin(tier, time)), rollupIds(series, tier).last);
    return row ? rollupOf(numberIn(row, 0)).begin : null;
  }

  *#due(series: number, tier: RollupTier, from: number, to: number): Generator<Span, void, undefined> {
    const rows = this.#statements
      .get('SELECT id FROM rollup_due WHERE id BETWEEN ? AND ? ORDER BY id')
      .each(rollupId(series, tier, windowBegin(tier, from)), rollupId(series, tier, windowBegin(tier, to - 1)));
    for (const row of rows) {
      const { begin } = rollupOf(numberIn(row, 0));
      yield { from: begin, to: windowEnd(tier, begin) };
    }
  }
}

function windowEnd(tier: RollupTier, begin: number): number {
  return begin + rollupTiers[tier].windowMs;
}

function timeIn(row: Row | undefined, index: number): number | null {
  return row === undefined || row[index] === null ? null : numberIn(row, index);
}
