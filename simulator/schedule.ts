/**
 * When each device of a fleet speaks. All devices share one interval and are spread evenly over it, so the whole
 * timetable is one counter: turn `n` belongs to device `n % devices` and is due at `start + n × interval / devices`.
 */
export class Schedule {
  readonly #devices: number;
  readonly #intervalMs: number;
  #startMs: number;
  #turn = 0;

  /** `intervalMs` is at least 1: the gateway tells readings of one series apart by their millisecond. */
  constructor(options: { devices: number; intervalMs: number; startMs: number }) {
    this.#devices = options.devices;
    this.#intervalMs = options.intervalMs;
    this.#startMs = options.startMs;
  }

  /**
   * Calls `speak` for every turn that is due at `nowMs`, with the time it was due for. Returns how many turns were given
   * up: after a pause longer than two intervals and a second (a sleeping laptop) the timetable goes on from now rather
   * than catching up in one burst.
   */
  run(nowMs: number, speak: (deviceIndex: number, timeMs: number) => void): number {
    const skipped = this.#catchUp(nowMs);
    while (this.#dueMs(this.#turn) <= nowMs) {
      const turn = this.#turn++;
      speak(turn % this.#devices, this.#dueMs(turn));
    }
    return skipped;
  }

  /** Milliseconds from `nowMs` to the next turn, at least 0. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#dueMs(this.#turn) - nowMs);
  }

  /**
   * Rounds the place in the round and the round apart from each other, so that two turns of a device at an interval of
   * 1 ms never share a millisecond, as a rounded sum of fractions could.
   */
  #dueMs(turn: number): number {
    const place = turn % this.#devices;
    const round = Math.floor(turn / this.#devices);
    return (
      this.#startMs + Math.floor((place * this.#intervalMs) / this.#devices) + Math.floor(round * this.#intervalMs)
    );
  }

  #catchUp(nowMs: number): number {
    const behindMs = nowMs - this.#dueMs(this.#turn);
    // The wall clock was set back: speak again from the new present instead of falling silent until it is reached.
    if (behindMs < -2 * this.#intervalMs - 1_000) this.#startMs += behindMs;
    if (behindMs < 2 * this.#intervalMs + 1_000) return 0;
    const missed = Math.floor((behindMs * this.#devices) / this.#intervalMs);
    this.#turn += missed;
    return missed;
  }
}
