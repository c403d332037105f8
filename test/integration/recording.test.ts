// Recorded signals go in over MQTT, sent by the simulator as a process of its own, and come out over REST. What must come
// out is calculated here from the text of the file alone, with nothing of the gateway: the answers are only read with
// the schemas of the contract.
import { afterEach, describe, expect, test } from 'vitest';
import { AlertDetail, AlertList } from '../../src/contract/alert-list.ts';
import { Buckets, Readings } from '../../src/contract/reading.ts';
import { Rule } from '../../src/contract/rule.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { readMetrics, sample } from '../support/ledger-check.ts';
import { recordingLines, replayRecording } from '../support/recording-replay.ts';
import { tempFolder } from '../support/temp-folder.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(flags: Readonly<Record<string, unknown>> = {}): Promise<RunningGateway> {
  const running = await startGateway({ 'device.messagesPerSecond': 0, ...flags });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= running.stop());
  cleanups.push(stop);
  return { ...running, stop };
}

function ownFolder(): string {
  const folder = tempFolder();
  cleanups.push(() => folder.remove());
  return folder.path;
}

describe('the temperatures of an office, 7,267 hours with holes', () => {
  const device = 'office-1';
  const query = `/api/v1/devices/${device}/readings?metric=temperature&from=2013-07-01&to=2014-06-01`;
  const rule = {
    name: 'Office too warm',
    device: 'office-*',
    metric: 'temperature',
    condition: { type: 'threshold', above: 77, clearBelow: 75 },
    for: '2h',
    severity: 'critical',
  };
  const rows = recordingLines('ambient_temperature.csv').slice(1).map(officeRow);

  const send = (gateway: RunningGateway): ReturnType<typeof replayRecording> =>
    replayRecording('ambient_temperature.csv', gateway.mqtt.url, ['--device', device, '--metric', 'temperature']);

  test('every reading comes back with its time and its exact value, forwards and backwards, page by page', async () => {
    const { gateway, ...running } = await start();
    const tally = await send({ gateway, ...running });
    expect(tally).toMatchObject({ sent: rows.length, acked: rows.length, inFlight: 0, errors: 0 });
    expect(gateway.ledger.readings).toEqual({
      decoded: rows.length,
      stored: rows.length,
      replaced: 0,
      identical: 0,
    });
    const expected = rows.map(({ time, value }) => ({ time, value }));
    expect(await rawOf(running, `${query}&limit=1000`)).toEqual(expected);
    expect(await rawOf(running, `${query}&limit=997&order=desc`)).toEqual(expected.toReversed());
  });

  // Sealed, the aggregates come from the summaries of chunks, unsealed from the readings.
  test.each([
    { sealAfter: '10m', where: 'in memory' },
    { sealAfter: '50ms', where: 'in sealed chunks' },
  ])(
    'aggregates by the hour, the day, five days and in all of readings $where are those of the file',
    async ({ sealAfter }) => {
      const running = await start({ 'storage.sealAfter': sealAfter });
      await send(running);
      if (sealAfter === '50ms') await untilSealed(running, rows.length);
      for (const [bucket, width] of [
        ['1h', hourMs],
        ['1d', dayMs],
        ['5d', 5 * dayMs],
        // One bucket that holds everything.
        ['3000d', 3_000 * dayMs],
      ] as const) {
        const asked = `${query}&bucket=${bucket}&agg=avg,min,max,sum,count,first,last&limit=700`;
        const buckets: unknown[] = [];
        for await (const page of running.http.pages(Buckets, asked)) {
          expect(page).toMatchObject({ device, metric: 'temperature' });
          buckets.push(...page.buckets);
        }
        const expected = aggregatesOf(rows, width).map(({ avg, sum, ...exact }) => ({
          ...exact,
          avg: within(avg),
          sum: within(sum),
        }));
        expect(buckets).toEqual(expected);
      }
    },
  );

  test('the rule fires and resolves when the file says, also asked after a restart, and a second replay adds nothing', async () => {
    const flags = { 'data.dir': ownFolder() };
    const first = await start(flags);
    const { id } = await first.http.post(Rule, '/api/v1/rules', rule, 201);
    await send(first);
    const expected = episodesOf(rows, { above: 77, clearBelow: 75, forMs: 2 * hourMs });
    expect(expected.length).toBeGreaterThanOrEqual(5);
    const alerts = await alertsOf(first, id);
    expect(
      alerts.map(({ startedAt, firedAt, resolvedAt, value, state }) => ({
        startedAt,
        firedAt,
        resolvedAt,
        value,
        state,
      })),
    ).toEqual(
      expected.map(({ startedAt, firedAt, resolvedAt, value }) => ({
        startedAt,
        firedAt,
        resolvedAt,
        value,
        state: resolvedAt === null ? 'firing' : 'resolved',
      })),
    );
    for (const [index, alert] of alerts.entries()) {
      expect(alert).toMatchObject({
        rule: { id, name: rule.name },
        device,
        metric: 'temperature',
        severity: 'critical',
        threshold: 77,
      });
      const { transitions } = await first.http.get(AlertDetail, `/api/v1/alerts/${alert.id}`);
      const { firingRead, resolvedAt } = expected[index] ?? {};
      const causes = [
        { type: 'alert.firing', sequence: 2 * index + 1, time: firingRead },
        { type: 'alert.resolved', sequence: 2 * index + 2, time: resolvedAt },
      ];
      expect(transitions).toMatchObject(resolvedAt === null ? causes.slice(0, 1) : causes);
    }

    await send(first);
    expect(first.gateway.ledger.readings).toMatchObject({ stored: rows.length, replaced: 0, identical: rows.length });
    expect(await alertsOf(first, id)).toEqual(alerts);
    await first.stop();

    const second = await start(flags);
    expect(await alertsOf(second, id)).toEqual(alerts);
    await send(second);
    expect(second.gateway.ledger.readings).toMatchObject({ stored: 0, replaced: 0, identical: rows.length });
    expect(await alertsOf(second, id)).toEqual(alerts);
  });
});

