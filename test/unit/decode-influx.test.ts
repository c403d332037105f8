import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { loadConfig } from '../../src/config/load.ts';
import { decodeInflux, decodeInfluxBatch, type InfluxTags, usualInfluxTags } from '../../src/decode/influx.ts';
import { LineReader } from '../../src/decode/line-protocol.ts';
import type { Value } from '../../src/domain/reading.ts';
import { isTakenOrRefused, mutatedPayloads } from '../support/fuzz-corpus.ts';

// Single lines are in test/decode-cases/influx; here is what holds for all of them.

const options = { precision: 'ns', device: null, fallback: null } as const;

interface Point {
  readonly measurement: string;
  readonly tags: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, Value])[];
  readonly timestamp: string | null;
}

/** The other half of the format, by the escape rules of its documentation. */
function written(point: Point): string {
  const tags = point.tags.map(([key, text]) => `,${escaped(key)}=${escaped(text)}`).join('');
  const fields = point.fields.map(([key, of]) => `${escaped(key)}=${writtenValue(of)}`).join(',');
  const timestamp = point.timestamp === null ? '' : ` ${point.timestamp}`;
  return `${point.measurement.replaceAll(/[, ]/g, String.raw`\$&`)}${tags} ${fields}${timestamp}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[,= ]/g, String.raw`\$&`);
}

function writtenValue(value: Value): string {
  return typeof value === 'string' ? `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"` : String(value);
}

function read(text: string): readonly Point[] {
  const reader = new LineReader(text);
  const points: Point[] = [];
  for (let point = reader.next(); point !== null; point = reader.next()) {
    points.push({
      measurement: point.measurement,
      tags: point.tags.map(({ key, value }) => [key, value]),
      fields: point.fields.map(({ key, value }) => [key, value]),
      timestamp: point.timestamp,
    });
  }
  return points;
}

/** Any text without line ends that neither begins as a comment or a blank does nor ends in a backslash. */
const name = fc
  .string({
    minLength: 1,
    maxLength: 12,
    unit: fc.oneof(fc.constantFrom(...',= \\"\'#/'.split('')), fc.string({ minLength: 1, maxLength: 1 })),
  })
  .filter((text) => !/[\n\r\t]/.test(text) && !/^[#\s]/.test(text) && !text.endsWith('\\') && !/\\[,= ]/.test(text));
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
  fc.boolean(),
  fc.string({
    maxLength: 40,
    unit: fc.oneof(fc.constantFrom('"', '\\', '\n', ',', ' ', '='), fc.string({ maxLength: 1 })),
  }),
);
const point: fc.Arbitrary<Point> = fc.record({
  measurement: name,
  tags: fc.array(fc.tuple(name, name), { maxLength: 4 }),
  fields: fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 }),
  timestamp: fc.option(fc.bigInt(0n, 2n ** 63n - 1n).map(String)),
});

describe('line protocol', () => {
  it('gives back every point that is written by its escape rules', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 8 }), fc.constantFrom('\n', '\r\n'), (points, lineEnd) => {
        expect(read(points.map(written).join(lineEnd))).toEqual(points);
      }),
      { numRuns: 1_000 },
    );
  });

  it('counts lines and columns from 1, over comments and texts with line ends, at any place', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(point.map(written), fc.constant('# no'), fc.constant('')), { maxLength: 6 }),
        (before) => {
          const text = `${before.map((line) => `${line}\n`).join('')}m good=1,bad=oops 1`;
          const line = text.split('\n').length;
          expect(faultOf(() => read(text))).toBe(`value_invalid /line/${line}/column/14`);
        },
      ),
    );
  });

  it('keeps a backslash that escapes nothing', () => {
    expect(read(String.raw`a\b,c\d=e\\f g\h=1,i="j\k\\l"`)).toEqual([
      {
        measurement: String.raw`a\b`,
        tags: [[String.raw`c\d`, String.raw`e\\f`]],
        fields: [
          [String.raw`g\h`, 1],
          ['i', String.raw`j\k\l`],
        ],
        timestamp: null,
      },
    ]);
  });

  it('either refuses or decodes whatever bytes come', () => {
    fc.assert(
      fc.property(
        mutatedPayloads('influx'),
        (payload) =>
          isTakenOrRefused(() => decodeInflux(payload, options)) &&
          isTakenOrRefused(() => decodeInfluxBatch(payload, options)),
      ),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['digits', `m f=${'1'.repeat(1_000_000)}x`],
    ['digits of an integer', `m f=${'9'.repeat(1_000_000)}i`],
    ['digits of a timestamp', `m f=1 ${'1'.repeat(1_000_000)}`],
    ['escapes', `${'\\ '.repeat(500_000)},`],
    ['blanks', `m${' '.repeat(1_000_000)}`],
    ['quotes that open', 'm f="\n'.repeat(100_000)],
    ['texts with line ends', `m f="${'\n'.repeat(1_000_000)}`],
    ['carriage returns', '\r'.repeat(1_000_000)],
    ['tags', `m${',a=b'.repeat(250_000)}`],
  ])('gets through a megabyte of %s in one pass and refuses it', (_what, text) => {
    expect(() => decodeInflux(Buffer.from(text), options)).toThrow(RejectedError);
    expect(decodeInfluxBatch(Buffer.from(text), options)).toMatchObject({ devices: [] });
  });
});

