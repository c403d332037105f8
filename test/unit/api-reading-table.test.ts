import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pieces } from '../../src/api/readings/pieces.ts';
import {
  csvText,
  inTurns,
  jsonText,
  linesText,
  readingsTable,
  rowsText,
} from '../../src/api/readings/reading-table.ts';
import { csvField } from '../../src/domain/csv-field.ts';
import type { Value } from '../../src/domain/reading.ts';
import { writePage } from '../../src/history/text/page-text.ts';
import { columnsOf } from '../support/memory-history.ts';

// Small answers are written on the main thread and large ones by the reader's: both must write alike.

const label = { device: 'oven-1', metric: 'heat', unit: 'Cel' };
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.string(),
  fc.constantFrom('=1+1', '-5', '@cmd', '\tx', "'=1", 'a "b", c', '\r\n'),
);
const samples = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 4e12 }), value), { selector: ([time]) => time, maxLength: 20 })
  .map((rows) => rows.map(([time, value]) => ({ time, value })).sort((a, b) => a.time - b.time));

function downloaded(columns: ReturnType<typeof columnsOf>, format: 'rows' | 'ndjson' | 'csv'): string {
  return Buffer.from(writePage({ parts: [{ index: 0, columns }] }, format, [label]).bytes).toString();
}

describe('a table', () => {
  test('of readings is written as a download of them would be: rows, lines and CSV', async () => {
    await fc.assert(
      fc.asyncProperty(samples, async (samples) => {
        const columns = columnsOf(samples);
        const table = readingsTable(columns);
        expect(rowsText(table)).toBe(downloaded(columns, 'rows'));
        const head = `"device":"${label.device}","metric":"${label.metric}",`;
        expect(linesText(table, head)).toBe(downloaded(columns, 'ndjson'));
        const csv = csvText(table, ['value'], { before: `${label.device},${label.metric},`, after: `,${label.unit}` });
        expect(csv).toBe(downloaded(columns, 'csv'));
        expect(JSON.parse(`{${await jsonText(table, 'columns', 'readings')}}`)).toEqual({
          times: samples.map(({ time }) => time),
          values: samples.map(({ value }) => (Object.is(value, -0) ? 0 : value)),
        });
      }),
    );
  });

  test('names device, metric and unit in CSV as a download does', () => {
    fc.assert(
      fc.property(fc.oneof(value.map(String), fc.string()), (text) => {
        const columns = columnsOf([{ time: 0, value: 1 }]);
        const named = { device: text, metric: text, unit: text };
        const download = writePage({ parts: [{ index: 0, columns }] }, 'csv', [named]).bytes;
        const field = csvField(text);
        const around = { before: `${field},${field},`, after: `,${field}` };
        expect(csvText(readingsTable(columns), ['value'], around)).toBe(Buffer.from(download).toString());
      }),
    );
  });

  test('of many rows is written bit by bit, and others have their turn in between', async () => {
    const values = Array.from({ length: 10_000 }, (_, row) => row / 3);
    const times = values.map((_, row) => row * 1_000);
    const table = { count: 10_000, times, names: ['avg', 'max'], columns: [values, values.toReversed()] };
    let turns = 0;
    let isWriting = true;
    const others = (): void => {
      turns++;
      if (isWriting) setImmediate(others);
    };
    setImmediate(others);
    expect(await jsonText(table, 'rows', 'buckets')).toBe(`"buckets":[${rowsText(table)}]`);
    expect(turns).toBeGreaterThanOrEqual(3);
    turns = 0;
    expect(JSON.parse(`{${await jsonText(table, 'columns', 'buckets')}}`)).toEqual({
      times,
      avg: values,
      max: values.toReversed(),
    });
    expect(turns).toBeGreaterThanOrEqual(2);
    isWriting = false;
    const edges = { before: 'oven-1,', after: ',Cel' };
    expect(await inTurns(table, (rows) => csvText(rows, ['avg'], edges))).toBe(csvText(table, ['avg'], edges));
  });

  test('leaves a cell empty where there is nothing, or no such column', () => {
    const columns = [
      [1, null, Number.POSITIVE_INFINITY],
      [null, true, 'x'],
    ];
    const table = { count: 3, times: [0, 1, 2], names: ['avg', 'last'], columns };
    const cells = csvText(table, ['last', 'p95', 'avg'], { before: '', after: '' })
      .split('\r\n')
      .map((row) => row.slice(row.indexOf(',') + 1));
    expect(cells.slice(0, 3)).toEqual([',,1', 'true,,', '"x",,']);
    expect(JSON.parse(`[${rowsText(table)}]`)).toMatchObject([{ avg: 1 }, { avg: null }, { avg: null }]);
  });
});

test('pieces come out in the order in which they went in, few at a time, and large ones uncopied', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 20 }),
    fc.constant(new Uint8Array(70_000).fill(7)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (list) => {
      const pieces = new Pieces();
      pieces.add(...list);
      const chunks = pieces.take();
      expect(Buffer.concat(chunks).equals(Buffer.concat(list.map((one) => Buffer.from(one))))).toBe(true);
      const large = list.filter((one) => one.length === 70_000);
      for (const one of large) expect(chunks).toContain(one);
      expect(chunks.length).toBeLessThanOrEqual(2 * large.length + 1);
      expect(pieces.take()).toEqual([]);
    }),
  );
});
