import { ChunkCovers } from './chunk-covers.ts';
import { readChunk } from './chunk-rows.ts';
import type { Database } from '../database.ts';
import { faultOf, Statements } from '../database.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';
import { UnpackedParts } from './unpacked-parts.ts';

/** Readings kept unpacked, 16 bytes each: whole chunks of two thousand series that are sent once more side by side. */
const readingsKeptMax = 1 << 21;
const nothing: Stretch = { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };

export interface LookupOptions {
  readonly readingsMax?: number;
  readonly unpack?: typeof readChunk;
}

/**
 * Finds sealed readings by their time, for the writer, which must know whether a late reading is new. What it looked up last
 * of a series it knows without a statement: readings that are sent once more, or late ones in order, cost a statement or
 * two and an unpacked chunk for every thousand, or of more series side by side for every few hundred.
 */
export class ChunkLookup {
  readonly #statements: Statements;
  readonly #covers: ChunkCovers;
  readonly #kept: UnpackedParts;
  readonly #onDamaged: () => void;
  readonly #unpack: typeof readChunk;

  /** `onDamaged` hears of a chunk that cannot be read. */
  constructor(
    database: Database,
    onDamaged: () => void,
    { readingsMax = readingsKeptMax, unpack = readChunk }: LookupOptions = {},
  ) {
    this.#statements = new Statements(database);
    this.#kept = new UnpackedParts(readingsMax);
    this.#unpack = unpack;
    this.#covers = new ChunkCovers(this.#statements);
    this.#onDamaged = onDamaged;
  }

  /** The sealed reading of `series` at exactly `time`, the last written; null when there is none. */
  find(series: number, time: number): { readonly stretch: Stretch; readonly index: number } | null {
    for (const number of this.#covers.at(series, time).numbers) {
      const stretch = this.#chunk(series, number, time);
      const index = firstAtOrAfter(stretch.times, stretch.count, time);
      if (index < stretch.count && stretch.times[index] === time) return { stretch, index };
    }
    return null;
  }

  /** The chunk is not what it was, or gone. */
  forget(series: number, number: number): void {
    this.changed(series);
    this.#kept.delete(keyOf(series, number));
  }

  /** The series has other chunks than before. */
  changed(series: number): void {
    this.#covers.forget(series);
  }

  /** Chunks of any series may have been hidden by a deletion. */
  hidden(): void {
    this.#covers.forgetAll();
  }

  #chunk(series: number, number: number, time: number): Stretch {
    const key = keyOf(series, number);
    const kept = this.#kept.get(key, time);
    return kept ?? this.#kept.put(key, this.#read(series, number), time, this.#covers.series);
  }

  /** A damaged chunk costs its own readings and nothing else: a commit takes it as empty. */
  #read(series: number, number: number): Stretch {
    try {
      return this.#unpack(this.#statements, series, number);
    } catch (error) {
      if (faultOf(error) !== 'corrupt') throw error;
      this.#onDamaged();
      return nothing;
    }
  }
}

function keyOf(series: number, number: number): string {
  return `${series}:${number}`;
}
