import type { DamagedStretch } from '../../history/queries.ts';
import { formatTime } from '../moment.ts';
import type { SeriesNames } from '../ports.ts';

/** What text has no place for inside: it stands above a page of it, and behind a download, in trailers. */
export const damageFields = ['x-damaged-readings', 'x-damaged-first'] as const;

/** What an answer lacks because what held it on disk is damaged. */
export class DamageNote {
  readonly #stretches: DamagedStretch[] = [];
  /** What the page before named. */
  #before = new Set<string>();

  /** Each stretch once. */
  get stretches(): readonly DamagedStretch[] {
    return this.#stretches;
  }

  /** Readings that are lacking. */
  get readings(): number {
    return this.#stretches.reduce((sum, { readings }) => sum + readings, 0);
  }

  /** The stretches of one page. Two pages that meet in a stretch both name it. */
  add(stretches: readonly DamagedStretch[]): void {
    const named = new Set<string>();
    for (const stretch of stretches) {
      const key = `${stretch.series}/${stretch.firstTime}/${stretch.lastTime}`;
      if (!named.has(key) && !this.#before.has(key)) this.#stretches.push(stretch);
      named.add(key);
    }
    this.#before = named;
  }

  /** Nothing where all is well. */
  fields(names: SeriesNames): Record<string, string> {
    const [stretch] = this.#stretches;
    if (!stretch) return {};
    const { series, firstTime, lastTime } = stretch;
    const { device, metric } = names.series(series);
    const first = [device, metric, formatTime(firstTime), formatTime(lastTime + 1)].join('/');
    return { 'x-damaged-readings': String(this.readings), 'x-damaged-first': first };
  }
}
