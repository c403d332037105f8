import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unitOf } from '../../src/domain/unit.ts';
import { ReadingText } from '../../src/live/reading-text.ts';
import { Rows } from '../../src/live/rows.ts';

const name = fc.string({ minLength: 1, unit: 'binary' });
const time = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2100, 0) });
const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.string({ unit: 'binary' }),
);
const reading = fc.record({ device: name, metric: name, time, value });

function textOf(readings: { device: string; metric: string }[]): ReadingText {
  return new ReadingText({ series: (id) => ({ id, ...readings[id] }) });
}

function rowsOf(readings: { time: number; value: number | boolean | string }[]): Rows {
  const rows = new Rows();
  for (const [id, { time, value }] of readings.entries()) rows.add(id, time, value);
  return rows;
}

test('rows are the JSON that a JSON encoder would write', () => {
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const expected = readings.map(({ time, ...rest }) => ({
        device: rest.device,
        metric: rest.metric,
        time: new Date(time).toISOString(),
        value: rest.value,
      }));
      expect(textOf(readings).rows(rowsOf(readings))).toBe(JSON.stringify(expected));
    }),
  );
});

test('points and series names are the JSON that a JSON encoder would write', () => {
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const text = textOf(readings);
      expect(text.points(rowsOf(readings))).toBe(
        JSON.stringify(readings.map(({ time, value }, id) => [id, time, value])),
      );
      for (const [id, { device, metric }] of readings.entries()) {
        expect(text.seriesName(id)).toBe(JSON.stringify([id, device, metric, unitOf(metric)]));
      }
    }),
  );
});

test('the unit in a series name is the one that is handed in for its device', () => {
  const directory = { series: (id: number) => ({ id, device: `d${id}`, metric: 'temperature' }) };
  const text = new ReadingText(directory, (device, metric) => (device === 'd1' ? `K of ${metric}` : null));
  expect([text.seriesName(1), text.seriesName(2)]).toEqual([
    '[1,"d1","temperature","K of temperature"]',
    '[2,"d2","temperature",null]',
  ]);
});

test('a slice of the rows is the same text as the slice alone', () => {
  const rows = rowsOf([1, 2, 3, 4].map((value) => ({ time: value, value })));
  const text = textOf([1, 2, 3, 4].map((n) => ({ device: `d${n}`, metric: 'm' })));
  expect(JSON.parse(text.rows(rows, 1, 3))).toMatchObject([{ value: 2 }, { value: 3 }]);
  expect(text.points(rows, 2, 2)).toBe('[]');
});
