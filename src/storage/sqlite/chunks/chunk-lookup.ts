import { ChunkCovers } from './chunk-covers.ts';
import { readChunk } from './chunk-rows.ts';
import type { Database } from '../database.ts';
import { faultOf, Statements } from '../database.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';

/** Readings kept unpacked, 16 bytes each: chunks of more than a thousand series that are sent once more side by side. */
const readingsKeptMax = 1 << 21;
const nothing: Stretch = { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };

/**
 * Finds sealed readings by their time, for the writer, which must know whether a late reading is new. What it looked up last
 * of a series it knows without a statement: readings that are sent once more, or late ones in order, cost a statement or
 * two and an unpacked chunk for every thousand.
 */
export class ChunkLookup {
  readonly #statements: Statements;
  readonly #covers: ChunkCovers;
  /** In order of use, the latest last. */
  readonly #kept = new Map<string, Stretch>();
  #keptReadings = 0;
  readonly #onDamaged: () => void;

  /** `onDamaged` hears of a chunk that cannot be read. */
  constructor(database: Database, onDamaged: () => void) {
    this.#statements = new Statements(database);
    this.#covers = new ChunkCovers(this.#statements);
    this.#onDamaged = onDamaged;
  }

  /** The sealed reading of `series` at exactly `time`, the last written; null when there is none. */
  find(series: number, time: number): { readonly stretch: Stretch; readonly index: number } | null {
    for (const number of this.#covers.at(series, time).numbers) {
      const stretch = this.#chunk(series, number);
      const index = firstAtOrAfter(stretch.times, stretch.count, time);
      if (index < stretch.count && stretch.times[index] === time) return { stretch, index };
    }
    return null;
  }

  /** The chunk is not what it was, or gone. */
  forget(series: number, number: number): void {
    this.changed(series);
    const key = `${series}:${number}`;
    this.#keptReadings -= this.#kept.get(key)?.count ?? 0;
    this.#kept.delete(key);
  }

  /** The series has other chunks than before. */
  changed(series: number): void {
    this.#covers.forget(series);
  }

  /** Chunks of any series may have been hidden by a deletion. */
  hidden(): void {
    this.#covers.forgetAll();
  }

  #chunk(series: number, number: number): Stretch {
    const key = `${series}:${number}`;
    const kept = this.#kept.get(key);
    if (kept) this.#kept.delete(key);
    const stretch = kept ?? this.#read(series, number);
    if (!kept) this.#keptReadings += stretch.count;
    this.#kept.set(key, stretch);
    for (const [oldest, { count }] of this.#kept) {
      if (this.#keptReadings <= readingsKeptMax) break;
      this.#kept.delete(oldest);
      this.#keptReadings -= count;
    }
    return stretch;
  }

  /** A damaged chunk costs its own readings and nothing else: a commit takes it as empty. */
  #read(series: number, number: number): Stretch {
    try {
      return readChunk(this.#statements, series, number);
    } catch (error) {
      if (faultOf(error) !== 'corrupt') throw error;
      this.#onDamaged();
      return nothing;
    }
  }
}
