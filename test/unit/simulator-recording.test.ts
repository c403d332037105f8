import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvLines, separatorOf, splitFields } from '../../simulator/csv.ts';
import { readTime } from '../../simulator/recorded-time.ts';
import { parseRecording, RecordingError, type Recording, type RecordingFormat } from '../../simulator/recording.ts';

const now = Date.UTC(2026, 10, 21, 12);

function parse(lines: readonly string[] | string, format: Partial<RecordingFormat> = {}): Recording {
  return parseRecording(typeof lines === 'string' ? lines : lines.join('\n'), {
    device: 'recorder',
    metric: undefined,
    time: { zoneOffsetMinutes: 0, unit: undefined },
    rateHz: undefined,
    startMs: undefined,
    nowMs: now,
    shiftToNow: false,
    acceptText: false,
    limit: Infinity,
    ...format,
  });
}

function fault(lines: readonly string[] | string, format: Partial<RecordingFormat> = {}): string {
  try {
    parse(lines, format);
  } catch (error) {
    expect(error).toBeInstanceOf(RecordingError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('the recording was accepted');
}

describe('rows of device,metric,time,value', () => {
  it('become readings of their devices, and neighbours of one instant one row', () => {
    const recording = parse([
      'device,metric,time,value',
      'a,temperature,2026-01-02T03:04:05Z,21.5',
      'a,humidity,2026-01-02T03:04:05Z,40',
      'b,door,1790000000000,true',
      'a,temperature,1790000000,-2e-3',
    ]);
    expect(recording.rows).toEqual([
      { device: 'a', time: Date.UTC(2026, 0, 2, 3, 4, 5), values: { temperature: 21.5, humidity: 40 } },
      { device: 'b', time: 1_790_000_000_000, values: { door: true } },
      { device: 'a', time: 1_790_000_000_000, values: { temperature: -0.002 } },
    ]);
    expect(recording.devices).toEqual(['a', 'b']);
    expect(recording).toMatchObject({ readings: 4, distinct: 4, notes: [] });
  });

  it('keep two values of the same instant apart and say that the gateway keeps the last', () => {
    const recording = parse(['time,metric,value', '1790000000000,x,1', '1790000000000,x,2']);
    expect(recording.rows.map((row) => row.values)).toEqual([{ x: 1 }, { x: 2 }]);
    expect(recording).toMatchObject({ readings: 2, distinct: 1 });
    expect(recording.notes.join()).toContain('1 readings have the device, metric and time of another one');
  });

  it('may come in any order of columns, with another separator, with quotes', () => {
    const recording = parse('\uFEFF"Value";"metric";"device";"time"\r\n"1.5";"x";"d-1";"2026-01-02 00:00:00Z"\r\n\r\n');
    expect(recording.rows).toEqual([{ device: 'd-1', time: Date.UTC(2026, 0, 2), values: { x: 1.5 } }]);
  });

  it('are refused with a device id or metric that the gateway would refuse', () => {
    expect(fault(['device,metric,time,value', 'a/b,x,1790000000000,1'])).toContain('"a/b" is no device id');
    expect(fault(['device,metric,time,value', 'a,__proto__,1790000000000,1'])).toContain('is no metric name');
    expect(fault(['device,metric,time,value', 'a,x y,1790000000000,1'])).toContain('"x y" is no metric name');
  });
});

describe('rows of time,metric,…', () => {
  it('are read as UTC when they name no zone, and the user is told', () => {
    const recording = parse(['timestamp,value', '2013-07-04 00:00:00,69.88083514', '2013-07-04 01:00:00,71.22022706']);
    expect(recording.rows).toEqual([
      { device: 'recorder', time: Date.UTC(2013, 6, 4), values: { value: 69.88083514 } },
      { device: 'recorder', time: Date.UTC(2013, 6, 4, 1), values: { value: 71.22022706 } },
    ]);
    expect(recording.notes.join()).toContain('read as UTC');
  });

  it('are moved by the zone offset that is given', () => {
    const time = { zoneOffsetMinutes: 120, unit: undefined };
    expect(
      parse(['ts,x', '2013-07-04 02:00:00,1', '2013-07-04T00:00:00Z,2'], { time }).rows.map((row) => row.time),
    ).toEqual([Date.UTC(2013, 6, 4), Date.UTC(2013, 6, 4)]);
  });

  it('leave out empty and NaN values and count them', () => {
    const recording = parse(['date,a,b', '2026-01-01,1,', '2026-01-02,NaN,2', '2026-01-03,,']);
    expect(recording.rows.map((row) => row.values)).toEqual([{ a: 1 }, { b: 2 }]);
    expect(recording.notes.join()).toContain('4 empty values are left out');
  });

  it('take their metric names from the titles, made fit for the gateway', () => {
    expect(parse(['Time,Heart Rate (bpm),spo2', '1790000000000,70,98']).rows[0]?.values).toEqual({
      heart_rate_bpm: 70,
      spo2: 98,
    });
    expect(parse(['time,value', '1790000000000,70'], { metric: 'ecg' }).rows[0]?.values).toEqual({ ecg: 70 });
    expect(fault(['time,a,b', '1790000000000,1,2'], { metric: 'ecg' })).toContain('--metric');
    expect(fault(['time,a,a', '1790000000000,1,2'])).toContain('two columns of the same name');
  });

  it('with elapsed times need their unit, and end now or begin at the start given', () => {
    const lines = ['timer,hr', '0.0,500', '8.4,510', '1000,520'];
    expect(fault(lines)).toContain('--time-unit');
    const time = { zoneOffsetMinutes: 0, unit: 'ms' as const };
    expect(parse(lines, { time }).rows.map((row) => row.time)).toEqual([now - 1_000, now - 992, now]);
    expect(parse(lines, { time, startMs: 1_790_000_000_000 }).rows.map((row) => row.time - 1_790_000_000_000)).toEqual([
      0, 8, 1_000,
    ]);
  });

  it('can be moved as a whole so that the last is now', () => {
    const lines = ['time,x', '2013-07-04T00:00:00Z,1', '2013-07-04T01:00:00Z,2'];
    expect(parse(lines, { shiftToNow: true }).rows.map((row) => row.time)).toEqual([now - 3_600_000, now]);
  });

  it('are warned about when the gateway would refuse or correct their times', () => {
    expect(parse(['time,x', '1999-12-31,1']).notes.join()).toContain('before the year 2000');
    expect(parse(['time,x', '2099-12-31,1']).notes.join()).toContain('in the future');
  });
});

describe('bare samples', () => {
  it('are spaced by the rate, end now, and a missing one keeps its place', () => {
    const recording = parse('0.455\n0.46\n""\n0.45\n', { rateHz: 250 });
    expect(recording.rows).toEqual([
      { device: 'recorder', time: now - 12, values: { value: 0.455 } },
      { device: 'recorder', time: now - 8, values: { value: 0.46 } },
      { device: 'recorder', time: now, values: { value: 0.45 } },
    ]);
  });

  it('begin at the start given, and a title names the metric', () => {
    const recording = parse(['ppg', '1', '2'], { rateHz: 32, startMs: 1_790_000_000_000 });
    expect(recording.rows.map((row) => row.time - 1_790_000_000_000)).toEqual([0, 31]);
    expect(recording.rows[0]?.values).toEqual({ ppg: 1 });
  });

  it('have distinct times at every rate up to one in a millisecond', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 1_000, noNaN: true }),
        fc.integer({ min: 1, max: 400 }),
        (rateHz, count) => {
          const recording = parse(
            Array.from({ length: count }, (_, index) => String(index)),
            { rateHz },
          );
          expect(recording.distinct).toBe(count);
          expect(recording.rows.at(-1)?.time).toBe(now);
        },
      ),
    );
  });

  it('without a rate are refused with the option that is missing', () => {
    expect(fault('0.455\n0.46\n')).toContain('--rate');
  });
});

