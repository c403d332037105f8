import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeInflux } from '../../src/decode/influx.ts';
import { decodeReadings } from '../../src/decode/readings-json.ts';
import { decodeSenml } from '../../src/decode/senml.ts';
import { type Value, valueKind } from '../../src/domain/reading.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { isDeviceId, isMetricName } from '../../src/domain/series.ts';
import { type RowFormat, rowFormats, type SeriesLabel } from '../../src/history/queries.ts';
import { PageTextWriter, writePage } from '../../src/history/text/page-text.ts';
import { senmlUnit } from '../../src/history/text/senml-unit.ts';

// Readings as text: what is written reads back as the same readings, by our own decoders and by those of the language.

interface Sample {
  readonly time: number;
  readonly value: Value;
}

function kindOf(value: Value): number {
  if (typeof value === 'number') return valueKind.number;
  return typeof value === 'boolean' ? valueKind.boolean : valueKind.text;
}

function columnsOf(samples: readonly Sample[]): SampleColumns {
  const texts = [...new Set(samples.map(({ value }) => value).filter((value) => typeof value === 'string'))];
  const isPlain = samples.every(({ value }) => typeof value === 'number');
  return {
    count: samples.length,
    times: Float64Array.from(samples, ({ time }) => time),
    values: Float64Array.from(samples, ({ value }) =>
      typeof value === 'string' ? texts.indexOf(value) : Number(value),
    ),
    kinds: isPlain ? null : Uint8Array.from(samples, ({ value }) => kindOf(value)),
    texts,
  };
}

function textOf(format: RowFormat, label: SeriesLabel, samples: readonly Sample[]): string {
  return Buffer.from(
    writePage({ parts: [{ index: 0, columns: columnsOf(samples) }] }, format, [label]).bytes,
  ).toString();
}

const time = fc.integer({ min: Date.parse('2000-01-01'), max: Date.parse('2100-01-01') });
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const value: fc.Arbitrary<Value> = fc.oneof(
  number,
  fc.integer({ min: -10_000, max: 10_000 }).map((value) => value / 100 + 0),
  fc.boolean(),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    'on',
    'true',
    '21',
    '"',
    '\\',
    '\\"',
    'a\\',
    'a,b',
    'a\nb',
    'a\r\nb',
    '=1+1',
    '-x',
    "'=1",
    '\t',
    '🙂',
    'é',
  ),
);
const samples = fc
  .array(fc.record({ time, value }), { minLength: 1, maxLength: 20 })
  .map((rows) => [...new Map(rows.map((row) => [row.time, row])).values()]);
const device = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,20}$/).filter(isDeviceId);
const metric = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,20}$/).filter(isMetricName);
const unit = fc.constantFrom(null, 'Cel', '%', '/min', '[ppm]', '{steps}', 'W.h');
const label = fc.record({ device, metric, unit });

