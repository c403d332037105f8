import { valueKind } from '../../../domain/reading.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';

/** Readings of one chunk that stay unpacked: all that it holds from `from` to `to`, epoch ms, both inclusive. */
interface Part {
  readonly stretch: Stretch;
  readonly from: number;
  readonly to: number;
  /** How much room it takes, in numbers. */
  readonly weight: number;
}

/** A text takes as much room as a number, and as much again for every so many letters of it. */
const lettersPerNumber = 8;

/**
 * Readings of chunks that were unpacked, as many as there is room for; what was not looked at for longest goes first. As long
 * as there is room chunks stay whole. Where more are looked at in turn than there is room for, each would be gone when its
 * turn comes again; then of each as much stays as comes next.
 */
export class UnpackedParts {
  readonly #weightMax: number;
  /** In order of use, the latest last. */
  readonly #parts = new Map<string, Part>();
  #weight = 0;

  /** `readingsMax`: of numbers; texts take the room of several. */
  constructor(readingsMax: number) {
    this.#weightMax = readingsMax;
  }

  /** What is kept of a chunk, if that tells of `time`. */
  get(key: string, time: number): Stretch | null {
    const part = this.#parts.get(key);
    if (!part || time < part.from || time > part.to) return null;
    this.#parts.delete(key);
    this.#parts.set(key, part);
    return part.stretch;
  }

  /** Keeps a chunk that was just unpacked, of which `time` is asked, and shares the room with `others`. Returns what it keeps. */
  put(key: string, stretch: Stretch, time: number, others: number): Stretch {
    const before = this.#parts.get(key);
    this.delete(key);
    const share = Math.max(1, Math.floor(this.#weightMax / Math.max(1, others)));
    const weight = weightOf(stretch);
    const isWhole = weight <= share || this.#weight + weight <= this.#weightMax;
    const part = isWhole
      ? { stretch, from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY, weight }
      : partOf(stretch, time, {
          count: Math.max(1, Math.floor((share * stretch.count) / weight)),
          isBackwards: before !== undefined && time < before.from,
        });
    this.#parts.set(key, part);
    this.#weight += part.weight;
    for (const oldest of this.#parts.keys()) {
      if (this.#weight <= this.#weightMax) break;
      this.delete(oldest);
    }
    return part.stretch;
  }

  delete(key: string): void {
    this.#weight -= this.#parts.get(key)?.weight ?? 0;
    this.#parts.delete(key);
  }
}

function weightOf({ count, texts }: Stretch): number {
  let weight = count;
  for (const text of texts) weight += 1 + text.length / lettersPerNumber;
  return weight;
}

/** The `count` readings from `time` on, or up to it; copied, so that the others are let go. */
function partOf(stretch: Stretch, time: number, wish: { readonly count: number; readonly isBackwards: boolean }): Part {
  const { times } = stretch;
  const at = Math.min(firstAtOrAfter(times, stretch.count, time), stretch.count - 1);
  const begin = wish.isBackwards ? Math.max(0, at + 1 - wish.count) : at;
  const end = Math.min(stretch.count, begin + wish.count);
  const part = copyOf(stretch, begin, end);
  return {
    stretch: part,
    from: begin === 0 ? Number.NEGATIVE_INFINITY : times[begin - 1] + 1,
    to: end === stretch.count ? Number.POSITIVE_INFINITY : times[end] - 1,
    weight: weightOf(part),
  };
}

/** Rows `begin` to `end` (excluded), and of the texts theirs. */
function copyOf({ times, values, kinds, texts }: Stretch, begin: number, end: number): Stretch {
  const copy = {
    count: end - begin,
    times: times.slice(begin, end),
    values: values.slice(begin, end),
    kinds: kinds?.slice(begin, end) ?? null,
  };
  const own = new Map<number, number>();
  for (const [row, kind] of (copy.kinds ?? []).entries()) {
    if (kind !== valueKind.text) continue;
    const text = copy.values[row];
    const place = own.get(text) ?? own.size;
    own.set(text, place);
    copy.values[row] = place;
  }
  return { ...copy, texts: Array.from(own.keys(), (text) => texts[text]) };
}
