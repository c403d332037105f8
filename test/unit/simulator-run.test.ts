import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AckHistogram } from '../../simulator/ack-histogram.ts';
import { GatewayNotice } from '../../simulator/gateway-notice.ts';
import { LateQueue } from '../../simulator/late-queue.ts';
import {
  parseDuration,
  parsePercent,
  parseReplaySpeed,
  parseUrl,
  parseZoneOffset,
  positiveNumber,
  wholeNumber,
} from '../../simulator/options.ts';
import { createFleet } from '../../simulator/fleet.ts';
import { recallPast } from '../../simulator/past.ts';
import { RandomStream } from '../../simulator/random.ts';
import { Schedule } from '../../simulator/schedule.ts';
import { StatusLine } from '../../simulator/status-line.ts';
import { Tally } from '../../simulator/tally.ts';

describe('the histogram of acknowledgements', () => {
  it('gives quantiles at most two percent above the true ones, and the exact maximum', () => {
    const times = fc.array(fc.double({ min: 0.011, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (taken, share) => {
        const histogram = new AckHistogram();
        for (const ms of taken) histogram.record(ms);
        const sorted = taken.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
        const found = histogram.quantile(share);
        expect(found).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(found).toBeLessThanOrEqual(exact * 1.0201);
        expect(histogram.summary().max).toBeCloseTo(Math.max(...taken), 1);
        expect(histogram.count).toBe(taken.length);
      }),
    );
  });

  it('is all zeros before the first acknowledgement', () => {
    expect(new AckHistogram().summary()).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
  });
});

const Sample = z.object({ ts: z.number(), values: z.record(z.string(), z.unknown()) });

/** Runs a schedule at the given moments and lists every turn. */
function turns(plan: { devices: number; intervalMs: number }, moments: readonly number[]): [number, number][] {
  const schedule = new Schedule({ ...plan, startMs: 1_000_000 });
  const spoken: [number, number][] = [];
  for (const moment of moments)
    schedule.run(1_000_000 + moment, (index, time) => spoken.push([index, time - 1_000_000]));
  return spoken;
}

describe('the past of a fleet', () => {
  const nowMs = 1_795_277_000_000;
  const fleet = createFleet({ devices: 16, seed: 1, drama: true });
  const rounds = recallPast({ devices: fleet, lengthMs: 3_605_000, nowMs, simulatedNowMs: nowMs, speed: 1 });
  const told = fleet.map(({ id }, index) => {
    const messages = rounds.map((round) => round[index]);
    expect(new Set(messages.map((message) => message?.topic))).toEqual(new Set([`devices/${id}/telemetry`]));
    return messages.flatMap((message) => z.array(Sample).parse(JSON.parse(message?.payload ?? '')));
  });

  it('is a sample every ten seconds of every device, oldest first, up to the present and without it', () => {
    const times = Array.from({ length: 360 }, (_, index) => nowMs - 3_600_000 + index * 10_000);
    for (const samples of told) expect(samples.map(({ ts }) => ts)).toEqual(times);
  });

  it('goes on into the present: what counts up has counted up to it', () => {
    const at = fleet.findIndex(({ kind }) => kind === 'meter');
    const energies = told[at].map(({ values }) => Number(values.energy));
    const present = Number(fleet[at].model.sample({ time: nowMs, elapsedMs: 0 }).energy);
    expect(energies).toEqual(energies.toSorted((a, b) => a - b));
    expect(present - energies[359]).toBeGreaterThanOrEqual(0);
    expect(present - energies[359]).toBeLessThan((energies[359] - energies[0]) / 10);
  });

  it('is quiet: no incident of the drama lies in it', () => {
    const at = fleet.findIndex(({ id }) => id === 'fridge-01');
    expect(Math.max(...told[at].map(({ values }) => Number(values.temperature)))).toBeLessThan(8);
  });

  it('counts every value that it tells', () => {
    const counted = rounds.flat().reduce((sum, { readings }) => sum + readings, 0);
    expect(counted).toBe(told.flat().reduce((sum, { values }) => sum + Object.keys(values).length, 0));
  });
});

describe('the timetable', () => {
  it('spreads the devices evenly over the interval', () => {
    expect(turns({ devices: 4, intervalMs: 1_000 }, [0, 250, 800, 1_000])).toEqual([
      [0, 0],
      [1, 250],
      [2, 500],
      [3, 750],
      [0, 1_000],
    ]);
  });

  it('gives a device a new millisecond at each of its turns, at every rate up to a thousand a second', () => {
    const devices = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(devices, fc.double({ min: 1, max: 5_000, noNaN: true }), (count, intervalMs) => {
        const spoken = turns({ devices: count, intervalMs }, [0, intervalMs, intervalMs * 2]);
        const seen = new Set(spoken.map(([index, time]) => `${index} ${time}`));
        expect(seen.size).toBe(spoken.length);
        expect(spoken.length).toBeGreaterThan(2 * (count - 1));
      }),
    );
  });

  it('does not depend on when the timer happens to fire', () => {
    const often = Array.from({ length: 500 }, (_, index) => index * 10);
    const seldom = Array.from({ length: 5 }, (_, index) => index * 1_247.5);
    expect(turns({ devices: 7, intervalMs: 1_000 }, [...often, 4_990])).toEqual(
      turns({ devices: 7, intervalMs: 1_000 }, seldom),
    );
  });

  it('goes on from the present after a long pause and says how many turns it gave up', () => {
    const schedule = new Schedule({ devices: 2, intervalMs: 1_000, startMs: 0 });
    const spoken: number[] = [];
    const speak = (_index: number, time: number): number => spoken.push(time);
    expect(schedule.run(0, speak)).toBe(0);
    expect(schedule.run(3_600_000, speak)).toBe(7_199);
    expect(spoken).toEqual([0, 3_600_000]);
  });

  it('speaks again at once after the clock was set back', () => {
    const schedule = new Schedule({ devices: 1, intervalMs: 1_000, startMs: 10_000_000 });
    const spoken: number[] = [];
    const speak = (_index: number, time: number): number => spoken.push(time);
    schedule.run(10_000_000, speak);
    schedule.run(5_000_000, speak);
    expect(spoken).toEqual([10_000_000, 5_000_000]);
    expect(schedule.waitMs(5_000_000)).toBe(1_000);
  });
});

