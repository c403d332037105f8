import { type RollupTier, rollupTiers } from '../../../domain/retention.ts';
import { readChunk } from '../chunks/chunk-rows.ts';
import type { Database } from '../database.ts';
import { CorruptStoreError, numberIn, Statements } from '../database.ts';
import type { Stretch } from '../chunks/head.ts';
import { mergeStretches, stretchOf } from '../chunks/merge.ts';
import { encodeRollup } from './rollup-codec.ts';
import { RollupColumns, rollupPart, windowBuckets } from './rollup-columns.ts';
import { RollupFold } from './rollup-fold.ts';
import { rollupId, windowBegin } from './rollup-key.ts';
import { type RollupFacts, RollupReader, type Span } from './rollup-reader.ts';
import type { RollupResult, RollupRow, RollupTask } from './rollup-task.ts';

/** A rollup is worth its room when it stands for this many readings a bucket. */
const worthReadings = 16;
/** Readings after which the tasks that are left wait for the next call: some 20 ms. */
const readingsPerRun = 500_000;

/**
 * Sums up windows, in the maintenance thread and in one snapshot. It says what chunks say; the writer, who knows what was
 * written meanwhile, decides whether that still holds. Buckets whose readings are purged stay as they are in their row. A
 * damaged chunk counts for nothing.
 */
export class RollupMaker {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #rollups: RollupReader;
  readonly #columns = new RollupColumns();
  /** Readings unpacked in this run. */
  #unpacked = 0;

