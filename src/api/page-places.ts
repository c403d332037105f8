import { FairTurns } from '../base/fair-turns.ts';
import type { Asker } from '../history/queries.ts';
import { RequestRefused } from './problem.ts';

export interface PagePlacesOptions {
  /** Pages that are made at once. */
  readonly max: number;
  /** Pages of one asker that wait. */
  readonly waitingEach: number;
  /** Pages that wait in all, beside one of each asker. */
  readonly waitingMax: number;
}

/**
 * Pages that are in memory at the same time: so many are made at once, the others wait for their turn, which goes round the
 * askers, and of these, too, there are only so many.
 */
export class PagePlaces {
  readonly #turns: FairTurns;
  readonly #options: PagePlacesOptions;

  constructor(options: PagePlacesOptions) {
    this.#turns = new FairTurns(options.max);
    this.#options = options;
  }

  /** Makes a page once there is a place. Refuses where too many wait already; rejects as soon as nobody waits any more. */
  async use<T>({ name, signal }: Asker, make: () => Promise<T>): Promise<T> {
    if (!this.#turns.isFree(name)) this.#checkLine(name);
    return this.#turns.use(name, signal, make);
  }

  #checkLine(name: string): void {
    const { waitingEach, waitingMax } = this.#options;
    const own = this.#turns.waitingOf(name);
    if (own >= waitingEach) {
      const detail = `${own} of your questions wait for their answer already; ask on as they are answered`;
      throw new RequestRefused('too_many_questions', detail, { headers: { 'retry-after': '1' } });
    }
    const { waiting } = this.#turns;
    if (own > 0 && waiting >= waitingMax) {
      throw new RequestRefused('overloaded', `${waiting} pages of readings are waited for already; ask again later`);
    }
  }
}