describe('the tags', () => {
  const disks = [
    String.raw`disk,device=sda1,host=pi,path=/ used=1 1790000000000000000`,
    String.raw`disk,device=sda2,host=pi,path=/var/log\ 2 used=2 1790000000000000000`,
  ];
  const seriesOf = (tags?: InfluxTags): string[] =>
    decodeInflux(Buffer.from(disks.join('\n')), { ...options, tags }).devices.flatMap(({ device, readings }) =>
      readings.map(({ metric, value }) => `${device} ${metric} ${value}`),
    );

  it('that name the device and stand in the metric are chosen in the configuration', () => {
    expect(seriesOf({ device: ['host', 'device'], metric: ['path'] })).toEqual([
      'pi disk._.used 1',
      'pi disk.var.log_2.used 2',
    ]);
    expect(seriesOf({ device: ['host'], metric: ['device', 'path'] })).toEqual([
      'pi disk.sda1._.used 1',
      'pi disk.sda2.var.log_2.used 2',
    ]);
    expect(seriesOf({ device: ['host'], metric: [] })).toEqual(['pi disk.used 1', 'pi disk.used 2']);
    expect(seriesOf()).toEqual(['sda1 disk._.used 1', 'sda2 disk.var.log_2.used 2']);
  });

  it('of a configuration that nobody changed are the usual ones', () => {
    const { influxDeviceTags, influxMetricTags } = loadConfig({ flags: {} }).ingest;
    expect({ device: influxDeviceTags, metric: influxMetricTags }).toEqual(usualInfluxTags);
  });

  it('that stand in the metric can make it too long, which is refused', () => {
    const line = `m,device=a,path=${'x'.repeat(128)} value=1`;
    expect(faultOf(() => decodeInflux(Buffer.from(line), options))).toBe(
      `metric_invalid /line/1/column/${line.indexOf('value') + 1}`,
    );
  });
});

describe('a batch', () => {
  it('keeps the good lines and tells one fault a line, each in its place', () => {
    const body = [
      'm,device=a x=1',
      'm,device=a',
      'm,device=b x=2,y=oops',
      'm x=3',
      'm,device=b x=4 99',
      'm,device=b x=5',
    ];
    const { devices, faults, refused } = decodeInfluxBatch(Buffer.from(body.join('\n')), options);
    expect(devices.map(({ device, readings }) => [device, readings])).toEqual([
      ['a', [{ metric: 'm.x', time: null, value: 1 }]],
      ['b', [{ metric: 'm.x', time: null, value: 5 }]],
    ]);
    expect(refused).toBe(4);
    expect(faults.map(({ pointer, code }) => `${code} ${pointer}`)).toEqual([
      'payload_invalid /line/2/column/11',
      'value_invalid /line/3/column/18',
      'device_invalid /line/4/column/1',
      'time_invalid /line/5/column/16',
    ]);
  });

  it('goes on with the line after the one in which a text broke off', () => {
    const body = 'm,device=a x="one\ntwo"three\nm,device=a x=2';
    const { devices, faults } = decodeInfluxBatch(Buffer.from(body), options);
    expect(faults.map(({ pointer }) => pointer)).toEqual(['/line/2/column/5']);
    expect(devices[0].readings).toEqual([{ metric: 'm.x', time: null, value: 2 }]);
  });

  it('counts every wrong line and lists a hundred of them', () => {
    const { faults, refused } = decodeInfluxBatch(Buffer.from('m\n'.repeat(250)), options);
    expect(refused).toBe(250);
    expect(faults).toHaveLength(100);
  });

  it('stores nothing else than the lines one by one would', () => {
    fc.assert(
      fc.property(mutatedPayloads('influx'), (payload) => {
        const one = outcome(() => decodeInflux(payload, options).devices);
        const batch = outcome(() => decodeInfluxBatch(payload, options));
        if (one instanceof RejectedError) {
          if (batch instanceof RejectedError) expect(batch.code).toBe(one.code);
          else expect(batch.faults[0]).toEqual({ pointer: one.pointer, code: one.code, detail: one.message });
        } else {
          expect(batch).toEqual({ devices: one, faults: [], refused: 0 });
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

function outcome<T>(decode: () => T): T | RejectedError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RejectedError) return error;
    throw error;
  }
}

function faultOf(decode: () => unknown): string {
  const result = outcome(decode);
  return result instanceof RejectedError ? `${result.code} ${result.pointer}` : 'accepted';
}

it.each(['ns', 'us', 'ms', 's', 'm', 'h'] as const)(
  'a time before 1970 is refused, however few its digits (%s)',
  (precision) => {
    for (const timestamp of ['-1', '-178', '-178901', '-1789012345678']) {
      const line = Buffer.from(`m f=1 ${timestamp}`);
      expect(() => decodeInflux(line, { precision, device: 'd', fallback: null })).toThrow(
        expect.objectContaining({ code: 'time_invalid' }),
      );
    }
  },
);
