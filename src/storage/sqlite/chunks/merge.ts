import { valueKind } from '../../../domain/reading.ts';
import type { Stretch } from './head.ts';
import { firstAtOrAfter } from './head.ts';

/** Readings in order of time, each time once; row i is row `rows[i]` of `stretches[sources[i]]`. */
export interface MergedRows {
  readonly count: number;
  readonly times: Float64Array;
  readonly sources: Uint32Array;
  readonly rows: Uint32Array;
  readonly stretches: readonly Stretch[];
}

/**
 * Merges stretches of one series, given in the order in which they were written: of several readings at one time the
 * last written wins. Only readings in `[from, to)` are taken.
 */
export function mergeStretches(stretches: readonly Stretch[], from: number, to: number): MergedRows {
  let layers = stretches.map((stretch, source) => layerOf(stretch, source, from, to));
  // Neighbours first, so that n stretches cost log n passes over the readings; the order of writing is kept.
  while (layers.length > 1) {
    const merged: Layer[] = [];
    for (let at = 0; at < layers.length; at += 2) {
      const later = layers[at + 1];
      merged.push(later ? mergePair(layers[at], later) : layers[at]);
    }
    layers = merged;
  }
  const layer = layers[0] ?? emptyLayer;
  return { ...layer, count: layer.times.length, stretches };
}

/** Rows `begin` to `end` (excluded) of merged readings with arrays of their own; backwards when `isReversed`. */
export function stretchOf(merged: MergedRows, begin: number, end: number, isReversed = false): Stretch {
  const count = end - begin;
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  const hasKinds = merged.stretches.some((stretch) => stretch.kinds !== null);
  const kinds = hasKinds ? new Uint8Array(count) : null;
  const texts: string[] = [];
  for (let at = 0; at < count; at++) {
    const row = isReversed ? end - 1 - at : begin + at;
    const source = merged.stretches[merged.sources[row]];
    const place = merged.rows[row];
    times[at] = merged.times[row];
    values[at] = source.values[place];
    if (!kinds || !source.kinds) continue;
    kinds[at] = source.kinds[place];
    if (kinds[at] === valueKind.text) values[at] = texts.push(source.texts[source.values[place]]) - 1;
  }
  return { count, times, values, kinds, texts };
}

interface Layer {
  readonly times: Float64Array;
  readonly sources: Uint32Array;
  readonly rows: Uint32Array;
}

const emptyLayer: Layer = { times: new Float64Array(0), sources: new Uint32Array(0), rows: new Uint32Array(0) };

function layerOf(stretch: Stretch, source: number, from: number, to: number): Layer {
  const begin = firstAtOrAfter(stretch.times, stretch.count, from);
  const end = Math.max(firstAtOrAfter(stretch.times, stretch.count, to), begin);
  const rows = new Uint32Array(end - begin);
  for (let at = 0; at < rows.length; at++) rows[at] = begin + at;
  return { times: stretch.times.subarray(begin, end), sources: new Uint32Array(rows.length).fill(source), rows };
}

function mergePair(earlier: Layer, later: Layer): Layer {
  const [a, b] = [earlier.times, later.times];
  if (a.length === 0) return later;
  if (b.length === 0) return earlier;
  if (a[a.length - 1] < b[0]) return concatenate(earlier, later);
  if (b[b.length - 1] < a[0]) return concatenate(later, earlier);
  const times = new Float64Array(a.length + b.length);
  const sources = new Uint32Array(times.length);
  const rows = new Uint32Array(times.length);
  let count = 0;
  let left = 0;
  let right = 0;
  while (left < a.length || right < b.length) {
    const isLeft = right === b.length || (left < a.length && a[left] < b[right]);
    if (!isLeft && left < a.length && a[left] === b[right]) left++;
    const layer = isLeft ? earlier : later;
    const row = isLeft ? left++ : right++;
    times[count] = layer.times[row];
    sources[count] = layer.sources[row];
    rows[count] = layer.rows[row];
    count++;
  }
  return {
    times: times.subarray(0, count),
    sources: sources.subarray(0, count),
    rows: rows.subarray(0, count),
  };
}

function concatenate(first: Layer, second: Layer): Layer {
  const split = first.times.length;
  const times = new Float64Array(split + second.times.length);
  const sources = new Uint32Array(times.length);
  const rows = new Uint32Array(times.length);
  times.set(first.times);
  times.set(second.times, split);
  sources.set(first.sources);
  sources.set(second.sources, split);
  rows.set(first.rows);
  rows.set(second.rows, split);
  return { times, sources, rows };
}