describe('an ECG, 30,000 samples at 250 Hz, sent as fast as it is acknowledged', () => {
  const begin = Date.UTC(2026, 0, 31, 23, 59);
  const device = 'holter-1';
  const query = `/api/v1/devices/${device}/readings?metric=ecg&from=${begin}&to=${begin + 120_000}&limit=10000`;
  const lines = recordingLines('ecg_e0103.csv');
  const samples = Float64Array.from(lines, Number);

  const send = (gateway: RunningGateway, batch: number): ReturnType<typeof replayRecording> =>
    replayRecording(
      'ecg_e0103.csv',
      gateway.mqtt.url,
      `--device ${device} --metric ecg --rate 250 --start ${new Date(begin).toISOString()} --batch ${batch}`.split(' '),
    );

  async function expectEverySample(running: RunningGateway): Promise<void> {
    const raw = await rawOf(running, query);
    expect(raw).toHaveLength(30_000);
    const values = Float64Array.from(raw, ({ value }) => (typeof value === 'number' ? value : Number.NaN));
    // Bit for bit: neither a rounding nor a sign of zero may differ.
    const wrong = new BigUint64Array(values.buffer).findIndex(
      (bits, index) => bits !== new BigUint64Array(samples.buffer)[index],
    );
    expect({ index: wrong, is: values[wrong], line: lines[wrong] }).toEqual({ index: -1 });
    const misplaced = raw.findIndex(({ time }, index) => Date.parse(time) !== begin + index * 4);
    expect({ index: misplaced, is: raw[misplaced] }).toEqual({ index: -1 });
  }

  test('a message a sample: every sample is there bit for bit, and again after a restart', {
    timeout: 60_000,
  }, async () => {
    expect(samples).toHaveLength(30_000);
    const flags = { 'data.dir': ownFolder() };
    const first = await start(flags);
    const tally = await send(first, 1);
    expect(tally).toMatchObject({ sent: 30_000, acked: 30_000, readings: 30_000, errors: 0 });
    expect(first.gateway.ledger.messages).toMatchObject({ accepted: 30_000, refused: 0, shed: 0, redelivered: 0 });
    await expectEverySample(first);
    await first.stop();
    await expectEverySample(await start(flags));
  });

  test('sealed while it comes in, every sample is there bit for bit, and again after a restart', {
    timeout: 60_000,
  }, async () => {
    const flags = { 'data.dir': ownFolder(), 'storage.sealAfter': '50ms' };
    const first = await start(flags);
    await send(first, 10);
    // Full heads have become chunks meanwhile, the rest follows when it is old.
    expect(sample(await readMetrics(first.http.port), 'pulsegate_engine_chunks')).toBeGreaterThan(0);
    await expectEverySample(first);
    await untilSealed(first, 30_000);
    await expectEverySample(first);
    await first.stop();
    const second = await start(flags);
    const metrics = await readMetrics(second.http.port);
    expect(sample(metrics, 'pulsegate_engine_chunk_readings')).toBe(30_000);
    await expectEverySample(second);
  });
});

type Sample = Readings['readings'][number];

async function rawOf({ http }: Pick<RunningGateway, 'http'>, query: string): Promise<Sample[]> {
  const readings: Sample[] = [];
  for await (const page of http.pages(Readings, query)) readings.push(...page.readings);
  return readings;
}

