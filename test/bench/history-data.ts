import { type Random, seededRandom } from '../../src/base/random.ts';

/** A Monday in September 2026: in the past of every clock that runs this, after every server's earliest time. */
export const begin = 1_790_000_000_000 - (1_790_000_000_000 % 86_400_000);

export interface BenchSeries {
  readonly device: string;
  readonly metric: string;
}

/** Readings in order of time, block by block; row i of a block is (series[i], times[i], values[i]), series from 0. */
export interface Block {
  count: number;
  readonly series: Uint32Array;
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export interface BenchData {
  readonly series: readonly BenchSeries[];
  readonly readings: number;
  /** The end of the data, epoch ms. */
  readonly end: number;
  /** The same readings in each pass; the block is filled anew each time. */
  blocks(): Generator<Block, void, undefined>;
}

const metrics = ['temperature', 'heart_rate', 'humidity', 'steps', 'battery'] as const;
/** What a metric's values are whole multiples of: 1 / this. */
const scales = [100, 1, 10, 1, 100] as const;

/**
 * 1,000 devices × 5 metrics at 1 Hz, the five of a device in one message, ±20 ms of jitter drawn for each message:
 * random walks of two, no, one, no and two decimals; steps only grow. A block is one second.
 */
export function fleetData(options: {
  readonly devices: number;
  readonly seconds: number;
  readonly seed: number;
  /** When it begins, epoch ms. */
  readonly from?: number;
}): BenchData {
  const { devices, seconds, seed, from = begin } = options;
  const series = Array.from({ length: devices * metrics.length }, (_, index) => ({
    device: `device-${Math.floor(index / metrics.length)}`,
    metric: metrics[index % metrics.length] ?? '',
  }));
  return {
    series,
    readings: series.length * seconds,
    end: from + seconds * 1_000,
    *blocks() {
      const random = seededRandom(seed);
      const levels = Float64Array.from(series, (_, index) => 2_000 + (index % 97) * 10);
      const block = emptyBlock(series.length);
      block.count = series.length;
      for (let second = 0; second < seconds; second++) {
        for (let row = 0; row < series.length; row++) {
          const metric = row % metrics.length;
          const time =
            metric === 0
              ? from + 20 + second * 1_000 + Math.floor(random.next() * 41) - 20
              : (block.times[row - 1] ?? 0);
          const scale = scales[metric] ?? 1;
          const level = (levels[row] ?? 0) + walk(random, metric);
          levels[row] = level;
          block.series[row] = row;
          block.times[row] = time;
          block.values[row] = level / scale;
        }
        yield block;
      }
    },
  };
}

/** One step of a walk, in units of the metric's last decimal. */
function walk(random: Random, metric: number): number {
  if (metric === 3) return Math.floor(random.next() * 3);
  return Math.floor(random.next() * 11) - 5;
}

/**
 * One series at 1 Hz (the first) among 200 that have a reading every two minutes, for `days` days: what a long chart is
 * drawn from. A block is two minutes.
 */
export function longData(options: { readonly days: number; readonly seed: number }): BenchData {
  const { days, seed } = options;
  const blocks = days * 720;
  const series: BenchSeries[] = Array.from({ length: 201 }, (_, index) => ({
    device: `sensor-${index}`,
    metric: 'temperature',
  }));
  const perBlock = 120 + 200;
  return {
    series,
    readings: blocks * perBlock,
    end: begin + blocks * 120_000,
    *blocks() {
      const random = seededRandom(seed);
      const levels = new Float64Array(201).fill(2_100);
      const block = emptyBlock(perBlock);
      block.count = perBlock;
      const put = (row: number, of: number, time: number): void => {
        levels[of] = (levels[of] ?? 0) + Math.floor(random.next() * 11) - 5;
        block.series[row] = of;
        block.times[row] = time;
        block.values[row] = (levels[of] ?? 0) / 100;
      };
      for (let at = 0; at < blocks; at++) {
        const start = begin + at * 120_000;
        for (let row = 0; row < 120; row++) put(row, 0, start + row * 1_000 + Math.floor(random.next() * 41));
        for (let row = 120; row < perBlock; row++)
          put(row, row - 119, start + 119_000 + Math.floor(random.next() * 900));
        yield block;
      }
    },
  };
}

function emptyBlock(rows: number): Block {
  return { count: 0, series: new Uint32Array(rows), times: new Float64Array(rows), values: new Float64Array(rows) };
}

/** Readings of one series in `[from, to)`, counted in the data itself. */
export function countIn(data: BenchData, series: number, from: number, to: number): number {
  let count = 0;
  for (const { count: rows, series: of, times } of data.blocks()) {
    for (let row = 0; row < rows; row++) {
      const time = times[row] ?? 0;
      if (of[row] === series && time >= from && time < to) count++;
    }
  }
  return count;
}

/** Several data one after the other, as one; their series keep their order. */
export function together(...parts: readonly BenchData[]): BenchData {
  return {
    series: parts.flatMap(({ series }) => series),
    readings: parts.reduce((sum, { readings }) => sum + readings, 0),
    end: Math.max(...parts.map(({ end }) => end)),
    *blocks() {
      let before = 0;
      for (const part of parts) {
        for (const block of part.blocks()) {
          if (before === 0) {
            yield block;
            continue;
          }
          const series = block.series.map((index) => index + before);
          yield { ...block, series };
        }
        before += part.series.length;
      }
    },
  };
}
