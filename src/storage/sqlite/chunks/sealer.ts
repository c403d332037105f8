import type { ChunkPiece } from './chunk-packing.ts';
import { cutEvenly, packTogether, piecesOf } from './chunk-packing.ts';
import type { ChunkEdit, ChunkStore } from './chunk-store.ts';
import type { Compactor } from './compactor.ts';
import type { Database } from '../database.ts';
import { Statements } from '../database.ts';
import { DeviceRows } from '../rows/device-rows.ts';
import type { Head, Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';
import { writeMeta } from '../rows/meta.ts';
import type { DeviceState, SeriesState } from '../series-state.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Hears what sealing writes, within the transaction that writes it. */
export interface RollupTouch {
  /** Readings from `timeMin` to `timeMax`, both included, are written. */
  touch(series: number, timeMin: number, timeMax: number): void;
  /** Takes the first readings of a head, those of purged time, and returns how many: they become no chunk. */
  absorb(series: number, head: Stretch): number;
}

/** Chunks that one transaction writes, unless much is waiting: a commit waits a millisecond or two for it and no longer. */
const chunksPerStep = 32;
/** Heads of a fleet that become full together are sealed in so many steps, as even ones as can be. */
const stepsMax = 64;

/**
 * Turns heads into chunk rows. A head is sealed whole, between two commits: its readings that are newer than all sealed
 * ones become chunks in order, which never overlap each other in time; readings older than that become late chunks. The
 * same transaction notes for the series that its chunks cover the log up to the last commit, which is by position and
 * not by time, so that a late reading is never taken for a sealed one. The head is cleared when that is on disk.
 */
export class Sealer {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: Transaction;
  readonly #devices: DeviceRows;
  readonly #sealCount: number;
  readonly #chunks: ChunkStore;
  readonly #rollups: RollupTouch;
  readonly #compactor: Compactor;
  #due: SeriesState[] = [];
  /** Chunks a step that what is due takes: of all that has become due since nothing was. */
  #pace = 0;

  constructor(
    database: Database,
    state: WriterState,
    transaction: Transaction,
    options: {
      readonly sealCount: number;
      readonly chunks: ChunkStore;
      readonly rollups: RollupTouch;
      readonly compactor: Compactor;
    },
  ) {
    this.#statements = new Statements(database);
    this.#devices = new DeviceRows(database);
    this.#state = state;
    this.#transaction = transaction;
    this.#sealCount = options.sealCount;
    this.#chunks = options.chunks;
    this.#rollups = options.rollups;
    this.#compactor = options.compactor;
  }

  get isDue(): boolean {
    return this.#due.length > 0;
  }

  /** Called for every reading that reached a head. Replaced texts stay in memory until it is sealed, so they count, too. */
  markFull(id: number, head: Head): void {
    if (head.count < this.#sealCount && head.texts.length < this.#sealCount * 2) return;
    const series = this.#state.series[id];
    if (series) this.#mark(series);
  }

  /** Heads opened at or before `openedAt` (monotonic, ms) are due. */
  markOld(openedAt: number): void {
    for (const series of this.#state.series) {
      if (series && series.head.count > 0 && series.head.openedAt <= openedAt) this.#mark(series);
    }
  }

  /** Heads that hold readings of commits before `seq` are due, so that replay can begin there. */
  markBefore(seq: number): void {
    for (const series of this.#state.series) {
      if (series && series.head.count > 0 && series.head.firstSeq < seq) this.#mark(series);
    }
  }

  /** Heads of at least `countMin` readings are due. */
  markLarge(countMin: number): void {
    for (const series of this.#state.series) if (series && series.head.count >= countMin) this.#mark(series);
  }

  /** Seals some of what is due in one transaction. Throws `TransactionError`; then nothing was sealed. */
  step(chunksMin = chunksPerStep): void {
    if (this.#due.length === 0) return;
    // More at a time when much is waiting, so that sealing keeps up with any rate of commits.
    const batch = this.#nextBatch(Math.max(chunksMin, this.#pace));
    const sealed = this.#chunks.change(this.#transaction, 'sealed', (edit) => this.#seal(edit, batch));
    this.#state.replayFrom = sealed.replayFrom;
    for (const series of [...batch.values()].flat()) {
      series.isDue = false;
      if (series.head.count === 0) continue;
      series.sealedTime = Math.max(series.sealedTime, series.head.lastTime);
      series.sealedSeq = this.#state.seq;
      series.head.clear();
    }
    this.#due = this.#due.filter((series) => series.isDue);
    if (this.#due.length === 0) this.#pace = 0;
    for (const { series, isLate, begin, end } of sealed.pieces) this.#compactor.sealed(series, isLate, end - begin);
  }

  /**
   * What one transaction seals, by device. With a head that is due go those of its device that are half full: metrics
   * that come together are sealed together, and from then on they share their times.
   */
  #nextBatch(chunksMax: number): Map<DeviceState, SeriesState[]> {
    const batch = new Map<DeviceState, SeriesState[]>();
    const taken = new Set<SeriesState>();
    let chunks = 0;
    for (const due of this.#due) {
      if (taken.has(due)) continue;
      if (chunks >= chunksMax) break;
      const together = batch.get(due.device) ?? [];
      batch.set(due.device, together);
      for (const series of [due, ...due.device.series]) {
        const isReady = series.isDue || series.head.count * 2 >= this.#sealCount;
        if (!isReady || taken.has(series)) continue;
        taken.add(series);
        together.push(series);
        chunks += piecesOf(series.head.count, this.#sealCount);
        // A device of a few metrics is not torn apart; one of many goes in several steps.
        if (chunks >= 2 * chunksMax) return batch;
      }
    }
    return batch;
  }

  /** The head is due, whatever it holds. */
  mark(series: SeriesState): void {
    if (series.head.count > 0) this.#mark(series);
  }

  #mark(series: SeriesState): void {
    if (series.isDue) return;
    series.isDue = true;
    this.#due.push(series);
    this.#pace = Math.max(this.#pace, Math.ceil(this.#due.length / stepsMax));
  }

  #seal(edit: ChunkEdit, batch: ReadonlyMap<DeviceState, readonly SeriesState[]>): Sealed {
    const pieces: HeadPiece[] = [];
    for (const [device, together] of batch) {
      // What was due may have been deleted since.
      const filled = together.filter(({ head }) => head.count > 0);
      pieces.push(...this.#sealDevice(edit, filled));
      for (const series of filled) edit.noteSealed(series);
      if (filled.length > 0) this.#devices.writeLastSeen(device.record.device, this.#state.lastSeen(device));
    }
    const replayFrom = this.#replayFromWithout(new Set([...batch.values()].flat()));
    writeMeta(this.#statements, 'replay_from', replayFrom);
    return { pieces, replayFrom };
  }

  #sealDevice(edit: ChunkEdit, together: readonly SeriesState[]): HeadPiece[] {
    const pieces: HeadPiece[] = [];
    for (const series of together) {
      const head = series.head.view();
      const inOrder = firstAtOrAfter(head.times, head.count, series.sealedTime + 1);
      const purged = this.#rollups.absorb(series.id, head);
      const late = Math.max(inOrder, purged);
      if (purged < head.count) this.#rollups.touch(series.id, head.times[purged], head.times[head.count - 1]);
      for (const piece of cutEvenly(head, purged, late, this.#sealCount))
        pieces.push({ ...piece, series, isLate: true });
      for (const piece of cutEvenly(head, late, head.count, this.#sealCount)) {
        pieces.push({ ...piece, series, isLate: false });
      }
    }
    const packed = packTogether(pieces);
    for (const [at, { series, isLate }] of pieces.entries()) edit.insert(series, isLate, packed[at]);
    return pieces;
  }

  /** Where replay has to begin once the heads of `sealed` are empty. */
  #replayFromWithout(sealed: ReadonlySet<SeriesState>): number {
    let first = this.#state.seq + 1;
    for (const series of this.#state.series) {
      if (series && series.head.count > 0 && series.head.firstSeq < first && !sealed.has(series)) {
        first = series.head.firstSeq;
      }
    }
    return first;
  }
}

interface HeadPiece extends ChunkPiece {
  readonly series: SeriesState;
  readonly isLate: boolean;
}

interface Sealed {
  readonly pieces: readonly HeadPiece[];
  /** Where replay begins. */
  readonly replayFrom: number;
}