describe('messages held back', () => {
  it('come out in order of their release, none lost and none early', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 60 }),
        fc.integer({ min: 0, max: 1_000 }),
        (times, now) => {
          const queue = new LateQueue<number>(100);
          for (const time of times) expect(queue.hold(time, time)).toBe(true);
          const due = queue.release(now);
          expect(due).toEqual(times.filter((time) => time <= now).toSorted((a, b) => a - b));
          expect([...due, ...queue.release(Infinity)]).toHaveLength(times.length);
          expect(queue.size).toBe(0);
        },
      ),
    );
  });

  it('are bounded', () => {
    const queue = new LateQueue<number>(1);
    expect([queue.hold(1, 1), queue.hold(2, 2)]).toEqual([true, false]);
    expect(queue.release(Infinity)).toEqual([1]);
  });
});

describe('the tally', () => {
  it('is clean only when a connection was made and nothing is outstanding', () => {
    const tally = new Tally(1);
    expect(tally.isClean).toBe(false);
    tally.connects = 1;
    tally.sent = 2;
    tally.acked = 1;
    expect([tally.isClean, tally.inFlight]).toEqual([false, 1]);
    tally.acked = 2;
    expect(tally.isClean).toBe(true);
  });

  it('says that QoS 0 has no acknowledgements instead of counting none', () => {
    const tally = new Tally(0);
    tally.sent = 5;
    expect(tally.report(1_000)).toMatchObject({ sent: 5, acked: null, ackMs: null, inFlight: 0 });
    expect(tally.report(1_000).note).toContain('QoS 0 is not acknowledged');
    expect(new Tally(1).report(1_000).note).toBeUndefined();
  });
});

function output(isTTY: boolean): { isTTY: boolean; columns: number; written: string[]; write(text: string): void } {
  const written: string[] = [];
  return { isTTY, columns: 40, written, write: (text) => void written.push(text) };
}

