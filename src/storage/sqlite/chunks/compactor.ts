import type { ChunkMerge } from './chunk-merge.ts';
import { MergeSources } from './chunk-merge.ts';
import { planLateMerge } from './chunk-merge-late.ts';
import { planSmallMerge } from './chunk-merge-small.ts';
import type { ChunkPiece } from './chunk-packing.ts';
import type { PackedChunk } from './chunk-rows.ts';
import { cutEvenly, packTogether } from './chunk-packing.ts';
import type { ChunkEdit, ChunkStore } from './chunk-store.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import type { DeviceState, SeriesState } from '../series-state.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Readings and series that one step handles, about: two milliseconds, for which a commit may have to wait. */
const stepReadingsMax = 8_192;
const stepSeriesMax = 16;
/** Small chunks sealed of a series before it is worth looking at them. */
const smallMin = 4;
/** Merging where it pays little stops when this many times the sealed bytes have been written again in all. */
const credit = 6;

/**
 * Merges chunks between commits, a little at a time: late chunks into those in order that they lie over, and the small
 * chunks of slow series into large ones. What a reading says does not change by it. Each step is one transaction, so a
 * kill leaves the chunks before or after it, and so does a reader find them.
 *
 * Both have their turn, and what late chunks may cost counts what small ones did: so slow series stay in few chunks
 * whatever comes late, and no more is written again in all.
 *
 * It obeys, and must not break, what `ChunkStore` says of all chunks of a series. Series of one device go together where
 * they wait together, so that merged chunks share their times as the ones before did.
 */
export class Compactor {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: Transaction;
  readonly #chunks: ChunkStore;
  readonly #sealCount: number;
  readonly #sources: MergeSources;
  readonly #late = new Waiting();
  readonly #small = new Waiting();
  #isLateNext = false;
  /** Series whose late chunks were not worth merging when they were last looked at. */
  readonly #deferred = new Set<SeriesState>();

  constructor(
    database: Database,
    state: WriterState,
    options: { readonly chunks: ChunkStore; readonly transaction: Transaction; readonly sealCount: number },
  ) {
    this.#statements = new Statements(database);
    this.#state = state;
    this.#transaction = options.transaction;
    this.#chunks = options.chunks;
    this.#sealCount = options.sealCount;
    this.#sources = new MergeSources(this.#statements);
    // What was left when the gateway stopped.
    for (const row of this.#statements.get('SELECT DISTINCT series FROM chunk WHERE late = 1').all()) {
      const series = state.series[numberIn(row, 0)];
      if (series) this.#late.add(series);
    }
  }

  get isDue(): boolean {
    return !this.#late.isEmpty || !this.#small.isEmpty;
  }