describe('what is written reads back as the same readings', () => {
  test('as JSON rows', () => {
    fc.assert(
      fc.property(label, samples, (label, samples) => {
        const parsed: unknown = JSON.parse(`[${textOf('rows', label, samples)}]`);
        expect(parsed).toEqual(samples.map(({ time, value }) => ({ time: new Date(time).toISOString(), value })));
      }),
    );
  });

  test('as JSON columns', () => {
    fc.assert(
      fc.property(label, samples, (label, samples) => {
        const { bytes, times } = writePage({ parts: [{ index: 0, columns: columnsOf(samples) }] }, 'columns', [label]);
        expect(JSON.parse(`[${Buffer.from(bytes).toString()}]`)).toEqual(samples.map(({ value }) => value));
        expect(JSON.parse(`[${Buffer.from(times ?? []).toString()}]`)).toEqual(samples.map(({ time }) => time));
      }),
    );
  });

  test('as NDJSON, by POST /readings', () => {
    fc.assert(
      fc.property(label, samples, (label, samples) => {
        const text = textOf('ndjson', label, samples);
        const { readings, faults } = decodeReadings(Buffer.from(text), 'ndjson');
        const { device, metric } = label;
        expect(faults).toEqual([]);
        expect(readings).toEqual(samples.map((sample) => ({ device, metric, ...sample })));
        expect(text.split('\n').length).toBe(samples.length + 1);
      }),
    );
  });

  test('as line protocol, by its decoder', () => {
    fc.assert(
      fc.property(label, samples, (label, samples) => {
        const text = textOf('influx', label, samples);
        const { devices } = decodeInflux(Buffer.from(text), { precision: 'ns', device: null, fallback: null });
        expect(devices.map(({ device }) => device)).toEqual([label.device]);
        expect(devices[0].readings).toEqual(samples.map((sample) => ({ metric: label.metric, ...sample })));
      }),
    );
  });

  test('as SenML, by its decoder', () => {
    // A record has one name, which is taken apart again by rules for the names of others: these say more than one thing.
    const told = label.filter(({ device, metric }) => !/^urn:dev:/i.test(device) && !/^_|:$/.test(metric));
    fc.assert(
      fc.property(told, samples, (label, samples) => {
        const text = `[${textOf('senml', label, samples)}]`;
        const { devices } = decodeSenml(Buffer.from(text), { format: 'json', device: null, receivedAt: 0 });
        expect(devices.map(({ device }) => device)).toEqual([label.device]);
        expect(devices[0].readings).toEqual(samples.map((sample) => ({ metric: label.metric, ...sample })));
      }),
    );
  });
});

describe('as it stands', () => {
  const label = { device: 'hall-1', metric: 'climate.temperature', unit: 'Cel' };
  const at = Date.parse('2026-11-21T09:30:00.250Z');
  const mixed: readonly Sample[] = [
    { time: at, value: 21.5 },
    { time: at + 750, value: true },
    { time: at + 60_000, value: 'half "open", =odd' },
  ];

  test.each<[RowFormat, string]>([
    [
      'rows',
      '{"time":"2026-11-21T09:30:00.250Z","value":21.5},{"time":"2026-11-21T09:30:01.000Z","value":true},{"time":"2026-11-21T09:31:00.250Z","value":"half \\"open\\", =odd"}',
    ],
    ['columns', '21.5,true,"half \\"open\\", =odd"'],
    [
      'ndjson',
      '{"device":"hall-1","metric":"climate.temperature","time":"2026-11-21T09:30:00.250Z","value":21.5}\n{"device":"hall-1","metric":"climate.temperature","time":"2026-11-21T09:30:01.000Z","value":true}\n{"device":"hall-1","metric":"climate.temperature","time":"2026-11-21T09:31:00.250Z","value":"half \\"open\\", =odd"}\n',
    ],
    [
      'csv',
      'hall-1,climate.temperature,2026-11-21T09:30:00.250Z,21.5,Cel\r\nhall-1,climate.temperature,2026-11-21T09:30:01.000Z,true,Cel\r\nhall-1,climate.temperature,2026-11-21T09:31:00.250Z,"half ""open"", =odd",Cel\r\n',
    ],
    [
      'senml',
      '{"n":"hall-1/climate.temperature","u":"Cel","t":1795253400.25,"v":21.5},{"n":"hall-1/climate.temperature","u":"Cel","t":1795253401,"vb":true},{"n":"hall-1/climate.temperature","u":"Cel","t":1795253460.25,"vs":"half \\"open\\", =odd"}',
    ],
    [
      'influx',
      'climate.temperature,device=hall-1 value=21.5 1795253400250000000\nclimate.temperature,device=hall-1 value=true 1795253401000000000\nclimate.temperature,device=hall-1 value="half \\"open\\", =odd" 1795253460250000000\n',
    ],
  ])('%s', (format, expected) => {
    expect(textOf(format, label, mixed)).toBe(expected);
  });

  test.each(['=1', '+1', '-1', '@x', '\tx', '\rx', "'=1"])('a CSV text %j is no formula to a spreadsheet', (value) => {
    expect(textOf('csv', label, [{ time: at, value }])).toContain(`,"'${value}",`);
  });

  test.each([
    [-21.5, '-21.5'],
    ["it's", '"it\'s"'],
    ["'tis", '"\'tis"'],
    ['a-b', '"a-b"'],
  ])('a CSV value %j is left as it is', (value, expected) => {
    expect(textOf('csv', label, [{ time: at, value }])).toContain(`,${expected},`);
  });

  test('a unit that SenML has not is left out, one that it writes otherwise translated', () => {
    expect(['{steps}', '/min', 'Cel', 'W.h'].map(senmlUnit)).toEqual([null, '1/min', 'Cel', 'Wh']);
    expect(textOf('senml', { ...label, unit: '{steps}' }, [{ time: at, value: 1 }])).not.toContain('"u"');
  });
});

