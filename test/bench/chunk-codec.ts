/**
 * The chunk codec beside the plainest thing that could be done, a copy of both columns as raw float64, in the same run:
 * bytes a point and nanoseconds a point, for decimal readings (STD), the same with 1 % full-precision noise (NOISE),
 * and shapes that each stress one thing. Every chunk is decoded again and compared to the bit.
 *
 *   node test/bench/chunk-codec.ts [seed]
 */
import { type Random, seededRandom } from '../../src/base/random.ts';
import { decodeChunk, encodeChunk, type ReadingColumns } from '../../src/storage/sqlite/chunks/chunk-codec.ts';

const chunkCount = 1024;
const chunksEach = 40;
const roundCount = 5;
/** Rounds before those measured, in which the compiler settles. */
const warmUpCount = 4;

interface Codec {
  readonly name: string;
  readonly encode: (columns: ReadingColumns) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => ReadingColumns;
}

const codecs: readonly Codec[] = [
  { name: 'chunk', encode: ({ times, values }) => encodeChunk(times, values, times.length), decode: decodeChunk },
  { name: 'raw', encode: copyRaw, decode: splitRaw },
];

function copyRaw({ times, values }: ReadingColumns): Uint8Array {
  const bytes = new Uint8Array(times.length * 16);
  bytes.set(new Uint8Array(times.buffer, times.byteOffset, times.byteLength), 0);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), times.byteLength);
  return bytes;
}

function splitRaw(bytes: Uint8Array): ReadingColumns {
  const copy = bytes.slice().buffer;
  const count = bytes.length / 16;
  return { times: new Float64Array(copy, 0, count).slice(), values: new Float64Array(copy, count * 8, count).slice() };
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[numbers.length >>> 1] ?? Number.NaN;
}

function checkSame(expected: ReadingColumns, found: ReadingColumns, name: string): void {
  for (let index = 0; index < expected.times.length; index++) {
    if (expected.times[index] !== found.times[index] || !Object.is(expected.values[index], found.values[index])) {
      throw new Error(`${name}: reading ${index} came back changed`);
    }
  }
}

/** How one series of a shape goes on: its next value, or its next time. */
type Walk = () => number;

export interface ChunkShape {
  readonly name: string;
  /** Epoch milliseconds, ascending; jitter is drawn anew for every reading. */
  readonly times: (random: Random) => Walk;
  /** One for each metric of the device. */
  readonly values: readonly ((random: Random) => Walk)[];
}