describe('a bad file', () => {
  it.each([
    [
      'a value that is no number',
      ['time,x', '1790000000000,1', '1790000000001,12,3'],
      'Line 3 ("1790000000001,12,3"): 3 fields',
    ],
    ['text', ['time,x', '1790000000000,cold'], 'Line 2 ("1790000000000,cold"): "cold" is not a number'],
    ['an infinite number', ['time,x', '1790000000000,1e400'], '"1e400" is not a number'],
    ['a hexadecimal number', ['time,x', '1790000000000,0x10'], '"0x10" is not a number'],
    ['a day that is none', ['time,x', '2025-02-29 00:00:00,1'], '"2025-02-29 00:00:00" is no time'],
    ['no names of columns', ['2013-07-04 00:00:00,69.8'], 'the first line must name the columns'],
    ['no column of values', ['time,device', '1790000000000,a'], 'no column of values'],
    ['nothing', [], 'The file is empty'],
    ['a header alone', ['time,x'], 'no readings'],
  ])('with %s is refused, naming the line and its content', (_what, lines, message) => {
    expect(fault(lines)).toContain(message);
  });

  it('is taken with its text as text when that is asked for', () => {
    expect(parse(['time,x', '1790000000000,cold'], { acceptText: true }).rows[0]?.values).toEqual({ x: 'cold' });
    const long = 'é'.repeat(129);
    expect(fault(['time,x', `1790000000000,${long}`], { acceptText: true })).toContain('over 256 bytes');
  });

  it('is not read beyond the limit', () => {
    expect(parse(['time,x', '1790000000000,1', 'garbage'], { limit: 1 }).rows).toHaveLength(1);
  });
});

describe('csv', () => {
  it('gives back every field that was quoted', () => {
    const field = fc.string().map((text) => text.replace(/[\r\n]/g, '').trim());
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), (fields) => {
        const line = fields.map((text) => `"${text.replaceAll('"', '""')}"`).join(',');
        expect(splitFields(line, ',')).toEqual(fields);
      }),
    );
  });

  it('numbers lines as an editor does, whatever is skipped', () => {
    expect([...csvLines('a\r\n\n# note\nb')]).toEqual([
      { number: 1, text: 'a' },
      { number: 4, text: 'b' },
    ]);
  });

  it('finds the separator outside of quotes', () => {
    expect(separatorOf('"a,b,c";"d"')).toBe(';');
    expect(separatorOf('a\tb')).toBe('\t');
    expect(separatorOf('a')).toBe(',');
  });
});

describe('a recorded time', () => {
  const format = { zoneOffsetMinutes: 0, unit: undefined };

  it('is read back from every RFC 3339 time with any offset', () => {
    const date = fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(date, fc.integer({ min: -14 * 60, max: 14 * 60 }), (time, offset) => {
        const local = new Date(time.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const size = Math.abs(offset);
        const zone = `${offset < 0 ? '-' : '+'}${String(Math.floor(size / 60)).padStart(2, '0')}:${String(size % 60).padStart(2, '0')}`;
        expect(readTime(`${local}${zone}`, format)?.ms).toBe(time.getTime());
        expect(readTime(local.replace('T', ' '), { ...format, zoneOffsetMinutes: offset })?.ms).toBe(time.getTime());
      }),
    );
  });

  it('is cut to the millisecond, not rounded', () => {
    expect(readTime('2016-11-24 13:58:58.081999', format)?.ms).toBe(Date.UTC(2016, 10, 24, 13, 58, 58, 81));
    expect(readTime('1479995938.0819', format)?.ms).toBe(1_479_995_938_081);
  });
});
