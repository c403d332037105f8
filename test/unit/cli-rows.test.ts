import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CsvCell, csvCell, readCsvRecord } from '../../src/cli/transfer/csv-record.ts';
import { ImportSource } from '../../src/cli/transfer/import-source.ts';
import { FileRows, rowBytesMax, rowsBehindFirstLine } from '../../src/cli/transfer/file-rows.ts';
import { Progress } from '../../src/cli/transfer/progress.ts';
import type { FileFormat } from '../../src/cli/transfer/row-scanner.ts';
import { csvReader, influxReader, readNdjson } from '../../src/cli/transfer/row-readings.ts';
import { WholeRows } from '../../src/cli/transfer/whole-rows.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { type Reading, valueKind } from '../../src/domain/reading.ts';
import { csvHeader } from '../../src/history/text/csv-rows.ts';
import { writePage } from '../../src/history/text/page-text.ts';
import { FakeClock } from '../support/fake-clock.ts';

// Files of readings, cut into rows and read: wherever the pieces are cut, whatever stands in quotes.

const begin = Date.parse('2026-11-21T09:00:00Z');
const device = fc.constantFrom('a', 'hall-1', 'urn:x:y');
const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  fc.boolean(),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '"',
    '\n',
    '\r\n',
    '",\n"',
    '\\',
    '\\"',
    'a="b',
    '}',
    '},{',
    ']',
    '=1',
    "'=1",
    'x\na,m,2026-11-21T09:00:00.000Z,1,\n',
  ),
);
const readings = fc
  .array(fc.record({ device, value }), { minLength: 1, maxLength: 12 })
  .map((rows) => rows.map(({ device, value }, index) => ({ device, metric: 'm.x', time: begin + index, value })));
type Readings = typeof readings extends fc.Arbitrary<infer T> ? T : never;

/** What the gateway answers: every reading a part of its own. */
function answerOf(format: FileFormat, rows: Readings): Buffer {
  const parts = rows.map(({ time, value }, index) => ({ index, columns: columnOf(time, value) }));
  const labels = rows.map(({ device, metric }) => ({ device, metric, unit: null }));
  const text = Buffer.from(writePage({ parts }, format, labels).bytes).toString();
  if (format === 'senml') return Buffer.from(`[${text}]`);
  return Buffer.from(format === 'csv' ? csvHeader + text : text);
}

function columnOf(time: number, value: number | boolean | string): SampleColumns {
  const kind =
    typeof value === 'string' ? valueKind.text : typeof value === 'boolean' ? valueKind.boolean : valueKind.number;
  return {
    count: 1,
    times: Float64Array.of(time),
    values: Float64Array.of(typeof value === 'string' ? 0 : Number(value)),
    kinds: Uint8Array.of(kind),
    texts: typeof value === 'string' ? [value] : [],
  };
}

/** The bytes in pieces of their own memory, as a socket gives them. */
function piecesOf(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => Buffer.from(bytes.subarray(index === 0 ? 0 : ends[index - 1], end)));
}

const cuts = fc.array(fc.nat(), { maxLength: 8 });
const fileFormats = ['csv', 'ndjson', 'influx', 'senml'] as const;

describe.each(fileFormats)('a download as %s', (format) => {
  test('passes whole, however it is cut into pieces', () => {
    fc.assert(
      fc.property(readings, cuts, (rows, cuts) => {
        const answer = answerOf(format, rows);
        const whole = new WholeRows(format);
        const passed = piecesOf(answer, cuts).map((piece) => whole.push(piece));
        expect(whole.count).toBe(rows.length);
        expect(whole.passed).toBe(Buffer.concat(passed).length);
        expect(Buffer.concat([...passed, whole.finish()]).toString()).toBe(answer.toString());
      }),
    );
  });

  test('that is cut anywhere goes on in a second answer as if nothing had happened', () => {
    fc.assert(
      fc.property(readings, fc.nat(), cuts, (rows, cutAt, cuts) => {
        const all = answerOf(format, rows);
        const whole = new WholeRows(format);
        const file = piecesOf(all.subarray(0, cutAt % all.length), cuts).map((piece) => whole.push(piece));
        const position = whole.position();
        const rest = rows.slice(whole.count);
        const last = rows[whole.count - 1];
        if (last) expect(timed(position)).toBe(`${last.device}/m.x/${last.time}`);
        else expect(position).toBeNull();
        whole.restart();
        const answer = rest.length > 0 ? answerOf(format, rest) : Buffer.from(emptyAnswers[format]);
        for (const piece of piecesOf(answer, cuts)) file.push(whole.push(piece));
        file.push(whole.finish());
        expect(Buffer.concat(file).toString()).toBe(all.toString());
      }),
    );
  });

  test('that is cut again within the first row of the second answer goes on behind the first', () => {
    const rows: Readings = [begin, begin + 1_000].map((time) => ({ device: 'hall-1', metric: 'm.x', time, value: 1 }));
    const whole = new WholeRows(format);
    whole.push(answerOf(format, rows.slice(0, 1)));
    whole.restart();
    whole.push(answerOf(format, rows.slice(1)).subarray(0, format === 'csv' ? csvHeader.length + 3 : 3));
    expect(timed(whole.position())).toBe(`hall-1/m.x/${begin}`);
  });

  test('that holds nothing is what the gateway answered', () => {
    const whole = new WholeRows(format);
    const passed = whole.push(Buffer.from(emptyAnswers[format]));
    expect(Buffer.concat([passed, whole.finish()]).toString()).toBe(emptyAnswers[format]);
    expect([whole.count, whole.position()]).toEqual([0, null]);
  });
});