  constructor(database: Database) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#rollups = new RollupReader(database);
  }

  /** Answers the first of `tasks`, at least one; those that are left out have to be asked again. */
  run(tasks: readonly RollupTask[]): RollupResult[] {
    const results: RollupResult[] = [];
    this.#unpacked = 0;
    this.#database.exec('BEGIN');
    try {
      for (const task of tasks) {
        if (this.#unpacked > readingsPerRun) break;
        results.push(task.kind === 'look' ? this.#look(task) : this.#make(task));
      }
    } finally {
      if (this.#database.inTransaction) this.#database.exec('COMMIT');
    }
    return results;
  }

  #look({ id, series, tier, from, to }: RollupTask): RollupResult {
    const { windowMs } = rollupTiers[tier];
    let worthFrom = Number.POSITIVE_INFINITY;
    let worthTo = Number.NEGATIVE_INFINITY;
    let begin = windowBegin(tier, from);
    while (begin < to && this.#unpacked <= readingsPerRun) {
      const isWorth = this.#isWorth(series, tier, begin);
      if (isWorth) worthFrom = Math.min(worthFrom, begin);
      begin += windowMs;
      if (isWorth) worthTo = begin;
    }
    const worth = worthFrom < worthTo ? { from: worthFrom, to: worthTo } : null;
    return { id, kind: 'look', to: Math.min(begin, to), worth };
  }

  /** By the counts of chunks where they tell, else by the readings. */
  #isWorth(series: number, tier: RollupTier, begin: number): boolean {
    const end = begin + rollupTiers[tier].windowMs;
    let inside = 0;
    let touching = 0;
    for (const chunk of this.#chunksOf(series, begin, end)) {
      touching += chunk.count;
      if (!chunk.isLate && chunk.timeMin >= begin && chunk.timeMax < end) inside += chunk.count;
    }
    if (inside >= worthReadings * windowBuckets) return true;
    if (touching < worthReadings) return false;
    this.#columns.clear();
    this.#sumUp(series, tier, { from: begin, to: end }, this.#rollups.facts(series));
    let readings = 0;
    for (let row = 0; row < this.#columns.to; row++) readings += this.#columns.counts[row];
    return readings >= worthReadings * this.#columns.to && readings > 0;
  }

  #make({ id, series, tier, from, to }: RollupTask): RollupResult {
    const facts = this.#rollups.facts(series);
    const rows: RollupRow[] = [];
    for (let begin = windowBegin(tier, from); begin < to; begin += rollupTiers[tier].windowMs) {
      const row = this.#makeWindow(series, tier, { begin, from, to }, facts);
      if (row) rows.push(row);
    }
    return { id, kind: 'make', rows };
  }

  #makeWindow(
    series: number,
    tier: RollupTier,
    window: { readonly begin: number; readonly from: number; readonly to: number },
    facts: RollupFacts,
  ): RollupRow | null {
    const { begin } = window;
    const end = begin + rollupTiers[tier].windowMs;
    const from = Math.max(begin, window.from);
    const to = Math.min(end, window.to);
    const anew = madeAnew(tier, { from, to }, facts);
    const isWhole = anew.length === 1 && anew[0].from <= begin && anew[0].to >= end;
    const known = isWhole ? [] : this.#known(series, tier, { from: begin, to: end });
    const columns = this.#columns;
    columns.clear();
    const fold = new RollupFold(tier, columns);
    let at = 0;
    for (const span of anew) {
      let spanFrom = span.from;
      for (; at < known.length && known[at].bucket < span.from; at++) {
        fold.addBucket(known[at].bucket, known[at].summary, known[at].digits);
        // A bucket of which a part is purged: the row knows more than the readings.
        spanFrom = Math.max(spanFrom, known[at].bucket + rollupTiers[tier].bucketMs);
      }
      this.#foldSources(series, tier, { from: spanFrom, to: span.to }, facts, fold);
      while (at < known.length && known[at].bucket < span.to) at++;
    }
    for (const { bucket, summary, digits } of known.slice(at)) fold.addBucket(bucket, summary, digits);
    fold.finish();
    const id = rollupId(series, tier, begin);
    return { id, bytes: columns.to === 0 ? null : encodeRollup(tier, begin, columns) };
  }

  /** The buckets of a window as its row has them; none of one that is damaged. */
  #known(series: number, tier: RollupTier, { from, to }: Span): KnownBucket[] {
    const known: KnownBucket[] = [];
    try {
      for (const columns of this.#rollups.windows(series, tier, from, to, rollupPart.all)) {
        for (let row = columns.from; row < columns.to; row++) {
          known.push({ bucket: columns.begins[row], summary: columns.summaryAt(row), digits: columns.digits });
        }
      }
    } catch (error) {
      if (!(error instanceof CorruptStoreError)) throw error;
    }
    return known;
  }

  #sumUp(series: number, tier: RollupTier, span: { from: number; to: number }, facts: RollupFacts): void {
    const fold = new RollupFold(tier, this.#columns);
    this.#foldSources(series, tier, span, facts, fold);
    fold.finish();
  }

  #foldSources(
    series: number,
    tier: RollupTier,
    { from, to }: { readonly from: number; readonly to: number },
    facts: RollupFacts,
    fold: RollupFold,
  ): void {
    if (from >= to) return;
    let rawFrom = Math.max(from, facts.rawFrom);
    if (tier === 'hour') {
      const spans = this.#rollups.covered(series, 'minute', from, to, facts);
      const first = spans[0];
      // Minutes from the beginning on, as far as they reach; where they end within the purged time there is nothing more.
      if (first && first.from === from) {
        this.#foldMinutes(series, first.from, first.to, fold);
        rawFrom = Math.max(rawFrom, first.to);
      }
    }
    this.#foldReadings(series, Math.min(rawFrom, to), to, fold);
  }

  #foldMinutes(series: number, from: number, to: number, fold: RollupFold): void {
    for (const columns of this.#rollups.windows(series, 'minute', from, to, rollupPart.all)) {
      this.#unpacked += columns.to - columns.from;
      fold.addBuckets(columns);
    }
  }

  #foldReadings(series: number, from: number, to: number, fold: RollupFold): void {
    if (from >= to) return;
    const chunks = [...this.#chunksOf(series, from, to)];
    if (!chunks.some(({ isLate }) => isLate)) {
      for (const { number } of chunks) {
        const stretch = this.#read(series, number);
        if (stretch) fold.addSamples(stretch, from, to);
      }
      return;
    }
    // In the order of writing, which decides.
    const stretches = chunks.map(({ number }) => this.#read(series, number)).filter((stretch) => stretch !== null);
    const merged = mergeStretches(stretches, from, to);
    fold.addSamples(stretchOf(merged, 0, merged.count), from, to);
  }

  #read(series: number, number: number): Stretch | null {
    try {
      const stretch = readChunk(this.#statements, series, number);
      this.#unpacked += stretch.count;
      return stretch;
    } catch (error) {
      if (error instanceof CorruptStoreError) return null;
      throw error;
    }
  }

  /** Chunks that touch `[from, to)`: those in order ascending, then the late ones as they were written. */
  *#chunksOf(series: number, from: number, to: number): Generator<ChunkSpan, void, undefined> {
    const inOrder = this.#statements
      .get(
        `SELECT id & 2147483647, time_min, time_max, count FROM kept_chunk
         WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max`,
      )
      .each(series, from);
    for (const row of inOrder) {
      const timeMin = numberIn(row, 1);
      if (timeMin >= to) break;
      yield { number: numberIn(row, 0), isLate: false, timeMin, timeMax: numberIn(row, 2), count: numberIn(row, 3) };
    }
    const late = this.#statements
      .get(
        `SELECT id & 2147483647, time_min, time_max, count FROM kept_chunk
         WHERE series = ? AND late = 1 AND time_max >= ? AND time_min < ? ORDER BY id`,
      )
      .each(series, from, to);
    for (const row of late) {
      yield {
        number: numberIn(row, 0),
        isLate: true,
        timeMin: numberIn(row, 1),
        timeMax: numberIn(row, 2),
        count: numberIn(row, 3),
      };
    }
  }
}

/**
 * What of a span is summed up anew: what is not purged, and hours as far as there are minutes of them. The rest is known
 * from the row alone, and stays.
 */
function madeAnew(tier: RollupTier, { from, to }: Span, { rawFrom, minute }: RollupFacts): Span[] {
  const kept = { from: Math.max(from, rawFrom), to };
  const finer = { from: Math.max(from, minute.from), to: Math.min(to, minute.to, rawFrom) };
  const spans = tier === 'hour' && finer.from < finer.to ? [finer] : [];
  if (kept.from >= kept.to) return spans;
  return spans[0]?.to === kept.from ? [{ from: spans[0].from, to }] : [...spans, kept];
}

interface ChunkSpan {
  readonly number: number;
  readonly isLate: boolean;
  readonly timeMin: number;
  readonly timeMax: number;
  readonly count: number;
}

interface KnownBucket {
  readonly bucket: number;
  readonly summary: ReturnType<RollupColumns['summaryAt']>;
  readonly digits: number | null;
}
