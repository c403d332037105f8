import { valueKind } from '../../domain/reading.ts';
import { chunkCountMax } from './chunk-codec-bytes.ts';
import { packChunk } from './chunk-rows.ts';
import type { Database } from './database.ts';
import { Statements } from './database.ts';
import { DeviceRows } from './device-rows.ts';
import type { Head } from './head.ts';
import { firstAtOrAfter } from './head.ts';
import { writeMeta } from './meta.ts';
import type { DeviceState, SeriesState } from './series-state.ts';
import type { StorageTransaction } from './transaction.ts';
import type { WriterState } from './writer-state.ts';

/** Chunks that one transaction writes at most, so that a commit waits a few milliseconds for it and no longer. */
const chunksPerStep = 32;

/**
 * Turns heads into chunk rows. A head is sealed whole, between two commits: its readings that are newer than all sealed
 * ones become chunks in order, which never overlap each other in time; readings older than that become late chunks. The
 * same transaction notes for the series that its chunks cover the log up to the last commit, which is by position and
 * not by time, so that a late reading is never taken for a sealed one. The head is cleared when that is on disk.
 */
export class Sealer {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: StorageTransaction;
  readonly #devices: DeviceRows;
  readonly #sealCount: number;
  #due: SeriesState[] = [];

  constructor(
    database: Database,
    state: WriterState,
    transaction: StorageTransaction,
    options: { readonly sealCount: number },
  ) {
    this.#statements = new Statements(database);
    this.#devices = new DeviceRows(database);
    this.#state = state;
    this.#transaction = transaction;
    this.#sealCount = options.sealCount;
  }

  get isDue(): boolean {
    return this.#due.length > 0;
  }

  /** Called for every reading that reached a head. */
  markFull(series: SeriesState): void {
    if (series.isDue) return;
    const { head } = series;
    // Replaced texts stay in memory until the head is sealed, so they count as well.
    if (head.count >= this.#sealCount || head.texts.length >= this.#sealCount * 2) this.#mark(series);
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
    const chunksMax = Math.max(chunksMin, this.#due.length >> 5);
    const batch: SeriesState[] = [];
    let chunks = 0;
    while (batch.length < this.#due.length && (chunks === 0 || chunks < chunksMax)) {
      const series = this.#due[batch.length];
      batch.push(series);
      chunks += this.#piecesOf(series.head.count);
    }
    const sealed = this.#transaction.run(() => this.#seal(batch));
    this.#due = this.#due.slice(batch.length);
    this.#state.chunks += sealed.chunks;
    this.#state.chunkReadings += sealed.readings;
    this.#state.replayFrom = sealed.replayFrom;
    for (const series of batch) {
      series.chunks += sealed.chunksOf.get(series) ?? 0;
      series.sealedTime = Math.max(series.sealedTime, series.head.times[series.head.count - 1]);
      series.sealedSeq = this.#state.seq;
      series.isDue = false;
      series.head.clear();
    }
  }

  #mark(series: SeriesState): void {
    if (series.isDue) return;
    series.isDue = true;
    this.#due.push(series);
  }

  #seal(batch: readonly SeriesState[]): Sealed {
    const chunksOf = new Map<SeriesState, number>();
    const devices = new Set<DeviceState>();
    let chunks = 0;
    let readings = 0;
    for (const series of batch) {
      const written = this.#sealHead(series);
      chunksOf.set(series, written);
      chunks += written;
      readings += series.head.count;
      devices.add(series.device);
      this.#noteSealed(series, series.chunks + written);
    }
    for (const device of devices) this.#devices.writeLastSeen(device.record.device, device.lastSeen);
    const replayFrom = this.#replayFromWithout(new Set(batch));
    writeMeta(this.#statements, 'replay_from', replayFrom);
    writeMeta(this.#statements, 'chunks', this.#state.chunks + chunks);
    writeMeta(this.#statements, 'chunk_readings', this.#state.chunkReadings + readings);
    return { chunksOf, chunks, readings, replayFrom };
  }

  #sealHead(series: SeriesState): number {
    const { head } = series;
    const inOrder = firstAtOrAfter(head.times, head.count, series.sealedTime + 1);
    const late = this.#writeChunks(series, 0, inOrder, true, series.chunks);
    return late + this.#writeChunks(series, inOrder, head.count, false, series.chunks + late);
  }

  /** Writes rows `begin` to `end` of the head as chunks of about equal size, numbered from `number`; returns how many. */
  #writeChunks(series: SeriesState, begin: number, end: number, isLate: boolean, number: number): number {
    const pieces = this.#piecesOf(end - begin);
    for (let piece = 0; piece < pieces; piece++) {
      const from = begin + Math.floor(((end - begin) * piece) / pieces);
      const to = begin + Math.floor(((end - begin) * (piece + 1)) / pieces);
      this.#writeChunk(series, number + piece, isLate, series.head, from, to);
    }
    return pieces;
  }

  /** A head that waited its turn is a little over full; that is still one chunk, and not two halves. */
  #piecesOf(count: number): number {
    return Math.max(Math.ceil(count / chunkCountMax), Math.round(count / this.#sealCount), Math.min(count, 1));
  }

  #writeChunk(series: SeriesState, number: number, isLate: boolean, head: Head, from: number, to: number): void {
    const chunk = packChunk(head, from, to);
    this.#statements
      .get(
        `INSERT INTO chunk
           (id, series, late, time_min, time_max, seq, count, codec, min, max, sum, first, last, bytes)
         VALUES ((? << 31) | ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        series.id,
        number,
        series.id,
        isLate ? 1 : 0,
        chunk.timeMin,
        chunk.timeMax,
        this.#state.seq,
        chunk.count,
        chunk.codec,
        chunk.min,
        chunk.max,
        chunk.sum,
        chunk.first,
        chunk.last,
        chunk.bytes,
      );
  }

  #noteSealed(series: SeriesState, chunks: number): void {
    this.#statements
      .get('UPDATE series SET time = ?, kind = ?, value = ?, sealed_seq = ?, chunks = ? WHERE id = ?')
      .run(
        series.time,
        series.kind,
        series.kind === valueKind.text ? series.text : series.value,
        this.#state.seq,
        chunks,
        series.id,
      );
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

interface Sealed {
  readonly chunksOf: ReadonlyMap<SeriesState, number>;
  readonly chunks: number;
  readonly readings: number;
  readonly replayFrom: number;
}
