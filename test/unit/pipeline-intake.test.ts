import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anySender } from '../../src/domain/principal.ts';
import { RejectedError, TransientError } from '../../src/base/errors.ts';
import type { Commit } from '../../src/domain/commit.ts';
import { settledMessages } from '../../src/domain/settled-columns.ts';
import type { PostOutcome } from '../../src/pipeline/intake.ts';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

let rig: PipelineRig;
let now: number;

function fresh(...options: ConstructorParameters<typeof PipelineRig>): void {
  rig = new PipelineRig(...options);
  now = rig.clock.now();
}

beforeEach(() => fresh());

afterEach(() => {
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
  expect([rig.window.messages, rig.window.bytes, rig.fatal]).toEqual([0, 0, []]);
});

function post(
  rows: readonly object[] | string,
  options: { partial?: boolean; format?: 'json' | 'ndjson' } = {},
): Promise<PostOutcome> {
  const body = typeof rows === 'string' ? rows : JSON.stringify(rows);
  return rig.intake.post(Buffer.from(body), options.format ?? 'json', { partial: options.partial ?? false });
}

/** The code and the pointers with which a request is refused. */
async function refusal(posted: Promise<unknown>): Promise<string> {
  try {
    await posted;
  } catch (error) {
    if (error instanceof RejectedError)
      return [error.code, ...error.errors.map(({ code, pointer }) => `${pointer} ${code}`)].join(', ');
    throw error;
  }
  return 'accepted';
}

/** The distinct times in what was committed. */
function timesOf(commits: readonly Commit[]): ReadonlySet<number> {
  return new Set(commits.flatMap(({ readings }) => [...readings.times.subarray(0, readings.count)]));
}

