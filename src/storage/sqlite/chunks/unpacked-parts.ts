import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';

/** Readings of one chunk that stay unpacked: all that it holds from `from` to `to`, epoch ms, both inclusive. */
interface Part {
  readonly stretch: Stretch;
  readonly from: number;
  readonly to: number;
}

/**
 * Readings of chunks that were unpacked, as many as there is room for; what was not looked at for longest goes first. As long
 * as there is room chunks stay whole. Where more are looked at in turn than there is room for, each would be gone when its
 * turn comes again; then of each as much stays as comes next.
 */
export class UnpackedParts {
  readonly #readingsMax: number;
  /** In order of use, the latest last. */
  readonly #parts = new Map<string, Part>();
  #readings = 0;

  constructor(readingsMax: number) {
    this.#readingsMax = readingsMax;
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
    const share = Math.max(1, Math.floor(this.#readingsMax / Math.max(1, others)));
    const isWhole = stretch.count <= share || this.#readings + stretch.count <= this.#readingsMax;
    const part = isWhole
      ? { stretch, from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
      : partOf(stretch, time, { count: share, isBackwards: before !== undefined && time < before.from });
    this.#parts.set(key, part);
    this.#readings += part.stretch.count;
    for (const oldest of this.#parts.keys()) {
      if (this.#readings <= this.#readingsMax) break;
      this.delete(oldest);
    }
    return part.stretch;
  }

  delete(key: string): void {
    this.#readings -= this.#parts.get(key)?.stretch.count ?? 0;
    this.#parts.delete(key);
  }
}

/** The `count` readings from `time` on, or up to it; copied, so that the others are let go. */
function partOf(stretch: Stretch, time: number, wish: { readonly count: number; readonly isBackwards: boolean }): Part {
  const { times, values, kinds, texts } = stretch;
  const at = Math.min(firstAtOrAfter(times, stretch.count, time), stretch.count - 1);
  const begin = wish.isBackwards ? Math.max(0, at + 1 - wish.count) : at;
  const end = Math.min(stretch.count, begin + wish.count);
  return {
    stretch: {
      count: end - begin,
      times: times.slice(begin, end),
      values: values.slice(begin, end),
      kinds: kinds?.slice(begin, end) ?? null,
      texts,
    },
    from: begin === 0 ? Number.NEGATIVE_INFINITY : times[begin - 1] + 1,
    to: end === stretch.count ? Number.POSITIVE_INFINITY : times[end] - 1,
  };
}