describe('the status line', () => {
  it('makes way for a sentence and fits the width of the terminal', () => {
    const terminal = output(true);
    const status = new StatusLine(terminal, new Tally(1), { json: false });
    status.stop();
    const drawn = terminal.written[0] ?? '';
    expect(drawn.startsWith('\r\u001B[2Ksent 0 · acked 0')).toBe(true);
    expect(drawn.length - '\r\u001B[2K'.length).toBe(39);
    status.note('The gateway is gone.');
    expect(terminal.written.at(-1)).toBe('The gateway is gone.\n');
  });

  it('says notes as JSON to a program', () => {
    const pipe = output(false);
    new StatusLine(pipe, new Tally(1), { json: true }).note('The gateway is gone.');
    expect(pipe.written).toEqual(['{"note":"The gateway is gone."}\n']);
  });
});

describe('the notice about the gateway', () => {
  it('is said once for a whole fleet, and once when the gateway is back', () => {
    const said: string[] = [];
    const notice = new GatewayNotice('mqtt://10.0.0.1:1883', (sentence) => said.push(sentence));
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    for (const id of ['a', 'b', 'c']) notice.failed(refused, id);
    notice.connected();
    notice.connected();
    expect(said).toHaveLength(2);
    expect(said[0]).toContain('No gateway answers at mqtt://10.0.0.1:1883');
    expect(said[0]).toContain('--url');
    expect(said[1]).toBe('Connected to mqtt://10.0.0.1:1883.');
  });

  it('names the device whose credentials were refused, and the option', () => {
    const said: string[] = [];
    const notice = new GatewayNotice('mqtt://gateway', (sentence) => said.push(sentence));
    notice.failed(Object.assign(new Error('Connection refused: Not authorized'), { code: 5 }), 'fridge-01');
    expect(said[0]).toMatch(/refused the credentials of fridge-01.*--password/);
  });
});

describe('randomness', () => {
  it('is a function of its argument, in range, and spread out', () => {
    const stream = new RandomStream(99);
    const taken = Array.from({ length: 20_000 }, (_, n) => stream.uniform(1_790_000_000_000 + n));
    expect(taken.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(new Set(taken).size).toBeGreaterThan(19_950);
    const mean = taken.reduce((a, b) => a + b, 0) / taken.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
    expect(stream.uniform(1_790_000_000_007)).toBe(taken[7]);
  });

  it('has spells of the length and frequency planned', () => {
    const stream = new RandomStream(5);
    const plan = { everyMs: 60_000, chance: 0.5, minMs: 5_000, maxMs: 10_000 };
    const inSpell = Array.from({ length: 200_000 }, (_, at) => stream.spell(at * 1_000, plan) >= 0);
    const lengths: number[] = [];
    let run = 0;
    for (const isIn of inSpell) {
      if (isIn) run++;
      else if (run > 0) {
        lengths.push(run);
        run = 0;
      }
    }
    expect(lengths.length / (200_000 / 60)).toBeCloseTo(0.5, 1);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(5);
    // Two spells may touch where their slots meet.
    expect(Math.max(...lengths)).toBeLessThanOrEqual(20);
  });
});

describe('an option', () => {
  it('is read in the units of a person', () => {
    expect(['500ms', '30s', '5m', '1.5h', '1d'].map(parseDuration)).toEqual([
      500, 30_000, 300_000, 5_400_000, 86_400_000,
    ]);
    expect(['0', '12.5%', '100'].map(parsePercent)).toEqual([0, 12.5, 100]);
    expect(['+02:00', '-0530', 'Z'].map(parseZoneOffset)).toEqual([120, -330, 0]);
    expect(['max', '0', '60', '0.5'].map(parseReplaySpeed)).toEqual([Infinity, Infinity, 60, 0.5]);
  });

  it.each([
    [() => parseDuration('30'), /duration/],
    [() => parseDuration('0s'), /duration/],
    [() => parsePercent('101'), /percentage/],
    [() => parseReplaySpeed('-1'), /factor/],
    [() => parseZoneOffset('+15:00'), /offset/],
    [() => parseUrl('http://127.0.0.1'), /mqtt:\/\//],
    [() => parseUrl('mqtt://user:secret@host'), /--password/],
    [() => wholeNumber(1, 10)('0'), /from 1 to 10/],
    [() => wholeNumber(1, 10)('2.5'), /whole number/],
    [() => positiveNumber(1_000)('0'), /above 0/],
    [() => positiveNumber(1_000)('1e9'), /at most 1,000/],
  ])('that is wrong is refused with what to write: %s', (act, message) => {
    expect(act).toThrow(message);
  });
});