describe('a message', () => {
  it.each([
    ['devices/a/telemetry', '{"x":1}', 'accepted'],
    ['devices/a/telemetry/x', '1', 'accepted'],
    ['devices/a/status', 'online', 'control'],
    ['devices/a/attributes', '{"firmware":"1.0"}', 'control'],
    ['devices/a/commands/1/reply', '{"status":"succeeded"}', 'control'],
    ['devices/a/commands/1', 'anything', 'control'],
    ['zigbee2mqtt/lamp', 'anything', 'relayed'],
    ['devices', 'anything', 'relayed'],
    ['devices/a/telemetry', '{"x":', 'refused'],
    ['devices/a/status', 'asleep', 'refused'],
    ['devices//telemetry', '{"x":1}', 'refused'],
  ] as const)('on %s with %s is %s, and answered once, whatever its QoS', async (topic, payload, kind) => {
    for (const qos of [0, 1, 2] as const) rig.publish(`QoS ${qos}`, topic, payload, qos);
    await settle();
    expect([...rig.answers].toSorted()).toEqual(['settle QoS 0', 'settle QoS 1', 'settle QoS 2']);
    expect(rig.ledger.messages[kind]).toBe(3);
    expect(rig.ledger.messages.received).toBe(3);
  });

  it('that says something about its device becomes a fact of the commit', async () => {
    rig.publish('a', 'devices/a/status', 'online');
    rig.publish('b', 'devices/a/attributes', '{"firmware":"1.0","battery":null}');
    await settle();
    expect(rig.store.commits.flatMap((commit) => commit.deviceFacts)).toEqual([
      { device: 'a', at: now, status: 'online', cause: 'reported' },
      { device: 'a', at: now, attributes: { firmware: '1.0' } },
    ]);
  });

  it('that is refused lies in the quarantine as it came, with reason, position and sender', async () => {
    const payload = Uint8Array.from([0x7b, 0xff, 0x7d]);
    rig.publish('bytes', 'devices/a/telemetry', payload);
    rig.publish('value', 'devices/a/telemetry', '[{"x":1},{"y":{"z":2}}]');
    await settle();
    const common = { receivedAt: now, topic: 'devices/a/telemetry', client: 'client' };
    expect(rig.store.commits.flatMap((commit) => commit.quarantine)).toEqual([
      expect.objectContaining({ ...common, payload, reason: 'payload_not_utf8', pointer: '' }),
      expect.objectContaining({ ...common, reason: 'value_invalid', pointer: '/1/y' }),
    ]);
    expect([...rig.ledger.refusals]).toEqual([
      ['payload_not_utf8', 1],
      ['value_invalid', 1],
    ]);
    expect([rig.stored, rig.registry.size]).toEqual([[], 0]);
  });

  it('is remembered as settled in the commit that carries it, accepted or refused', async () => {
    const identity = { client: 'c', packetId: 1, hash: 2 };
    const base = { qos: 1, client: 'c', sender: anySender } as const;
    for (const [index, text] of ['{"x":1}', 'broken'].entries()) {
      const message = { ...base, topic: 'devices/a/telemetry', payload: Buffer.from(text) };
      rig.intake.receive({ ...message, identity: { ...identity, packetId: index + 1 } }, rig.receipt(text));
    }
    await settle();
    expect(rig.store.commits.flatMap((commit) => settledMessages(commit.settled))).toEqual([
      { client: 'c', packetId: 1, hash: 2 },
      { client: 'c', packetId: 2, hash: 2 },
    ]);
  });

  it('with QoS 0 is answered when it has its place, and what follows it waits for the disk', async () => {
    rig.store.hold();
    rig.publish('zero', 'devices/a/telemetry/x', '1', 0);
    rig.publish('one', 'devices/a/telemetry/x', '2', 1);
    expect(rig.answers).toEqual(['settle zero']);
    expect(rig.window.messages).toBe(2);
    await settle();
    rig.store.release();
    await settle();
    expect(rig.answers).toEqual(['settle zero', 'settle one']);
  });

  it('with QoS 0 is shed when the window is full; the others are taken, and the window opens when it is half empty', async () => {
    fresh({ messagesMax: 4 });
    const turns: boolean[] = [];
    rig.window.onChange((open) => turns.push(open));
    rig.store.hold();
    for (const name of ['a', 'b', 'c', 'd']) rig.publish(name, 'devices/a/telemetry/x', '1');
    expect([rig.window.open, turns]).toEqual([false, [false]]);
    rig.publish('shed', 'devices/a/telemetry/x', '1', 0);
    rig.publish('kept', 'devices/a/telemetry/x', '1', 1);
    await expect(post([{ device: 'a', metric: 'x', value: 1 }])).rejects.toThrow(TransientError);
    await settle();
    rig.store.release();
    await settle();
    expect([rig.ledger.messages.shed, rig.ledger.messages.accepted, turns, rig.window.closings]).toEqual([
      2,
      5,
      [false, true],
      1,
    ]);
  });

  it('with QoS 0 that was read before the sockets stopped is kept, an eighth more than the window holds', async () => {
    fresh({ messagesMax: 16 });
    rig.store.hold();
    for (let number = 0; number < 20; number++) rig.publish(`m${number}`, 'devices/a/telemetry/x', '1', 0);
    expect([rig.window.open, rig.ledger.messages.shed]).toEqual([false, 2]);
    await settle();
    rig.store.release();
    await settle();
    expect([rig.window.open, rig.ledger.messages.accepted]).toEqual([true, 18]);
  });

  it('that had been settled is counted and nothing else', () => {
    rig.intake.redelivered();
    expect([rig.ledger.messages.received, rig.ledger.messages.redelivered, rig.store.attempts]).toEqual([1, 1, 0]);
  });

  it('counts the times in it that were finer than a millisecond', async () => {
    rig.publish('a', 'devices/a/telemetry', `{"ts":${now}.5,"x":1,"y":2}`);
    await settle();
    expect(rig.ledger.timesTruncated).toBe(2);
  });

  it('with a wrong clock has its times moved to the time of receipt, spacing kept, and its device a mark', async () => {
    const ts = now + 3_600_000;
    rig.publish(
      'a',
      'devices/a/telemetry',
      JSON.stringify([
        { ts: ts - 5_000, x: 1 },
        { ts, x: 2 },
      ]),
    );
    await settle();
    expect(rig.stored).toEqual([`a/x ${now - 5_000} 1`, `a/x ${now} 2`]);
    expect(rig.store.commits[0].deviceFacts).toEqual([{ device: 'a', at: now, clockCorrected: 1 }]);
    expect(rig.ledger.clockCorrected).toBe(1);
  });

  it('from before the year 2000 or more than a day ahead is refused, all of it', async () => {
    rig.publish(
      'old',
      'devices/a/telemetry',
      JSON.stringify([
        { ts: now, x: 1 },
        { ts: 946_684_799_999, x: 2 },
      ]),
    );
    rig.publish(
      'new',
      'devices/a/telemetry',
      JSON.stringify([
        { ts: now, x: 1 },
        { ts: now + 86_400_001, x: 2 },
      ]),
    );
    await settle();
    expect([rig.stored, rig.ledger.refusals.get('time_implausible')]).toEqual([[], 2]);
    const quarantined = rig.store.commits.flatMap((commit) => commit.quarantine);
    expect(quarantined.map(({ pointer }) => pointer)).toEqual(['/1/ts', '/1/ts']);
  });

  it('of a device that empties its buffer keeps a time of its own, however many come in one millisecond', async () => {
    for (let index = 0; index < 50; index++) {
      rig.publish(`m${index}`, 'devices/a/telemetry', `{"ts":${now + 3_600_000 + index * 1_000},"x":${index}}`);
    }
    await settle();
    expect(timesOf(rig.store.commits).size).toBe(50);
  });

  it('without a time never takes the place of one that has its own', async () => {
    rig.publish('timed', 'devices/a/telemetry', `{"ts":${now},"x":1}`);
    rig.publish('untimed', 'devices/a/telemetry', '{"x":2}');
    await settle();
    expect(timesOf(rig.store.commits).size).toBe(2);
  });

  it('is not corrected by a gateway whose own clock is behind its newest commit', async () => {
    fresh({ lastCommitAt: Date.UTC(2026, 8, 21, 12, 0, 1) });
    rig.publish('a', 'devices/a/telemetry', `{"ts":${now + 3_600_000},"x":1}`);
    await settle();
    rig.clock.advance(1_000);
    rig.publish('b', 'devices/a/telemetry', `{"ts":${now + 3_601_000},"x":2}`);
    await settle();
    expect(rig.stored).toEqual([`a/x ${now + 3_600_000} 1`, `a/x ${now + 1_000} 2`]);
  });
});

