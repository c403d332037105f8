import type { ChunkMerge } from './chunk-merge.ts';
import { MergeSources } from './chunk-merge.ts';
import { planLateMerge } from './chunk-merge-late.ts';
import { planSmallMerge } from './chunk-merge-small.ts';
import type { ChunkPiece } from './chunk-packing.ts';
import { cutEvenly, packTogether } from './chunk-packing.ts';
import type { ChunkEdit, ChunkStore } from './chunk-store.ts';
import type { Database } from './database.ts';
import { numberIn, Statements } from './database.ts';
import type { DeviceState, SeriesState } from './series-state.ts';
import type { StorageTransaction } from './transaction.ts';
import type { WriterState } from './writer-state.ts';

/** Readings and series that one step handles, about: two milliseconds, for which a commit may have to wait. */
const stepReadingsMax = 16_384;
const stepSeriesMax = 64;
/** Small chunks sealed of a series before it is worth looking at them. */
const smallMin = 4;
/** Merging where it pays little stops when this many times the sealed bytes have been written again in all. */
const credit = 6;

/**
 * Merges chunks between commits, a little at a time: late chunks into those in order that they lie over, and the small
 * chunks of slow series into large ones. What a reading says does not change by it. Each step is one transaction, so a
 * kill leaves the chunks before or after it, and so does a reader find them.
 *
 * It obeys, and must not break, what `ChunkStore` says of all chunks of a series. Series of one device go together where
 * they wait together, so that merged chunks share their times as the ones before did.
 */
export class Compactor {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: StorageTransaction;
  readonly #chunks: ChunkStore;
  readonly #sealCount: number;
  readonly #sources: MergeSources;
  readonly #late = new Waiting();
  readonly #small = new Waiting();
  /** Series whose late chunks were not worth merging when they were last looked at. */
  readonly #deferred = new Set<SeriesState>();

  constructor(
    database: Database,
    state: WriterState,
    options: { readonly chunks: ChunkStore; readonly transaction: StorageTransaction; readonly sealCount: number },
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
    return this.#late.next !== undefined || this.#small.next !== undefined;
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
    const late = this.#late.next;
    if (late) {
      this.#stepLate(late);
      return this.isDue;
    }
    const small = this.#small.next;
    if (small) this.#stepSmall(small);
    return this.isDue;
  }

  #stepLate(device: DeviceState): void {
    const planned = this.#plan(this.#late.of(device), (series) =>
      planLateMerge(this.#statements, this.#sources, series, (bytes) => this.#canAfford(bytes)),
    );
    this.#write(planned);
    // Those that were merged are looked at again, until nothing is left of their late chunks or of the will.
    for (const [series, merge] of planned) {
      if (merge) continue;
      this.#late.remove(series);
      this.#deferred.add(series);
    }
  }

  #stepSmall(device: DeviceState): void {
    const planned = this.#plan(this.#small.of(device), (series) =>
      planSmallMerge(this.#statements, this.#sources, series, this.#sealCount),
    );
    this.#write(planned);
    for (const [series] of planned) {
      this.#small.remove(series);
      series.smallChunks = 0;
    }
  }

  /** What to do for each of the series, as far as one step goes; null where there is nothing to do. */
  #plan(
    waiting: Iterable<SeriesState>,
    plan: (series: SeriesState) => ChunkMerge | null,
  ): Map<SeriesState, ChunkMerge | null> {
    const planned = new Map<SeriesState, ChunkMerge | null>();
    let readings = 0;
    for (const series of waiting) {
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
    const pieces = merges.flatMap((merge) => this.#piecesOf(merge));
    const packed = packTogether(pieces);
    this.#chunks.change(this.#transaction, 'merged', (edit) => {
      for (const merge of merges) remove(edit, merge);
      for (const [at, { series, number }] of pieces.entries()) {
        if (number === null) edit.insert(series, false, packed[at]);
        else edit.replace(series, number, packed[at]);
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

  #canAfford(bytes: number): boolean {
    return this.#state.mergedBytes + bytes <= this.#state.sealedBytes * credit;
  }
}

function remove(edit: ChunkEdit, merge: ChunkMerge): void {
  for (const number of merge.removed) edit.remove(merge.series, number);
  if (merge.putInOrder !== null) edit.putInOrder(merge.series, merge.putInOrder);
}

interface MergedPiece extends ChunkPiece {
  readonly series: SeriesState;
  /** Of the late chunk whose place it takes; null for a new chunk in order. */
  readonly number: number | null;
}

/** Series that wait for their turn, by device. */
class Waiting {
  readonly #byDevice = new Map<DeviceState, Set<SeriesState>>();

  /** The device that has waited longest. */
  get next(): DeviceState | undefined {
    return this.#byDevice.keys().next().value;
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

  of(device: DeviceState): Iterable<SeriesState> {
    return this.#byDevice.get(device) ?? [];
  }
}
