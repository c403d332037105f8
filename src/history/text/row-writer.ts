import type { SampleColumns } from '../../domain/sample-columns.ts';
import type { SeriesLabel } from '../queries.ts';
import type { ByteSink } from './byte-sink.ts';

/** Readings as text, straight into bytes: no object and no string for each of them. Keeps nothing between two calls. */
export interface RowWriter {
  /**
   * What stands between two rows is written behind each of them, one byte; whoever closes a part or a page takes the last
   * one away. `null`: rows end by themselves.
   */
  readonly separated: 'part' | 'page' | null;
  /** Appends rows `begin` to `end` (excluded), in the order in which they stand. Times go to `times` where they have a place of their own. */
  write(columns: SampleColumns, begin: number, end: number, label: SeriesLabel, out: ByteSink, times: ByteSink): void;
}