/** Roughly normal with a standard deviation of 1: the sum of twelve even numbers. */
function noise(random: Random): number {
  let sum = -6;
  for (let draw = 0; draw < 12; draw++) sum += random.next();
  return sum;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

interface Pace {
  readonly periodMs: number;
  readonly jitterMs: number;
  /** Chance for each reading that the device was away for an hour before it. */
  readonly awayChance?: number;
}

/** Readings at a pace, each up to `jitterMs` early or late. */
function paced({ periodMs, jitterMs, awayChance = 0 }: Pace): (random: Random) => Walk {
  return (random) => {
    let planned = 1_790_000_000_000 + Math.floor(random.next() * 1_000_000);
    return () => {
      planned += periodMs + (random.next() < awayChance ? 3_600_000 : 0);
      return Math.round(planned + (random.next() * 2 - 1) * jitterMs);
    };
  };
}

/** A wandering quantity that is drawn back to `middle`. */
function wandering(middle: number, stride: number, digits: number): (random: Random) => Walk {
  return (random) => {
    let value = middle + noise(random) * stride * 10;
    return () => {
      value += noise(random) * stride + (middle - value) * 0.001;
      return rounded(value, digits);
    };
  };
}

const temperature = wandering(21, 0.008, 2);
const heartRate = wandering(72, 0.35, 0);
const humidity = wandering(45, 0.03, 1);

function steps(random: Random): Walk {
  let total = Math.floor(random.next() * 10_000);
  let walks = false;
  return () => {
    if (random.next() < 0.01) walks = !walks;
    if (walks) total += random.next() < 0.8 ? 2 : 1;
    return total;
  };
}

function battery(random: Random): Walk {
  let charge = 20 + random.next() * 80;
  return () => {
    charge -= 0.0005;
    return rounded(charge, 2);
  };
}

const standard = [temperature, heartRate, humidity, steps, battery];

/** The same series with 1 % noise of full precision. */
function noisy(values: (random: Random) => Walk): (random: Random) => Walk {
  return (random) => {
    const walk = values(random);
    return () => walk() * (1 + noise(random) * 0.01);
  };
}

/** The same series as a device sends it that computes in float32. */
function float32(values: (random: Random) => Walk): (random: Random) => Walk {
  return (random) => {
    const walk = values(random);
    return () => Math.fround(walk());
  };
}

const secondly = paced({ periodMs: 1000, jitterMs: 20 });

export const chunkShapes: readonly ChunkShape[] = [
  { name: 'STD', times: secondly, values: standard },
  { name: 'NOISE', times: secondly, values: standard.map(noisy) },
  { name: 'float32', times: secondly, values: [float32(temperature)] },
  {
    name: 'away now and then',
    times: paced({ periodMs: 1000, jitterMs: 20, awayChance: 0.004 }),
    values: [temperature],
  },
  { name: 'clock drifts', times: paced({ periodMs: 1000.3, jitterMs: 2 }), values: [temperature] },
  { name: 'regular, constant', times: paced({ periodMs: 1000, jitterMs: 0 }), values: [() => () => 21.4] },
];

/** `count` readings of metric number `metric` of a shape. */
export function makeChunk(shape: ChunkShape, metric: number, random: Random, count: number): ReadingColumns {
  const time = shape.times(random);
  const value = shape.values[metric]?.(random) ?? (() => Number.NaN);
  return { times: Float64Array.from({ length: count }, time), values: Float64Array.from({ length: count }, value) };
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? 1);
  console.log(`seed ${seed}, ${chunkCount} readings a chunk, medians of ${roundCount} rounds`);
  console.log('shape                 codec  B/point  encode ns  decode ns');
  for (const shape of chunkShapes) {
    const random = seededRandom(seed);
    const chunks = Array.from({ length: chunksEach * shape.values.length }, (_, index) =>
      makeChunk(shape, index % shape.values.length, random, chunkCount),
    );
    const points = chunks.length * chunkCount;
    const runs = codecs.map((codec) => ({ codec, encodeNs: [] as number[], decodeNs: [] as number[], byteCount: 0 }));
    // Codecs take turns, so that a slow minute hits all.
    for (let round = -warmUpCount; round < roundCount; round++) {
      for (const run of runs) {
        const started = performance.now();
        const packed = chunks.map((chunk) => run.codec.encode(chunk));
        const encoded = performance.now();
        const unpacked = packed.map((bytes) => run.codec.decode(bytes));
        const decoded = performance.now();
        if (round === -warmUpCount) {
          chunks.forEach((chunk, index) => {
            checkSame(chunk, unpacked[index] ?? { times: new Float64Array(), values: new Float64Array() }, shape.name);
          });
          run.byteCount = packed.reduce((sum, bytes) => sum + bytes.length, 0);
        } else if (round >= 0) {
          run.encodeNs.push(((encoded - started) * 1e6) / points);
          run.decodeNs.push(((decoded - encoded) * 1e6) / points);
        }
      }
    }
    for (const { codec, encodeNs, decodeNs, byteCount } of runs) {
      const row = [(byteCount / points).toFixed(3), medianOf(encodeNs).toFixed(1), medianOf(decodeNs).toFixed(1)];
      console.log(
        `${shape.name.padEnd(22)}${codec.name.padEnd(6)}${row[0]?.padStart(8)}${row[1]?.padStart(11)}${row[2]?.padStart(11)}`,
      );
    }
  }
}
