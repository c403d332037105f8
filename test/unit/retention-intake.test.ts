import { afterEach, describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { anySender } from '../../src/domain/principal.ts';
import { type RetentionPolicy, type RetentionRule, rawCutoff } from '../../src/domain/retention.ts';
import { RetentionBook } from '../../src/history/retention-book.ts';
import { type RigOptions, PipelineRig, settle } from '../support/pipeline-rig.ts';

const day = 86_400_000;
const month: RetentionPolicy = { raw: 30 * day, minute: null, hour: null };
const vibration: RetentionRule = { name: 'short', device: '*', metric: 'vibration', tag: null, ...month, raw: day };

let rig: PipelineRig;
afterEach(() => {
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
  expect([rig.window.messages, rig.window.bytes, rig.fatal]).toEqual([0, 0, []]);
});

/** Readings are kept for a month, of `vibration` for a day. */
function keeping(defaults: RetentionPolicy = month, options: RigOptions = {}): { now: number; cutoff: number } {
  const book = new RetentionBook({
    defaults,
    series: {
      size: 0,
      series: (id) => rig.registry.series(id),
      find: (device, metric) => rig.registry.find(device, metric),
      ofDevice: (device) => rig.registry.ofDevice(device),
    },
    tagsOf: () => undefined,
  });
  book.setRules([vibration]);
  rig = new PipelineRig({ ...options, ports: { ...options.ports, retention: book } });
  const now = rig.clock.now();
  return { now, cutoff: rawCutoff(defaults, now) };
}

function post(rows: readonly object[], partial = false): ReturnType<PipelineRig['intake']['post']> {
  return rig.intake.post(Buffer.from(JSON.stringify(rows)), 'json', { partial });
}

/** The one fault of a request that is refused. */
async function faults(posted: Promise<unknown>): Promise<readonly string[]> {
  try {
    await posted;
  } catch (error) {
    if (error instanceof RejectedError) return error.errors.map(({ pointer, code }) => `${pointer} ${code}`);
    throw error;
  }
  return [];
}

describe('a reading that is older than readings of its series are kept', () => {
  it('is refused with its message, which goes to the quarantine and is counted', async () => {
    const { cutoff } = keeping();
    rig.publish('old', 'devices/a/telemetry', JSON.stringify([{ ts: cutoff - 1, x: 1 }, { x: 2 }]));
    await settle();
    expect(rig.answers).toEqual(['settle old']);
    expect(rig.stored).toEqual([]);
    expect(rig.store.commits.flatMap(({ quarantine }) => quarantine)).toMatchObject([
      {
        reason: 'time_expired',
        pointer: '/0/ts',
        detail: expect.stringMatching(/kept for 30d.*PUT \/api\/v1\/retention/),
      },
    ]);
    expect(rig.ledger.refusals.get('time_expired')).toBe(1);
  });

  it('leaves no series behind', async () => {
    const { cutoff } = keeping();
    rig.publish('old', 'devices/a/telemetry', JSON.stringify({ ts: cutoff - 1, x: 1 }));
    await settle();
    expect(rig.registry.size).toBe(0);
  });

  it('is taken at the very boundary', async () => {
    const { cutoff } = keeping();
    rig.publish('old', 'devices/a/telemetry', JSON.stringify({ ts: cutoff, x: 1 }));
    await settle();
    expect(rig.stored).toEqual([`a/x ${cutoff} 1`]);
  });

  it('is judged by the policy of its own series', async () => {
    const { now } = keeping();
    const ts = now - 2 * day;
    rig.publish('kept', 'devices/a/telemetry', JSON.stringify({ ts, x: 1 }));
    rig.publish('expired', 'devices/a/telemetry', JSON.stringify({ ts, vibration: 1 }));
    await settle();
    expect(rig.stored).toEqual([`a/x ${ts} 1`]);
    expect(rig.ledger.messages).toMatchObject({ accepted: 1, refused: 1 });
  });

  it('is judged by where it is placed, when the clock of its device is ahead', async () => {
    const { now, cutoff } = keeping();
    const ahead = 3_600_000;
    const rows = (oldest: number) =>
      JSON.stringify([
        { ts: oldest + ahead, x: 1 },
        { ts: now + ahead, x: 2 },
      ]);
    rig.publish('kept', 'devices/a/telemetry', rows(cutoff));
    rig.publish('expired', 'devices/b/telemetry', rows(cutoff - 1));
    await settle();
    expect(rig.stored).toEqual([`a/x ${cutoff} 1`, `a/x ${now} 2`]);
    expect(rig.ledger.refusals.get('time_expired')).toBe(1);
  });

  it('refuses a request with the pointer to its time', async () => {
    const { cutoff, now } = keeping();
    const rows = [
      { device: 'a', metric: 'x', time: now, value: 1 },
      { device: 'a', metric: 'x', time: cutoff - 1, value: 1 },
    ];
    expect(await faults(post(rows))).toEqual(['/1/time time_expired']);
    expect(rig.stored).toEqual([]);
  });

  it('is left out where a request is partial', async () => {
    const { cutoff, now } = keeping();
    const outcome = await post(
      [
        { device: 'a', metric: 'x', time: cutoff - 1, value: 1 },
        { device: 'a', metric: 'x', time: now, value: 2 },
      ],
      true,
    );
    expect(outcome).toMatchObject({ stored: 1, refused: [{ pointer: '/0/time', code: 'time_expired' }] });
    expect(rig.stored).toEqual([`a/x ${now} 2`]);
  });

  it('is refused in other dialects of requests, too', async () => {
    const { cutoff } = keeping();
    const message = {
      device: 'a',
      through: 'a',
      readings: [{ metric: 'x', time: cutoff - 1, value: 1 }],
      timePointers: ['/lines/1/time'],
      valuePointers: ['/lines/1/x'],
      status: null,
      attributes: null,
      truncated: 0,
    };
    const options = { partial: false, sender: anySender, bytes: 10, faults: [] };
    expect(await faults(rig.intake.postBatch([message], options))).toEqual(['/lines/1/time time_expired']);
  });

  it('stays in the quarantine when it is tried again after its time, even without a time of its own', async () => {
    const { now } = keeping();
    const record = {
      id: 1,
      topic: 'devices/a/telemetry',
      payload: Buffer.from('{"x":1}'),
      client: null,
      sender: anySender,
      receivedAt: now - 31 * day,
      reason: 'device_unknown',
      pointer: '',
      detail: '',
    };
    await expect(rig.intake.retry(record)).rejects.toThrow(/kept for 30d/);
    await expect(rig.intake.retry({ ...record, id: 2, receivedAt: now - 29 * day })).resolves.toMatchObject({
      stored: 1,
    });
  });

  it('is taken however old it is, where everything is kept for ever', async () => {
    const { now } = keeping({ raw: null, minute: null, hour: null });
    rig.publish('old', 'devices/a/telemetry', JSON.stringify({ ts: now - 5_000 * day, x: 1 }));
    await settle();
    expect(rig.answers).toEqual(['settle old']);
    expect(rig.ledger.messages.accepted).toBe(1);
  });
});
