import { readChunk } from './chunk-rows.ts';
import type { Row, Statements } from '../database.ts';
import { faultOf, numberIn } from '../database.ts';
import type { Stretch } from './head.ts';
import type { SeriesState } from '../series-state.ts';

/** What is to become of some chunks of a series: the same readings, in other chunks. */
export interface ChunkMerge {
  readonly series: SeriesState;
  /** Numbers of the chunks that go. */
  readonly removed: readonly number[];
  /** Their readings, or some, that become chunks in order; null when there are none. */
  readonly inOrder: Stretch | null;
  /** The others, which take the place of a late chunk; null when there are none. */
  readonly late: { readonly number: number; readonly stretch: Stretch } | null;
  /** A late chunk that need not be one; null when there is none. */
  readonly putInOrder: number | null;
}

/** A chunk as whoever merges looks at it. */
export interface MergeSource {
  readonly number: number;
  readonly timeMin: number;
  readonly timeMax: number;
  readonly count: number;
  readonly bytes: number;
}

/** For `mergeSourceIn`: SELECT … FROM kept_chunk. */
export const mergeSourceColumns = 'id & 2147483647, time_min, time_max, count, length(bytes)';

export function mergeSourceIn(row: Row): MergeSource {
  return {
    number: numberIn(row, 0),
    timeMin: numberIn(row, 1),
    timeMax: numberIn(row, 2),
    count: numberIn(row, 3),
    bytes: numberIn(row, 4),
  };
}

/** Reads chunks that are to be merged, and remembers the damaged ones, which are left alone. */
export class MergeSources {
  readonly #statements: Statements;
  readonly #damaged = new Set<string>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  isDamaged(series: SeriesState, { number }: MergeSource): boolean {
    return this.#damaged.size > 0 && this.#damaged.has(`${series.id}:${number}`);
  }

  /** The readings of each; null, and noted, when one of them is damaged. */
  read(series: SeriesState, sources: readonly MergeSource[]): Stretch[] | null {
    const stretches: Stretch[] = [];
    for (const { number } of sources) {
      try {
        stretches.push(readChunk(this.#statements, series.id, number));
      } catch (error) {
        if (faultOf(error) !== 'corrupt') throw error;
        this.#damaged.add(`${series.id}:${number}`);
        return null;
      }
    }
    return stretches;
  }
}
