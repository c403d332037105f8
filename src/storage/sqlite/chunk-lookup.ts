import type { Database } from './database.ts';
import { faultOf, numberIn, Statements } from './database.ts';
import { readChunk } from './chunk-rows.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';

/** Decoded chunks kept: about 16 KB each. */
const chunksKeptMax = 256;
const nothing: Stretch = { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };

/** Finds sealed readings by their time, for the writer, which must know whether a late reading is new. */
export class ChunkLookup {
  readonly #statements: Statements;
  /** In order of use, the latest last. */
  readonly #kept = new Map<string, Stretch>();
  readonly #onDamaged: () => void;

  /** `onDamaged` hears of a chunk that cannot be read. */
  constructor(database: Database, onDamaged: () => void) {
    this.#statements = new Statements(database);
    this.#onDamaged = onDamaged;
  }

  /** The sealed reading of `series` at exactly `time`, the last written; null when there is none. */
  find(series: number, time: number): { readonly stretch: Stretch; readonly index: number } | null {
    for (const number of this.#covering(series, time)) {
      const stretch = this.#chunk(series, number);
      const index = firstAtOrAfter(stretch.times, stretch.count, time);
      if (index < stretch.count && stretch.times[index] === time) return { stretch, index };
    }
    return null;
  }

  /** The chunk is not what it was, or gone. */
  forget(series: number, number: number): void {
    this.#kept.delete(`${series}:${number}`);
  }

  /** Numbers of the chunks whose span holds `time`, the newest first: late ones, then at most one in order. */
  #covering(series: number, time: number): number[] {
    const late = this.#statements
      .get(
        'SELECT id & 2147483647 FROM kept_chunk WHERE series = ? AND late = 1 AND time_max >= ? AND time_min <= ? ORDER BY id DESC',
      )
      .all(series, time, time);
    const inOrder = this.#statements
      .get(
        'SELECT id & 2147483647, time_min FROM kept_chunk WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max LIMIT 1',
      )
      .get(series, time);
    const numbers = late.map((row) => numberIn(row, 0));
    // A late chunk may be older than the one in order only in number, never for a time that both hold: readings reach
    // a late chunk because the chunk in order was sealed before them.
    if (inOrder && numberIn(inOrder, 1) <= time) numbers.push(numberIn(inOrder, 0));
    return numbers;
  }

  #chunk(series: number, number: number): Stretch {
    const key = `${series}:${number}`;
    let stretch = this.#kept.get(key);
    if (stretch) {
      this.#kept.delete(key);
    } else {
      stretch = this.#read(series, number);
      if (this.#kept.size >= chunksKeptMax) {
        for (const oldest of this.#kept.keys()) {
          this.#kept.delete(oldest);
          break;
        }
      }
    }
    this.#kept.set(key, stretch);
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