describe('readings without a time', () => {
  it('get the time of receipt, and two of one series in one millisecond stay two', async () => {
    for (const value of [1, 2, 3]) rig.publish(`m${value}`, 'devices/a/telemetry/x', String(value));
    await settle();
    rig.clock.advance(10);
    rig.publish('later', 'devices/a/telemetry/x', '4');
    await settle();
    expect(rig.stored).toEqual([`a/x ${now} 1`, `a/x ${now + 1} 2`, `a/x ${now + 2} 3`, `a/x ${now + 10} 4`]);
  });

  it('of one message have one time, later than any that one of them had', async () => {
    rig.publish('a', 'devices/a/telemetry/x', '1');
    rig.publish('b', 'devices/a/telemetry', '{"x":2,"y":2}');
    await settle();
    expect(rig.stored).toEqual([`a/x ${now} 1`, `a/x ${now + 1} 2`, `a/y ${now + 1} 2`]);
  });

  it('stay as many as they were by whatever way they come, and never go back', async () => {
    const way = fc.constantFrom('bare', 'object', 'posted');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(way, fc.constantFrom('a', 'b'), fc.constantFrom(0, 0, 1, -5)), { maxLength: 30 }),
        async (steps) => {
          fresh();
          let value = 0;
          for (const [how, device, step] of steps) {
            rig.clock.stepWall(step);
            value++;
            if (how === 'bare') rig.publish('m', `devices/${device}/telemetry/x`, String(value));
            else if (how === 'object') rig.publish('m', `devices/${device}/telemetry`, `{"x":${value},"y":${value}}`);
            else
              void post([
                { device, metric: 'x', value },
                { device, metric: 'x', value: -value },
              ]);
          }
          await settle();
          const { stored, replaced, identical } = rig.ledger.readings;
          expect([replaced, identical]).toEqual([0, 0]);
          expect(rig.store.readings.size).toBe(stored);
          for (const series of ['a/x', 'b/x', 'a/y', 'b/y']) {
            const times = rig.stored
              .filter((line) => line.startsWith(series))
              .map((line) => Number(line.split(' ')[1]));
            expect(times).toEqual(times.toSorted((one, other) => one - other));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('too many series', () => {
  it('of one device: the message is refused whole, and no number was given out for it', async () => {
    fresh({ metricsMax: 3 });
    rig.publish('two', 'devices/a/telemetry', '{"m1":1,"m2":1}');
    rig.publish('two more', 'devices/a/telemetry', '{"m3":1,"m4":1}');
    rig.publish('one more', 'devices/a/telemetry', '{"m1":2,"m5":1}');
    await settle();
    expect(rig.ledger.refusals.get('series_limit')).toBe(1);
    expect(rig.registry.ofDevice('a').map(({ id, metric }) => `${id} ${metric}`)).toEqual(['1 m1', '2 m2', '3 m5']);
    expect(rig.store.commits.flatMap((commit) => commit.newSeries)).toHaveLength(3);
  });

  it('in all: known ones go on, and a device that has none is not born', async () => {
    fresh({ seriesMax: 1 });
    rig.publish('a', 'devices/a/telemetry/x', '1');
    rig.publish('b', 'devices/b/telemetry/x', '1');
    rig.publish('c', 'devices/a/telemetry/x', '2');
    await settle();
    expect([rig.registry.size, rig.registry.hasDevice('b'), rig.stored.length]).toEqual([1, false, 2]);
    expect(rig.store.commits.flatMap((commit) => commit.deviceFacts.map(({ device }) => device))).toEqual(['a']);
  });
});

describe('POST of readings', () => {
  it('names every implausible time and, when partial, keeps the others', async () => {
    const rows = [
      { device: 'a', metric: 'x', time: now, value: 1 },
      { device: 'a', metric: 'x', time: 946_684_799_999, value: 2 },
      { device: 'a', metric: 'x', time: now + 86_400_001, value: 3 },
    ];
    expect(await refusal(post(rows))).toBe('validation_failed, /1/time time_implausible, /2/time time_implausible');
    expect(await post(rows, { partial: true })).toMatchObject({
      stored: 1,
      refused: [{ pointer: '/1/time' }, { pointer: '/2/time' }],
    });
  });

  it('answers after the commit with what became of them', async () => {
    rig.publish('m', 'devices/a/telemetry', `{"ts":${now},"x":1,"y":1}`);
    await settle();
    rig.store.hold();
    let answered = false;
    const posted = post([
      { device: 'a', metric: 'x', time: now, value: 1 },
      { device: 'a', metric: 'y', time: now, value: 2 },
      { device: 'b', metric: 'z', time: new Date(now).toISOString(), value: 'open' },
    ]).then((outcome) => {
      answered = true;
      return outcome;
    });
    await settle();
    expect(answered).toBe(false);
    rig.store.release();
    expect(await posted).toMatchObject({ seq: 2, stored: 1, replaced: 1, identical: 1, refused: [] });
  });

  it('is all or nothing, and says what is wrong with each', async () => {
    const posted = post([
      { device: 'a', metric: 'x', value: 1 },
      { device: '-', metric: 'x', value: 1 },
      { device: 'a', metric: 'x', value: [1] },
    ]);
    expect(await refusal(posted)).toBe('validation_failed, /1/device device_invalid, /2/value value_invalid');
    await settle();
    expect([rig.store.attempts, rig.registry.size, rig.ledger.messages.refused]).toEqual([0, 0, 1]);
  });

  it('with partial takes the good ones and lists the others', async () => {
    const rows = [
      { device: 'a', metric: 'x', value: 1 },
      { device: '-', metric: 'x', value: 1 },
    ];
    const outcome = await post(rows, { partial: true });
    expect([outcome.stored, outcome.refused.map(({ pointer }) => pointer)]).toEqual([1, ['/1/device']]);
  });

  it('gives out no series when one of them is too many, unless it is partial', async () => {
    fresh({ metricsMax: 1 });
    const rows = [
      { device: 'a', metric: 'x', value: 1 },
      { device: 'a', metric: 'y', value: 1 },
    ];
    expect(await refusal(post(rows))).toBe('validation_failed, /1 series_limit');
    expect(rig.registry.size).toBe(0);
    expect((await post(rows, { partial: true })).stored).toBe(1);
    expect(rig.registry.size).toBe(1);
  });

  it('reads NDJSON line by line', async () => {
    const body = '{"device":"a","metric":"x","value":1}\n\n{"device":"a","metric":"y","value":2}\n';
    expect((await post(body, { format: 'ndjson' })).stored).toBe(2);
  });

  it.each([
    ['', 'payload_empty'],
    ['[]', 'payload_empty'],
    ['"device"', 'payload_shape'],
    ['[', 'payload_not_json'],
  ])('refuses the body %j as a whole', async (body, code) => {
    expect(await refusal(post(body))).toBe(code);
    expect(rig.ledger.refusals.get(code)).toBe(1);
  });

  it('is given back when the commit fails', async () => {
    rig.store.failures.push({ kind: 'wait' });
    await expect(post([{ device: 'a', metric: 'x', value: 1 }])).rejects.toThrow(TransientError);
    expect(rig.ledger.messages.shed).toBe(1);
  });
});