const emptyAnswers: Readonly<Record<FileFormat, string>> = { csv: csvHeader, ndjson: '', influx: '', senml: '[]' };

/** The position with its time as epoch ms. */
function timed(position: string | null): string {
  const [device, metric, time] = position?.split('/') ?? [];
  return [device, metric, /^\d+$/.test(time) ? time : Date.parse(time)].join('/');
}

const readers = {
  csv: (header: Buffer) => csvReader(header),
  ndjson: () => readNdjson,
  influx: () => influxReader('ns'),
} as const;

/** What is read of a file of two lines from byte `begin` on. */
async function left(begin: number): Promise<string> {
  const source = new ImportSource('a.csv', Readable.from([Buffer.from('one\n'), Buffer.from('two\n')]));
  let text = '';
  for await (const piece of source.bytes(begin)) text += piece.toString();
  return text;
}

test('a file that became shorter than what was read of it is not taken for one that was read to its end', async () => {
  expect([await left(2), await left(5), await left(8)]).toEqual(['e\ntwo\n', 'wo\n', '']);
  await expect(left(9)).rejects.toThrow('a.csv is shorter than when it was last read; without a.csv.progress');
});

describe.each(['csv', 'ndjson', 'influx'] as const)('a file as %s', (format) => {
  test('is read as it was written, however it is cut into pieces, and says where each row stands', () => {
    fc.assert(
      fc.property(readings, cuts, (written, cuts) => {
        const file = answerOf(format, written);
        const rows = new FileRows(format);
        const cut = [...piecesOf(file, cuts).flatMap((piece) => rows.push(piece)), ...rows.finish()];
        const body = format === 'csv' ? cut.slice(1) : cut;
        const read = readers[format](cut[0].bytes);
        expect(body.flatMap((row) => read(row.bytes))).toEqual(written);
        for (const { begin, line, bytes } of cut) {
          expect(file.subarray(begin, begin + bytes.length).equals(bytes)).toBe(true);
          expect(line).toBe(file.subarray(0, begin).toString('latin1').split('\n').length);
        }
        expect(rows.position.begin).toBe(file.length);
      }),
    );
  });
});

test('a quote in a tag of line protocol begins no text', () => {
  const file =
    'm,device=a,x="1 value=1 1790000000000000000\nm,device=b value="x\ny" 1790000000000000000\n# "\nm,device=c value=2 1790000000000000000\n';
  const rows = new FileRows('influx');
  const read = influxReader('ns');
  const devices = rows.push(Buffer.from(file)).map((row) => read(row.bytes).map(({ device }) => device));
  expect(devices).toEqual([['a'], ['b'], [], ['c']]);
});

test('a quote that nobody closes costs its own line, not those that follow', () => {
  const good = 'a,m,2026-11-21T09:00:00Z,1\n';
  const file = `device,metric,time,value\na,m,2026-11-21T09:00:00Z,"oh\n${good.repeat(10_000)}`;
  const rows = new FileRows('csv');
  const [header, broken, ...rest] = [...rows.push(Buffer.from(file)), ...rows.finish()];
  expect(header.line).toBe(1);
  expect([broken.line, broken.bytes.toString()]).toEqual([2, 'a,m,2026-11-21T09:00:00Z,"oh\n']);
  expect(rest.length).toBe(10_000);
  expect(rest.at(-1)?.line).toBe(10_002);

  const short = new FileRows('csv', { begin: 100, line: 7 });
  const [swallowed] = [...short.push(Buffer.from(`"oh\n${good}${good}`)), ...short.finish()];
  const { first, rest: behind } = rowsBehindFirstLine(swallowed, 'csv');
  expect([first.bytes.toString(), first.line]).toEqual(['"oh\n', 7]);
  expect(behind.map(({ bytes, begin, line }) => [bytes.toString(), begin, line])).toEqual([
    [good, 104, 8],
    [good, 104 + good.length, 9],
  ]);
});

test('a line without an end does not fill the memory', () => {
  const rows = new FileRows('ndjson');
  let found = 0;
  for (let index = 0; index < 64; index++) found += rows.push(Buffer.alloc(16_384, 'x')).length;
  expect(found).toBeGreaterThanOrEqual(Math.floor((64 * 16_384) / (rowBytesMax + 16_384)));
  expect(rows.position.begin).toBeGreaterThan(64 * 16_384 - 2 * rowBytesMax);
});

