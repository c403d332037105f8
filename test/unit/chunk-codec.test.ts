import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import {
  decodeChunk,
  decodeChunkInto,
  encodeChunk,
  type ReadingColumns,
} from '../../src/storage/sqlite/chunks/chunk-codec.ts';
import { CorruptChunkError, chunkCountMax } from '../../src/storage/sqlite/chunks/chunk-codec-bytes.ts';
import { type ChunkShape, chunkShapes, makeChunk } from '../bench/chunk-codec.ts';

const start = 1_790_000_000_000;

function encode({ times, values }: ReadingColumns): Uint8Array {
  return encodeChunk(times, values, times.length);
}

function shapeNamed(name: string): ChunkShape {
  const shape = chunkShapes.find((candidate) => candidate.name === name);
  if (shape === undefined) throw new Error(`no shape is named ${name}`);
  return shape;
}

/** Columns of as many values as there are times, repeating the values as often as needed. */
function columnsOf(times: readonly number[], values: readonly number[]): ReadingColumns {
  return {
    times: Float64Array.from(times),
    values: Float64Array.from(times, (_, index) => values[index % values.length] ?? 0),
  };
}

/** One reading a second, with these values. */
function secondly(values: readonly number[]): ReadingColumns {
  return columnsOf(
    values.map((_, index) => start + index * 1000),
    values,
  );
}

/** The 64 bits of each value, so that -0 is not 0. */
function bitsOf(values: Float64Array): BigUint64Array {
  return new BigUint64Array(Float64Array.from(values).buffer);
}

function expectSame(found: ReadingColumns, expected: ReadingColumns): void {
  expect(found.times).toEqual(expected.times);
  expect(bitsOf(found.values)).toEqual(bitsOf(expected.values));
}

function expectRoundTrip(columns: ReadingColumns): Uint8Array {
  const bytes = encode(columns);
  expectSame(decodeChunk(bytes), columns);
  return bytes;
}

/** Decodes and, when that succeeds, checks that what came out could have gone in. */
function expectSeriesOrRefusal(bytes: Uint8Array): void {
  let columns: ReadingColumns;
  try {
    columns = decodeChunk(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(CorruptChunkError);
    return;
  }
  expectSame(decodeChunk(encode(columns)), columns);
}

/** Bytes a reading over all series of the shape, twenty chunks each, always the same ones. */
function bytesPerReading(name: string): number {
  const shape = shapeNamed(name);
  const random = seededRandom(20);
  let total = 0;
  for (let index = 0; index < 20 * shape.values.length; index++) {
    total += expectRoundTrip(makeChunk(shape, index % shape.values.length, random, 1024)).length;
  }
  return total / (20 * shape.values.length * 1024);
}

/** The bytes with their checksum made right again, so that what is behind the checksum is tested. */
function resealed(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const end = copy.length - 4;
  if (end >= 0) new DataView(copy.buffer).setUint32(end, crc32(copy.subarray(0, end)), true);
  return copy;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

/** Every bit pattern that is a finite number, evenly. */
const anyBits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => {
  const value = new Float64Array(new BigUint64Array([bits]).buffer)[0] ?? 0;
  return Number.isFinite(value) ? value : -0;
});

const decimal = fc
  .tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.integer({ min: 0, max: 9 }))
  .map(([whole, digits]) => whole / 10 ** digits);

const peculiar = fc.constantFrom(
  0,
  -0,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2.225073858507201e-308,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 51,
  -(2 ** 51),
  2 ** 51 - 1,
  2 ** 53 + 2,
  0.1 + 0.2,
  1 / 3,
  1e-7,
  1e22,
  4.35,
  1.005,
);

/**
 * The values of a series, in the shapes that sensors send and in those that they should not. The size is asked for
 * because arrays are about six long without, and never fill a block.
 */
