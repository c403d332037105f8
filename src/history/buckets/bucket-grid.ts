import { shiftMax, type ClockChange, type TimeZone, timeZone } from '../../base/time-zone.ts';
import type { BucketGrid } from '../../domain/bucket-grid.ts';
import { type WallSteps, calendarSteps, wallSteps } from './wall-steps.ts';

/** The first time that a date can say, epoch ms: the bucket that holds it begins with it. */
const firstTime = -8.64e15;

/** Where buckets begin and end. Times are whole epoch ms; asking for neighbouring times again and again costs ns. */
export interface Grid {
  /** Begin of the bucket that holds `time`. */
  begin(time: number): number;
  /** Begin of the bucket after the one that begins at `begin`. */
  next(begin: number): number;
  /** True when every bucket since 2000 begins on a whole multiple of so many ms since the epoch. */
  isOn(ms: number): boolean;
}

/** The grid in working order. Throws `RangeError` for an unknown time zone or a width that is no whole number of ms. */
export function gridOf(grid: BucketGrid): Grid {
  switch (grid.kind) {
    case 'wall':
      return new ZonedGrid(grid.timeZone, wallSteps(positive(grid.width)));
    case 'calendar':
      return new ZonedGrid(grid.timeZone, calendarSteps(grid.unit, positive(grid.count)));
    default:
      return new FixedGrid(positive(grid.width), grid.origin);
  }
}

function positive(number: number): number {
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`${number} is not the length of a bucket`);
}

class FixedGrid implements Grid {
  readonly #width: number;
  readonly #origin: number;

  constructor(width: number, origin: number) {
    this.#width = width;
    this.#origin = origin;
  }

  begin(time: number): number {
    return Math.max(firstTime, this.#edge(time));
  }

  next(begin: number): number {
    return this.#edge(begin) + this.#width;
  }

  isOn(ms: number): boolean {
    return this.#width % ms === 0 && this.#origin % ms === 0;
  }

  #edge(time: number): number {
    return Math.floor((time - this.#origin) / this.#width) * this.#width + this.#origin;
  }
}

/**
 * A grid on wall time. Wall time does not always run on: it skips (an hour in spring, Apia a whole day in 2011) and
 * repeats. A bucket begins with the first instant at which wall time has reached its begin. Where wall time falls back
 * into a bucket that had begun, that bucket goes on, and the one that follows begins when wall time gets past what it had
 * reached; but where buckets are no longer than what repeats, they come twice, cut off where the clock was moved.
 */
class ZonedGrid implements Grid {
  readonly #zone: TimeZone;
  readonly #steps: WallSteps;
  /** The bucket that was last asked for. */
  #begin = Number.NaN;
  #end = Number.NaN;

  constructor(name: string, steps: WallSteps) {
    this.#zone = timeZone(name);
    this.#steps = steps;
  }

  begin(time: number): number {
    if (time >= this.#begin && time < this.#end) return this.#begin;
    this.#begin = Math.max(firstTime, this.#findBegin(time));
    this.#end = this.#findNext(time);
    return this.#begin;
  }

  next(begin: number): number {
    if (begin === this.#begin) return this.#end;
    return begin === this.#end ? this.#advance() : this.#findNext(begin);
  }

  isOn(ms: number): boolean {
    return this.#steps.isOn(ms) && this.#zone.isOn(ms);
  }

  #advance(): number {
    this.#begin = this.#end;
    this.#end = this.#findNext(this.#begin);
    return this.#end;
  }

  #findBegin(time: number): number {
    let at = time;
    for (;;) {
      const offset = this.#zone.offsetAt(at);
      const step = this.#steps.begin(at + offset);
      const begin = step - offset;
      const moved = this.#zone.lastChange(begin - shiftMax, at);
      if (moved === null) return begin;
      const isRepeated = this.#isMerged(moved) && step < moved.time + moved.before;
      if (begin >= moved.time && !isRepeated) return begin;
      if (begin < moved.time && this.#isEdge(moved)) return moved.time;
      at = moved.time - 1;
    }
  }

  #findNext(time: number): number {
    let at = time;
    for (;;) {
      const offset = this.#zone.offsetAt(at);
      let step = this.#steps.next(this.#steps.begin(at + offset));
      const moved = this.#zone.lastChange(at - shiftMax, at);
      if (moved !== null && this.#isMerged(moved)) {
        // What wall time reaches for the second time does not begin anew.
        while (step < moved.time + moved.before) step = this.#steps.next(step);
      }
      const next = step - offset;
      const moves = this.#zone.firstChange(at, next);
      if (moves === null) return next;
      if (this.#isEdge(moves)) return moves.time;
      // The bucket goes on with the clock moved; one that was to end just now ends when wall time gets there again.
      at = moves.time;
    }
  }

  /** True when a bucket begins with the move. */
  #isEdge({ time, before, after }: ClockChange): boolean {
    if (after < before) return this.#steps.shortest <= before - after;
    return this.#steps.begin(time + before - 1) < this.#steps.begin(time + after);
  }

  /** True when wall time is set back within a bucket that goes on. */
  #isMerged({ before, after }: ClockChange): boolean {
    return after < before && this.#steps.shortest > before - after;
  }
}