/** Oldest first. */
async function alertsOf({ http }: RunningGateway, rule: string): Promise<AlertList['items']> {
  const alerts: AlertList['items'] = [];
  for await (const page of http.pages(AlertList, `/api/v1/alerts?rule=${rule}&limit=4`)) alerts.push(...page.items);
  return alerts.reverse();
}

async function untilSealed({ http }: RunningGateway, count: number): Promise<void> {
  for (;;) {
    const metrics = await readMetrics(http.port);
    if (sample(metrics, 'pulsegate_engine_head_readings') === 0) {
      expect(sample(metrics, 'pulsegate_engine_chunk_readings')).toBe(count);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// ── The independent calculation ──────────────────────────────────────────────────────────────────────────────────

interface OfficeRow {
  /** As the gateway writes times. */
  readonly time: string;
  readonly value: number;
  /** The value as it stands in the file. */
  readonly text: string;
}

/** `2013-07-04 00:00:00,69.88083514`: the times name no zone and count as UTC. */
function officeRow(line: string): OfficeRow {
  const text = line.slice(20).trim();
  return { time: `${line.slice(0, 10)}T${line.slice(11, 19)}.000Z`, value: Number(text), text };
}

interface Aggregates {
  readonly time: string;
  readonly avg: number;
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly count: number;
  readonly first: number;
  readonly last: number;
}

/** Exact: the decimals of the file are added as integers, so that no order of additions has any say in it. */
function aggregatesOf(rows: readonly OfficeRow[], width: number): Aggregates[] {
  const groups = Map.groupBy(rows, ({ time }) => Math.floor(Date.parse(time) / width) * width);
  return [...groups].map(([begin, members]) => {
    const values = members.map(({ value }) => value).sort((a, b) => a - b);
    const total = members.reduce((sum, { text }) => sum + scaled(text), 0n);
    return {
      time: new Date(begin).toISOString(),
      avg: Number((total * 1_000n) / BigInt(members.length)) / 1e18,
      min: values[0] ?? Number.NaN,
      max: values.at(-1) ?? Number.NaN,
      sum: Number(total) / 1e15,
      count: members.length,
      first: members[0]?.value ?? Number.NaN,
      last: members.at(-1)?.value ?? Number.NaN,
    };
  });
}

/** A decimal number in units of 1e-15. */
function scaled(text: string): bigint {
  const [whole = '', fraction = ''] = text.split('.');
  expect(fraction.length).toBeLessThanOrEqual(15);
  return BigInt(whole + fraction.padEnd(15, '0'));
}

/** A sum of doubles may be off by their rounding, by no more. */
function within(value: number): unknown {
  return {
    asymmetricMatch: (other: unknown) => typeof other === 'number' && Math.abs(other - value) <= 1e-13 * value,
    toString: () => `within 1e-13 of ${value}`,
  };
}

interface EpisodeOfFile {
  readonly startedAt: string;
  readonly firedAt: string;
  /** The reading that made it fire. */
  readonly firingRead: string;
  readonly resolvedAt: string | null;
  /** The value that fired it or, once resolved, that cleared it. */
  readonly value: number;
}

/**
 * Looks for episodes as a person would with a ruler: from a first warm hour, how far does it stay warm without a break?
 * Long enough, and it is an episode until the first hour that is cool again.
 */
function episodesOf(
  rows: readonly OfficeRow[],
  { above, clearBelow, forMs }: { readonly above: number; readonly clearBelow: number; readonly forMs: number },
): EpisodeOfFile[] {
  const episodes: EpisodeOfFile[] = [];
  let at = 0;
  for (;;) {
    const begin = rows.findIndex(({ value }, index) => index >= at && value > above);
    const started = rows[begin];
    if (!started) return episodes;
    const fires = Date.parse(started.time) + forMs;
    const reached = rows.findIndex(({ time }, index) => index > begin && Date.parse(time) >= fires);
    const broken = rows.findIndex(({ value }, index) => index > begin && value <= above);
    if (broken !== -1 && broken <= reached) {
      at = broken + 1;
      continue;
    }
    const firing = rows[reached];
    if (!firing) return episodes;
    const end = rows.findIndex(({ value }, index) => index > reached && value < clearBelow);
    const cooled = rows[end];
    episodes.push({
      startedAt: started.time,
      firedAt: new Date(fires).toISOString(),
      firingRead: firing.time,
      resolvedAt: cooled?.time ?? null,
      value: cooled?.value ?? firing.value,
    });
    if (!cooled) return episodes;
    at = end + 1;
  }
}
