import { compileGlob, type Glob } from '../domain/glob.ts';
import type { SeriesDirectory } from '../domain/series.ts';

const no = 1;
const yes = 2;

/**
 * A filter on device and metric that matches each series once and remembers the answer in two bits: a reading then
 * costs an array lookup, however many stars the pattern has. Names of a series never change.
 */
export class SeriesFilter {
  readonly device: Glob;
  readonly metric: Glob;
  readonly #directory: SeriesDirectory;
  /** Four series a byte: 0 not asked yet, 1 no, 2 yes. */
  #answers = new Uint8Array(64);

  constructor(directory: SeriesDirectory, device: string, metric: string) {
    this.#directory = directory;
    this.device = compileGlob(device);
    this.metric = compileGlob(metric);
  }

  matches(series: number): boolean {
    const shift = (series & 3) * 2;
    const known = ((this.#answers[series >>> 2] ?? 0) >>> shift) & 3;
    if (known !== 0) return known === yes;
    const names = this.#directory.series(series);
    const answer = this.matchesNames(names.device, names.metric);
    this.#remember(series >>> 2, (answer ? yes : no) << shift);
    return answer;
  }

  matchesNames(device: string, metric: string): boolean {
    return this.device(device) && this.metric(metric);
  }

  #remember(index: number, bits: number): void {
    if (index >= this.#answers.length) {
      const grown = new Uint8Array(Math.max(this.#answers.length * 2, index + 1));
      grown.set(this.#answers);
      this.#answers = grown;
    }
    this.#answers[index] |= bits;
  }
}