function rows(count: number, from: number): SampleColumns {
  return columnsOf(Array.from({ length: count }, (_, index) => ({ time: 1e12 + index, value: from + index })));
}

describe('a page', () => {
  const labels = ['a', 'b', 'c'].map((device) => ({ device, metric: 'm', unit: null }));
  const parts = [
    { index: 0, columns: rows(2, 10) },
    { index: 2, columns: rows(3, 20) },
  ];

  test.each(rowFormats)('of %s can be cut where its parts end', (format) => {
    const whole = writePage({ parts }, format, labels);
    expect(whole.parts.map(({ index, readings }) => [index, readings])).toEqual([
      [0, 2],
      [2, 3],
    ]);
    expect(whole.parts.at(-1)?.end).toBe(whole.bytes.length);
    const alone = parts.map((part) => Buffer.from(writePage({ parts: [part] }, format, labels).bytes).toString());
    const cut = [whole.bytes.subarray(0, whole.parts[0].end), whole.bytes.subarray(whole.parts[0].end)];
    const separator = format === 'senml' ? ',' : '';
    expect(cut.map((bytes) => Buffer.from(bytes).toString())).toEqual([alone[0] + separator, alone[1]]);
    expect(whole.times === null).toBe(format !== 'columns');
  });

  test('of columns has its times cut where those of its parts end', () => {
    const { times, parts: ends } = writePage({ parts }, 'columns', labels);
    const text = Buffer.from(times ?? []).toString();
    expect(text.slice(0, ends[0].timesEnd)).toBe('1000000000000,1000000000001');
    expect(text.slice(ends[0].timesEnd)).toBe('1000000000000,1000000000001,1000000000002');
    expect(ends[1].timesEnd).toBe(text.length);
  });

  test.each(rowFormats)('of %s may come piece by piece, and one writer makes many', (format) => {
    const writer = new PageTextWriter();
    const expected = writePage({ parts }, format, labels);
    for (let round = 0; round < 2; round++) {
      writer.begin(format);
      writer.part(0, labels[0]);
      writer.add(parts[0].columns, 0, 1);
      writer.add(parts[0].columns, 1, 1);
      writer.add(parts[0].columns, 1, 2);
      writer.part(1, labels[1]);
      writer.part(2, labels[2]);
      writer.add(parts[1].columns, 0, 3);
      const length = expected.bytes.length + (expected.times?.length ?? 0);
      expect(writer.length).toBeGreaterThanOrEqual(length);
      expect(writer.finish()).toEqual(expected);
    }
  });

  test.each(rowFormats)('of %s without a reading is empty', (format) => {
    const { bytes, parts, times } = writePage({ parts: [] }, format, labels);
    expect([bytes.length, parts, times?.length ?? 0]).toEqual([0, [], 0]);
  });

  test('that was begun and not finished leaves nothing behind', () => {
    const writer = new PageTextWriter();
    writer.begin('columns');
    writer.part(0, labels[0]);
    writer.add(parts[0].columns, 0, 2);
    expect(writePage({ parts }, 'csv', labels, writer)).toEqual(writePage({ parts }, 'csv', labels));
  });

  test('may be of any length', () => {
    const columns = rows(200_000, 0);
    const { bytes } = writePage({ parts: [{ index: 0, columns }] }, 'rows', labels);
    const parsed: unknown = JSON.parse(`[${Buffer.from(bytes).toString()}]`);
    expect(parsed).toHaveLength(200_000);
    expect(parsed).toHaveProperty('199999', { time: new Date(1e12 + 199_999).toISOString(), value: 199_999 });
  });
});