  /** A chunk of `count` readings was sealed and is on disk. */
  sealed(series: SeriesState, isLate: boolean, count: number): void {
    if (isLate) this.#late.add(series);
    else if (count * 2 < this.#sealCount && ++series.smallChunks >= smallMin) this.#small.add(series);
  }

  /** Some time has passed: what was not worth merging may be by now. */
  look(): void {
    if (!this.#canAfford(this.#state.sealedBytes / 2)) return;
    let looked = 0;
    for (const series of this.#deferred) {
      if (++looked > stepSeriesMax) return;
      this.#deferred.delete(series);
      this.#late.add(series);
    }
  }

  /** Merges a little; true when there may be more. Throws `TransactionError`; then nothing was merged. */
  step(): boolean {
    // In turn: late data that keeps coming may have more to do than there is time for.
    this.#isLateNext = !this.#isLateNext;
    if (this.#small.isEmpty || (this.#isLateNext && !this.#late.isEmpty)) this.#stepLate();
    else this.#stepSmall();
    return this.isDue;
  }

  #stepLate(): void {
    const planned = this.#plan(this.#late, (series) =>
      planLateMerge(this.#statements, this.#sources, series, (bytes) => this.#canAfford(bytes)),
    );
    this.#write(planned);
    // Those that were merged are looked at again, until nothing is left of their late chunks or of the will.
    for (const [series, merge] of planned) {
      if (merge) continue;
      this.#late.remove(series);
      if (this.#hasLate(series)) this.#deferred.add(series);
    }
  }

  #stepSmall(): void {
    const planned = this.#plan(this.#small, (series) =>
      planSmallMerge(this.#statements, this.#sources, series, this.#sealCount),
    );
    this.#write(planned);
    for (const [series] of planned) {
      this.#small.remove(series);
      series.smallChunks = 0;
    }
  }

  /** What to do for each of the series that wait, as far as one step goes; null where there is nothing to do. */
  #plan(waiting: Waiting, plan: (series: SeriesState) => ChunkMerge | null): Map<SeriesState, ChunkMerge | null> {
    const planned = new Map<SeriesState, ChunkMerge | null>();
    let readings = 0;
    for (const series of waiting.all()) {
      // Chunks that are deleted are hidden by their numbers; nothing moves until they are gone.
      const merge = series.isErasing ? null : plan(series);
      planned.set(series, merge);
      readings += (merge?.inOrder?.count ?? 0) + (merge?.late?.stretch.count ?? 0);
      if (readings >= stepReadingsMax || planned.size >= stepSeriesMax) break;
    }
    return planned;
  }

  #write(planned: ReadonlyMap<SeriesState, ChunkMerge | null>): void {
    const merges = [...planned.values()].filter((merge) => merge !== null);
    if (merges.length === 0) return;
    const packed: MergedChunk[] = [];
    for (const ofDevice of Map.groupBy(merges, ({ series }) => series.device).values()) {
      const pieces = ofDevice.flatMap((merge) => this.#piecesOf(merge));
      const chunks = packTogether(pieces);
      for (const [at, { series, number }] of pieces.entries()) packed.push({ series, number, chunk: chunks[at] });
    }
    this.#chunks.change(this.#transaction, 'merged', (edit) => {
      for (const merge of merges) remove(edit, merge);
      for (const { series, number, chunk } of packed) {
        if (number === null) edit.insert(series, false, chunk);
        else edit.replace(series, number, chunk);
      }
    });
  }

  #piecesOf({ series, inOrder, late }: ChunkMerge): MergedPiece[] {
    const pieces: MergedPiece[] = [];
    if (inOrder) {
      for (const piece of cutEvenly(inOrder, 0, inOrder.count, this.#sealCount)) {
        pieces.push({ ...piece, series, number: null });
      }
    }
    if (late) {
      const { stretch, number } = late;
      pieces.push({ stretch, begin: 0, end: stretch.count, series, number });
    }
    return pieces;
  }

  #hasLate(series: SeriesState): boolean {
    return (
      this.#statements.get('SELECT 1 FROM chunk WHERE series = ? AND late = 1 LIMIT 1').get(series.id) !== undefined
    );
  }

  #canAfford(bytes: number): boolean {
    return this.#state.mergedBytes + bytes <= this.#state.sealedBytes * credit;
  }
}

function remove(edit: ChunkEdit, merge: ChunkMerge): void {
  for (const number of merge.removed) edit.remove(merge.series, number);
  if (merge.putInOrder !== null) edit.putInOrder(merge.series, merge.putInOrder);
}

interface Merged {
  readonly series: SeriesState;
  /** Of the late chunk whose place it takes; null for a new chunk in order. */
  readonly number: number | null;
}

type MergedPiece = Merged & ChunkPiece;
type MergedChunk = Merged & { readonly chunk: PackedChunk };

/** Series that wait for their turn, by device. */
class Waiting {
  readonly #byDevice = new Map<DeviceState, Set<SeriesState>>();

  get isEmpty(): boolean {
    return this.#byDevice.size === 0;
  }

  add(series: SeriesState): void {
    const waiting = this.#byDevice.get(series.device);
    if (waiting) waiting.add(series);
    else this.#byDevice.set(series.device, new Set([series]));
  }

  remove(series: SeriesState): void {
    const waiting = this.#byDevice.get(series.device);
    waiting?.delete(series);
    if (waiting?.size === 0) this.#byDevice.delete(series.device);
  }

  /** Those of the device that has waited longest come first. */
  *all(): Generator<SeriesState, void, undefined> {
    for (const waiting of this.#byDevice.values()) yield* waiting;
  }
}