const anyValues: fc.Arbitrary<number[]> = fc.oneof(
  fc.array(finite, { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(anyBits, { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(decimal, { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(peculiar, { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(fc.oneof({ weight: 30, arbitrary: decimal }, { weight: 1, arbitrary: peculiar }), {
    minLength: 40,
    maxLength: 600,
    size: 'max',
  }),
  fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 400, size: 'max' }),
  // a counter
  fc
    .tuple(
      fc.nat(10 ** 12),
      fc.array(fc.oneof(fc.constant(0), fc.nat(3), fc.nat(10 ** 6)), { minLength: 1, maxLength: 400, size: 'max' }),
    )
    .map(([first, increments]) => {
      let total = first;
      return increments.map((increment) => (total += increment));
    }),
  // constant for a while, then something else
  fc
    .array(fc.tuple(fc.oneof(decimal, peculiar), fc.integer({ min: 1, max: 200 })), { minLength: 1, maxLength: 8 })
    .map((runs) => runs.flatMap(([value, length]) => Array.from({ length }, () => value))),
);

function ascending(first: number, deltas: readonly number[]): number[] {
  let time = first;
  return [first, ...deltas.map((delta) => (time += delta))];
}

const anyFirst = fc.oneof(fc.constant(start), fc.integer({ min: -(2 ** 40), max: 2 ** 42 }), fc.constant(0));

/** The times of a series: regular, jittered, in bursts, with years away, or without any order but the ascent. */
const anyTimes: fc.Arbitrary<number[]> = fc.oneof(
  fc
    .tuple(anyFirst, fc.integer({ min: 1, max: 10 ** 7 }), fc.integer({ min: 0, max: 1200 }))
    .map(([first, period, length]) => Array.from({ length: length + 1 }, (_, index) => first + index * period)),
  fc
    .tuple(anyFirst, fc.array(fc.integer({ min: 960, max: 1040 }), { maxLength: 600, size: 'max' }))
    .map(([first, deltas]) => ascending(first, deltas)),
  fc
    .tuple(
      anyFirst,
      fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 30_000, max: 90_000 })), {
        maxLength: 600,
        size: 'max',
      }),
    )
    .map(([first, deltas]) => ascending(first, deltas)),
  fc
    .tuple(
      anyFirst,
      fc.array(
        fc.oneof(
          { weight: 40, arbitrary: fc.integer({ min: 990, max: 1010 }) },
          { weight: 1, arbitrary: fc.nat(10 ** 12).map((away) => away + 1) },
        ),
        { maxLength: 600, size: 'max' },
      ),
    )
    .map(([first, deltas]) => ascending(first, deltas)),
  fc
    .uniqueArray(fc.maxSafeInteger(), { minLength: 1, maxLength: 300, size: 'max' })
    .map((times) => times.map((time) => time + 0).sort((left, right) => left - right)),
);

const anyColumns = fc.tuple(anyTimes, anyValues).map(([times, values]) => columnsOf(times, values));

describe('a chunk', () => {
  test('gives back every time and every bit of every value', () => {
    fc.assert(
      fc.property(anyColumns, (columns) => void expectRoundTrip(columns)),
      { numRuns: 1500 },
    );
  });

  test('gives back any values at the count they were made with', () => {
    fc.assert(
      fc.property(anyValues, (values) => void expectRoundTrip(secondly(values))),
      { numRuns: 1500 },
    );
  });

  test('of one reading is a chunk', () => {
    for (const value of [0, -0, 21.4, -21.4, Number.MAX_VALUE, Number.MIN_VALUE, 1 / 3]) {
      expectRoundTrip(secondly([value]));
    }
  });

  test('of the greatest count is a chunk, whatever the values are', () => {
    const random = seededRandom(12);
    const noise = Array.from(
      { length: chunkCountMax },
      () => (random.next() - 0.5) * 10 ** Math.floor(random.next() * 600 - 300),
    );
    expectRoundTrip(secondly(noise));
    expectRoundTrip(secondly(Array.from({ length: chunkCountMax }, (_, index) => index % 7)));
  });

  test('reaches from one end of the whole milliseconds to the other', () => {
    const times = [
      Number.MIN_SAFE_INTEGER,
      -(2 ** 51),
      -1,
      0,
      1,
      2 ** 51,
      Number.MAX_SAFE_INTEGER - 1,
      Number.MAX_SAFE_INTEGER,
    ];
    expectRoundTrip(columnsOf(times, [1]));
    for (const first of times)
      for (const last of times) if (first < last) expectRoundTrip(columnsOf([first, last], [1]));
  });

  test('keeps numbers exact just inside and just outside the limit of its integer columns', () => {
    const limit = 2 ** 51;
    const values = [limit, -limit, limit - 1, 1 - limit, limit + 1, 0, limit - 1, 1 - limit];
    expectRoundTrip(secondly(values));
    expectRoundTrip(secondly([1 - limit, limit - 1, 1 - limit, limit - 1, 1 - limit]));
    expectRoundTrip(columnsOf([1 - limit, -1, 0, 1, limit - 1], [1]));
    expectRoundTrip(columnsOf([1 - limit, 1, 2, 3, limit], [1]));
  });

  test('reads only the first readings of longer columns', () => {
    const times = Float64Array.of(1000, 2000, 2000, 1);
    const values = Float64Array.of(1, 2, Number.NaN, Number.NaN);
    expectSame(decodeChunk(encodeChunk(times, values, 2)), columnsOf([1000, 2000], [1, 2]));
  });

  test('leaves its input as it was', () => {
    const columns = makeChunk(shapeNamed('STD'), 0, seededRandom(3), 500);
    const copy = { times: columns.times.slice(), values: columns.values.slice() };
    encode(columns);
    expectSame(columns, copy);
  });

  test('decodes where the bytes are part of a larger buffer', () => {
    const columns = secondly([1, 2.5, -0]);
    const bytes = encode(columns);
    const larger = new Uint8Array(bytes.length + 7).fill(0xff);
    larger.set(bytes, 3);
    expectSame(decodeChunk(larger.subarray(3, 3 + bytes.length)), columns);
  });

  test('follows another in the columns of the caller', () => {
    const first = secondly([1, 2]);
    const second = columnsOf([start + 5000, start + 6000, start + 7000], [-0, 1 / 3, 5]);
    const columns = { times: new Float64Array(6), values: new Float64Array(6) };
    expect(decodeChunkInto(encode(first), columns, 0)).toBe(2);
    expect(decodeChunkInto(encode(second), columns, 2)).toBe(3);
    expect([...columns.times]).toEqual([...first.times, ...second.times, 0]);
    expect([...bitsOf(columns.values)]).toEqual([...bitsOf(first.values), ...bitsOf(second.values), 0n]);
  });

  test('does not fit where too little room is left, and then changes nothing', () => {
    const columns = { times: new Float64Array(3), values: new Float64Array(3) };
    const bytes = encode(secondly([1, 2]));
    for (const at of [2, 3, -1, Number.NaN]) expect(() => decodeChunkInto(bytes, columns, at)).toThrow(RangeError);
    expect([...columns.times, ...columns.values]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('what is no series is refused with a RangeError', () => {
  const cases: readonly [string, readonly number[], readonly number[], number, RegExp][] = [
    ['a time that steps back', [1000, 999], [1, 2], 2, /time 1 is 999, not later than 1000/],
    ['a time that stands still', [1000, 1000], [1, 2], 2, /time 1 is 1000, not later than 1000/],
    ['a fraction of a millisecond', [1000.5], [1], 1, /time 0 is 1000.5/],
    ['a time beyond 2^53', [2 ** 53], [1], 1, /whole milliseconds/],
    ['a time that is no number', [Number.NaN], [1], 1, /time 0 is NaN/],
    ['a value that is no number', [1000, 2000], [1, Number.NaN], 2, /value 1 is NaN/],
    ['an infinite value', [1000], [Number.NEGATIVE_INFINITY], 1, /value 0 is -Infinity/],
    ['no readings', [1000], [1], 0, /1 to 4096 readings, not 0/],
    ['half a reading', [1000], [1], 0.5, /not 0\.5/],
    ['more readings than there are values', [1000, 2000], [1], 2, /columns of 2 times and 1 values/],
  ];
  test.each(cases)('%s', (_, times, values, count, message) => {
    const attempt = (): unknown => encodeChunk(Float64Array.from(times), Float64Array.from(values), count);
    expect(attempt).toThrow(RangeError);
    expect(attempt).toThrow(message);
  });

  test('more readings than a chunk holds', () => {
    const many = Float64Array.from({ length: chunkCountMax + 1 }, (_, index) => index);
    expect(() => encodeChunk(many, many, chunkCountMax + 1)).toThrow(RangeError);
    expectRoundTrip({ times: many.slice(1), values: many.slice(1) });
  });
});

describe('a damaged chunk is refused', () => {
  const decimals = secondly([
    21.4,
    21.5,
    21.45,
    -0,
    ...Array.from({ length: 160 }, (_, index) => 21.4 + (index % 9) / 100),
  ]);
  const jittered = makeChunk(shapeNamed('NOISE'), 0, seededRandom(5), 200);
  const samples = [
    encode(decimals),
    encode(jittered),
    encode(secondly([7])),
    encode(columnsOf([0, 2 ** 52], [1 / 3, 1e300])),
  ];

  test('wherever it was cut off', () => {
    for (const bytes of samples) {
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeChunk(bytes.subarray(0, length))).toThrow(CorruptChunkError);
      }
    }
  });

  test('whichever bit was turned over', () => {
    for (const bytes of samples) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const damaged = bytes.slice();
        damaged[bit >>> 3] = (damaged[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => decodeChunk(damaged)).toThrow(CorruptChunkError);
      }
    }
  });

  test('when another version wrote it, with the version in the message', () => {
    const other = encode(decimals);
    other[0] = 2;
    expect(() => decodeChunk(resealed(other))).toThrow('chunk version 2; this gateway reads 1');
  });
});

describe('bytes that somebody made, their checksum right,', () => {
  test('are refused or are a series, however a chunk was mutilated', () => {
    const mutation = fc.record({
      at: fc.nat(),
      bytes: fc.uint8Array({ maxLength: 4 }),
      removed: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(anyColumns, fc.array(mutation, { minLength: 1, maxLength: 3 }), (columns, mutations) => {
        let bytes = encode(columns);
        for (const { at, bytes: inserted, removed } of mutations) {
          const position = at % (bytes.length - 4);
          bytes = Uint8Array.of(...bytes.subarray(0, position), ...inserted, ...bytes.subarray(position + removed));
        }
        expectSeriesOrRefusal(resealed(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  test('are refused or are a series, from the first byte on', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 20 }),
        fc.uint8Array({ maxLength: 200, size: 'max' }),
        (kinds, count, rest) => {
          expectSeriesOrRefusal(resealed(Uint8Array.of(1, kinds, count, ...rest, 0, 0, 0, 0)));
        },
      ),
      { numRuns: 5000 },
    );
  });

  const hostile: readonly [string, readonly number[], RegExp][] = [
    ['an unknown kind', [1, 4, 1], /unknown kinds 4/],
    ['no readings', [1, 0, 0], /claims 0 readings/],
    ['more readings than a chunk holds', [1, 0, 0x81, 0x20], /claims 4097 readings/],
    ['a count beyond 2^53', [1, 0, ...Array.from({ length: 9 }, () => 0xff)], /beyond 2\^53/],
    ['a block that is longer than its column', [1, 0, 2, 0, 0x80, 3, 2, 2], /block of 3 numbers where 2 are left/],
    ['an empty block', [1, 0, 2, 0, 0x80, 0, 2, 2], /block of 0 numbers/],
    ['numbers wider than 53 bits', [1, 0, 2, 0, 54, 2, 2], /block of 54 bits/],
    ['packed bits that are not there', [1, 0, 100, 0, 0x40 | 53, 2, 2, 1, 1, 1], /297 more were expected/],
    ['times that stand still', [1, 0, 2, 0, 0x40, 2, 0, 0, 0, 0, 0, 0], /time 1 is not later/],
    ['times with fractions', [1, 1, 1, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0x07, 0, 2], /not a whole number of milliseconds/],
    ['a grid too wide', [1, 0, 1, ...Array.from({ length: 7 }, () => 0xff), 0x0f, 0, 2], /grid of/],
    ['too many digits', [1, 0, 1, 0, 0, 2, 16, 0, 0, 2], /decimals of 16 places/],
    ['more strays than values', [1, 0, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2], /2 strays among 1 values/],
    [
      'a stray that is infinite',
      [1, 0, 1, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0, 2],
      /value 0 is not a finite/,
    ],
    ['infinity', [1, 2, 1, 0, 0, 2, 0, 0, 0x80, 0x80, 0x80, 0xff, 0x0f, 0, 0], /value 0 is not a finite number/],
    [
      'halves of more than 32 bits',
      [1, 2, 1, 0, 0, 2, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0],
      /half of value 0 is beyond/,
    ],
    ['a shift of more than 31 bits', [1, 2, 1, 0, 0, 2, 32, 0, 0, 0, 0], /shifted by 32 bits/],
    ['bytes behind the last value', [1, 0, 1, 0, 0, 2, 0, 0, 0, 2, 0], /1 bytes follow the last value/],
  ];
  test.each(hostile)('are refused: %s', (_, body, message) => {
    const attempt = (): unknown => decodeChunk(resealed(Uint8Array.of(...body, 0, 0, 0, 0)));
    expect(attempt).toThrow(CorruptChunkError);
    expect(attempt).toThrow(message);
  });

  test('are refused when a stray lies outside the chunk', () => {
    const column = [0x40, 2, 2];
    const body = [1, 0, 16, 0, ...column, 0, 1, 32, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, ...column];
    expect(() => decodeChunk(resealed(Uint8Array.of(...body, 0, 0, 0, 0)))).toThrow(/a stray at 16 among 16 values/);
    body[9] = 30;
    expect([...decodeChunk(resealed(Uint8Array.of(...body, 0, 0, 0, 0))).values].slice(14)).toEqual([15, 1]);
  });
});

describe('the bytes of version 1 stay what they are', () => {
  const golden: readonly [string, ReadingColumns, string][] = [
    ['one reading', secondly([21.4]), '010001000080b083c59868010000ac034ece0ed5'],
    [
      'regular and constant',
      secondly(Array.from({ length: 300 }, () => 36.6)),
      '0100ac0280d00fc0ac0280b083c59868000100c0ac02dc0500799c0b1f',
    ],
    [
      'jitter, decimals and a stray',
      columnsOf(
        [start, ...Array.from({ length: 31 }, (_, index) => start + 1000 * (index + 1) + ((index * 7) % 11))],
        [20.5, 20.55, -0, 20.4, 20.41, 20.3, 20.5, 20.6, 20.5, 20.5, 20.51, 20.5, 20.52, 20.6, 20.7, 20.75, 20.8],
      ),
      '01002080d00f0480b083c598680070a326598104376a92154870a3265901020205230684202759a62c00e5515445591edaca5496290b4079145551968702a93e41a7',
    ],
    [
      'float bits',
      secondly([1 / 3, -2 / 3, 0, -0, Number.MAX_VALUE, Number.MIN_VALUE]),
      '01020680d00f4080b083c59868000020aad5aafd07d5aad5fb0f0000005655e55555e55555d55655e5003f3fbf3f20aad5aad50aa9d5aad50a555555000000000000ffffff010000550000ff00f162dea7',
    ],
    [
      'a gap of a year and a spike',
      columnsOf(
        Array.from(
          { length: 60 },
          (_, index) => start + index * 1000 + (index > 30 ? 31_536_000_000 : 0) + (index % 3),
        ),
        Array.from({ length: 60 }, (_, index) => (index === 40 ? 9999 : (index * 5) % 8)),
      ),
      '01003c80d00f821f80b083c598680049922449922449020282b089fbea010192244992244992000083280000d5190fd5190fd5190fd5190fd5190f03989c019d9c01d5190fd5190fd501c662cf02',
    ],
    [
      'times beyond the columns',
      columnsOf([-(2 ** 52), 2 ** 52 + 1], [2 ** 50, -1]),
      '0103020040818080b308828080e6104000020040808080b108818080b01040000002692b3b',
    ],
  ];
  test.each(golden)('%s', (_, columns, expected) => {
    expect(hex(expectRoundTrip(columns))).toBe(expected);
    expectSame(decodeChunk(Uint8Array.from(Buffer.from(expected, 'hex'))), columns);
  });
});

describe('a chunk of 1,024 readings takes, in bytes a reading, at most', () => {
  const bounds: readonly [number, string][] = [
    [1.06, 'STD'],
    [7.1, 'NOISE'],
    [2.9, 'float32'],
    [1.4, 'away now and then'],
    [0.9, 'clock drifts'],
    [0.03, 'regular, constant'],
  ];
  test.each(bounds)('%d for the shape "%s"', (bound, name) => {
    expect(bytesPerReading(name)).toBeLessThan(bound);
  });

  test('as much with a clock that runs fast as with one that is right', () => {
    const random = seededRandom(6);
    const right = makeChunk(shapeNamed('STD'), 0, random, 1024);
    const fast = { times: right.times.map((time, index) => time - Math.round(index * 0.3)), values: right.values };
    expect(expectRoundTrip(fast).length).toBeLessThan(1.02 * encode(right).length);
  });

  test('0.06 when readings come once a year', () => {
    const yearly = Array.from({ length: 1024 }, (_, index) => start + index * 31_556_952_000);
    expect(expectRoundTrip(columnsOf(yearly, [1])).length).toBeLessThan(0.06 * 1024);
  });

  test('0.05 when a constant value changes twice', () => {
    const values = Array.from({ length: 1024 }, (_, index) => (index < 400 ? 21.4 : index < 700 ? 21.5 : 21.3));
    expect(expectRoundTrip(secondly(values)).length).toBeLessThan(0.05 * 1024);
  });

  test('1.3 more when one decimal in two is -0, and next to nothing when all are', () => {
    const plain = makeChunk(shapeNamed('STD'), 0, seededRandom(4), 1024);
    const freezing = { times: plain.times, values: plain.values.map((value) => ((value * 100) % 2 < 1 ? -0 : value)) };
    expect(expectRoundTrip(freezing).length).toBeLessThan(encode(plain).length + 1.3 * 1024);
    const frozen = { times: plain.times, values: plain.values.map(() => -0) };
    const constant = { times: plain.times, values: plain.values.map(() => 0) };
    expect(expectRoundTrip(frozen).length).toBeLessThan(encode(constant).length + 20);
  });
});
