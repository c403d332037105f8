/** Readings are refused before 2000; earlier than this and later than 2100 a zone is taken to stand still. */
const firstTime = 0;
const lastTime = Date.UTC(2100, 0);
/** Rules that hold in 2040 are taken to hold for good. */
const exactFrom = Date.UTC(2000, 0);
const exactTo = Date.UTC(2040, 0);

/** No zone ever moved its clocks further than by changing sides of the date line. */
export const shiftMax = 26 * 3_600_000;

/** Offsets are looked up this far apart; about three days: no zone kept a time for less since 1970. */
const probeMs = 2 ** 28;
const probesPerBlock = 16;
const blockMs = probeMs * probesPerBlock;

/** Times in which a zone's offset changed, a block of about 50 days; most have none. */
interface Block {
  /** Offset at the begin of the block, ms. */
  readonly offset: number;
  readonly changes: readonly ClockChange[];
}

/** The clocks of a zone are moved. */
export interface ClockChange {
  /** The first instant of the new offset, epoch ms. */
  readonly time: number;
  /** Offsets before and after, ms. */
  readonly before: number;
  readonly after: number;
}

/** True for a name of the IANA time zone database, such as `Europe/Vienna` or `UTC`, in any case. */
export function isTimeZone(name: string): boolean {
  // Some runtimes also take offsets such as +05:30, which are not names.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** How far wall time in `zone` is ahead of UTC at `time` (epoch ms), in ms. Throws `RangeError` for an unknown zone. */
export function offsetAt(zone: string, time: number): number {
  return timeZone(zone).offsetAt(time);
}

/** By the name that the runtime gives them, and by every name that was asked for. */
const zones = new Map<string, TimeZone>();
const known = new Map<string, TimeZone>();

/** The zone of this name, the same one for each call. Throws `RangeError` when there is none. */
export function timeZone(name: string): TimeZone {
  let zone = known.get(name);
  if (!zone) {
    // A name may be written in any case, so there is no end to them, but only to zones: each costs much to learn.
    if (known.size >= 1_000) known.clear();
    const proper = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
    zone = zones.get(proper) ?? new TimeZone(proper);
    zones.set(proper, zone);
    known.set(name, zone);
  }
  return zone;
}

/** The offsets of one zone, learnt from `Intl` block by block when asked for, and kept: that costs µs, a look ns. */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;
  readonly #blocks: Block[] = [];

  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  }

  /** How far wall time is ahead of UTC at `time` (epoch ms), in ms. */
  offsetAt(time: number): number {
    const { offset, changes } = this.#block(blockOf(time));
    let current = offset;
    for (const change of changes) {
      if (change.time > time) break;
      current = change.after;
    }
    return current;
  }

  /** The latest wall time that the zone's clocks have shown up to `time`, ms: what they repeat does not count again. */
  wallReached(time: number): number {
    const change = this.lastChange(time - shiftMax, time);
    const wall = time + this.offsetAt(time);
    return change === null ? wall : Math.max(wall, change.time + change.before);
  }

  /** The first instant at which the zone's clocks have reached `wall`, epoch ms; for a time that is skipped that of the change. */
  firstReaching(wall: number): number {
    let from = wall - shiftMax;
    for (;;) {
      const time = wall - this.offsetAt(from);
      const change = this.firstChange(from, time);
      if (change === null) return time;
      if (change.time + change.after >= wall) return change.time;
      from = change.time;
    }
  }

  /** The last change of the offset in `(after, upTo]`, epoch ms; null when there is none. */
  lastChange(after: number, upTo: number): ClockChange | null {
    const first = blockOf(after);
    for (let index = blockOf(upTo); index >= first; index--) {
      const { changes } = this.#block(index);
      for (let at = changes.length - 1; at >= 0; at--) {
        const change = changes[at];
        if (change.time <= after) return null;
        if (change.time <= upTo) return change;
      }
    }
    return null;
  }

  /** The first change of the offset in `(after, upTo]`, epoch ms; null when there is none. */
  firstChange(after: number, upTo: number): ClockChange | null {
    const last = blockOf(upTo);
    for (let index = blockOf(after); index <= last; index++) {
      for (const change of this.#block(index).changes) {
        if (change.time > upTo) return null;
        if (change.time > after) return change;
      }
    }
    return null;
  }

  /** True when since 2000 its offsets and their changes are whole multiples of so many ms. */
  isOn(ms: number): boolean {
    for (let index = blockOf(exactFrom); index <= blockOf(exactTo); index++) {
      const { offset, changes } = this.#block(index);
      if (offset % ms !== 0) return false;
      if (changes.some(({ time, after }) => time >= exactFrom && (time % ms !== 0 || after % ms !== 0))) return false;
    }
    return true;
  }

  #block(index: number): Block {
    return (this.#blocks[index] ??= this.#learn(index));
  }

  #learn(index: number): Block {
    const begin = firstTime + index * blockMs;
    const offset = this.#ask(begin);
    const changes: ClockChange[] = [];
    let before = offset;
    for (let probe = 1; probe <= probesPerBlock; probe++) {
      const end = begin + probe * probeMs;
      const after = this.#ask(end);
      if (after === before) continue;
      const time = this.#firstWith(after, end - probeMs, end);
      // A change at the very end is the next block's first instant, whose offset says it already.
      changes.push({ time, before, after });
      before = after;
    }
    return { offset, changes };
  }

  /** The first instant in `(from, to]` with the offset that `to` has, other than that of `from`. */
  #firstWith(offset: number, from: number, to: number): number {
    let old = from;
    let found = to;
    while (found - old > 1) {
      const middle = Math.floor((old + found) / 2);
      if (this.#ask(middle) === offset) found = middle;
      else old = middle;
    }
    return found;
  }

  /** The offset as `Intl` tells it: `GMT`, `GMT+05:45` or, long ago, `GMT-00:44:30`. */
  #ask(time: number): number {
    const text = this.#format.format(time);
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text);
    if (!match) throw new RangeError(`"${text}" ends in no offset`);
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = match;
    const offset = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
    return sign === '-' ? -offset : offset;
  }
}

const lastBlock = Math.floor((lastTime - firstTime) / blockMs);

function blockOf(time: number): number {
  return Math.min(lastBlock, Math.max(0, Math.floor((time - firstTime) / blockMs)));
}