function cell(text: string, isQuoted = false): CsvCell {
  return { text, isQuoted };
}

function readCsv(row: string, header = 'device,metric,time,value'): readonly Reading[] {
  return csvReader(Buffer.from(header))(Buffer.from(row));
}

describe('a record of CSV', () => {
  test('is its cells, by RFC 4180', () => {
    expect(readCsvRecord('a,,b\r\n')).toEqual([cell('a'), cell(''), cell('b')]);
    expect(readCsvRecord('"a,""b""\r\nc",""')).toEqual([cell('a,"b"\r\nc', true), cell('', true)]);
    expect(readCsvRecord('a,')).toEqual([cell('a'), cell('')]);
    for (const broken of ['a"b,c', '"a', '"a"b,c', 'a,"b']) expect(readCsvRecord(broken), broken).toBeNull();
  });

  test('of any texts reads back', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (texts) => {
        expect(readCsvRecord(texts.map(csvCell).join(','))?.map(({ text }) => text)).toEqual(texts);
      }),
    );
  });
});

describe('a row of CSV', () => {
  test.each<[string, number | boolean | string]>([
    ['21.5', 21.5],
    ['-1e3', -1_000],
    ['true', true],
    ['FALSE', false],
    ['on', 'on'],
    ['"21.5"', '21.5'],
    ['"true"', 'true'],
    ['""', ''],
    ['"\'=1+1"', '=1+1'],
    ['"\'\'=1"', "'=1"],
    ['"it\'s"', "it's"],
  ])('has in %s the value %j', (cell, value) => {
    expect(readCsv(`a,m,2026-11-21T09:00:00Z,${cell}`)).toEqual([{ device: 'a', metric: 'm', time: begin, value }]);
  });

  test('in which everything stands in quotes has numbers all the same', () => {
    expect(readCsv('"a","m","2026-11-21T09:00:00Z","21.5"')[0].value).toBe(21.5);
    expect(readCsv('"a","m","1795251600000","on"')[0]).toMatchObject({ value: 'on', time: begin });
  });

  test('may have its columns in any order, with others between', () => {
    const [reading] = readCsv('x,21,2026-11-21T09:00:00Z,m,y,a', '\ufeffnote,Value,time,metric,more,device');
    expect(reading).toEqual({ device: 'a', metric: 'm', time: begin, value: 21 });
  });

  test.each([
    ['a,m,2026-11-21T09:00:00Z', 'payload_shape'],
    ['a,m,2026-11-21T09:00:00Z,', 'value_invalid'],
    ['a b,m,2026-11-21T09:00:00Z,1', 'device_invalid'],
    ['a,m m,2026-11-21T09:00:00Z,1', 'metric_invalid'],
    ['a,m,,1', 'time_invalid'],
    ['a,m,yesterday,1', 'time_invalid'],
    ['a,m,1795251600,1', 'time_looks_like_seconds'],
    ['a,m,2026-11-21T09:00:00Z,1e999', 'value_not_finite'],
    ['a,m,2026-11-21T09:00:00Z,"x', 'payload_invalid'],
  ])('%s is refused as %s', (row, code) => {
    expect(() => readCsv(row)).toThrow(expect.objectContaining({ code }));
  });

  test('under a header that lacks a column is not read', () => {
    expect(() => csvReader(Buffer.from('device,value'))).toThrow(/metric, time are not among them/);
  });
});

test('a line of NDJSON or line protocol without a time is refused: sent again it would be another reading', () => {
  const refused = expect.objectContaining({ code: 'time_invalid' });
  expect(() => readNdjson(Buffer.from('{"device":"a","metric":"m","value":1}\n'))).toThrow(refused);
  expect(() => influxReader('ns')(Buffer.from('m,device=a value=1\n'))).toThrow(refused);
});

describe('the progress bar', () => {
  const drawn: string[] = [];
  const out = { isTTY: true, columns: 120, write: (text: string) => drawn.push(text) };

  test('says how far it is, how fast, and what is left', () => {
    drawn.length = 0;
    const clock = new FakeClock();
    const progress = new Progress({ out, clock, noun: 'readings' });
    progress.update({ count: 0, share: 0 });
    clock.advance(50);
    progress.update({ count: 1, share: 0.1 });
    expect(drawn.length).toBe(1);
    clock.advance(950);
    progress.update({ count: 250_000, share: 0.25 });
    expect(drawn[1]).toContain('25 % ██████░░░░░░░░░░░░░░░░░░  250,000 readings  250,000/s  3 s left');
    progress.note('waiting: busy\nfor a reason');
    expect(drawn[2]).toMatch(/250,000 readings .* waiting: busy.\[K$/);
    progress.end();
    expect(drawn.at(-1)).toBe('\r\u001b[K');
  });

  test('is for people only', () => {
    drawn.length = 0;
    const progress = new Progress({ out: { ...out, isTTY: false }, clock: new FakeClock(), noun: 'readings' });
    progress.update({ count: 1, share: null });
    progress.end();
    expect(drawn).toEqual([]);
  });
});
