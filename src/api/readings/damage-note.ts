import type { DamagedStretch } from '../../history/queries.ts';
import { formatTime } from '../moment.ts';
import type { SeriesNames } from '../ports.ts';

/** What text has no place for inside: it stands above a page of it, and behind a download, in trailers. */
export const damageFields = ['x-damaged-readings', 'x-damaged-first'] as const;

/** What an answer lacks because what held it on disk is damaged. */
export class DamageNote {
  #readings = 0;
  #first: DamagedStretch | null = null;
  #last: DamagedStretch | null = null;

  /** Readings that are lacking. */
  get readings(): number {
    return this.#readings;
  }

  /** Two pages that meet in a stretch both name it. */
  add(stretches: readonly DamagedStretch[]): void {
    for (const stretch of stretches) {
      const last = this.#last;
      if (last?.series === stretch.series && last.firstTime === stretch.firstTime) continue;
      this.#first ??= stretch;
      this.#last = stretch;
      this.#readings += stretch.readings;
    }
  }

  /** Nothing where all is well. */
  fields(names: SeriesNames): Record<string, string> {
    if (this.#first === null) return {};
    const { series, firstTime, lastTime } = this.#first;
    const { device, metric } = names.series(series);
    const first = [device, metric, formatTime(firstTime), formatTime(lastTime + 1)].join('/');
    return { 'x-damaged-readings': String(this.#readings), 'x-damaged-first': first };
  }
}
