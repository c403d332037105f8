import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RejectedError, TransientError } from '../../src/base/errors.ts';
import { type Decoded, deviceMessage, type Dialect, RejectedAsking } from '../../src/decode/decoded.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import type { Command, CommandReply } from '../../src/domain/command.ts';
import type { OutgoingMessage } from '../../src/domain/outgoing-message.ts';
import type { MetricProfile } from '../../src/domain/profile.ts';
import type { QuarantineRecord } from '../../src/domain/quarantine.ts';
import type { DeviceTerms } from '../../src/pipeline/ports.ts';
import { openTerms } from '../../src/pipeline/terms-check.ts';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

const request: OutgoingMessage = {
  topic: 'fleet/ask',
  payload: Buffer.from('birth'),
  qos: 0,
  retain: false,
  device: null,
};
const meter = { device: 'meter', forOthers: false };
const gateway = { device: 'gateway', forOthers: true };

/** `fleet/…`: `device metric value [time]` a line; `?` asks for something, `!` is refused and asks, `=` answers command 7. */
const fleet: Dialect = {
  name: 'fleet',
  claims: (topic) => topic.startsWith('fleet/'),
  decode({ payload }): Decoded {
    const text = Buffer.from(payload).toString();
    if (text === '!') throw new RejectedAsking('payload_invalid', 'not yet', { requests: [request] });
    const requests = text === '?' ? [request] : [];
    const replies = text === '=' ? [{ device: 'a', id: '7', status: 'succeeded' as const, result: null }] : [];
    const lines = text.split('\n').filter((line) => line.includes(' '));
    const devices = lines.map((line) => {
      const [device, metric, value, time] = line.split(' ');
      const reading = { metric, value: Number(value), time: time ? Number(time) : null };
      return deviceMessage(device, { readings: [reading], timePointers: ['/t'], valuePointers: ['/v'], truncated: 1 });
    });
    return { devices, replies, requests };
  },
};

const plausible: MetricProfile = { unit: 'Cel', kind: 'gauge', interval: null, min: -40, max: 85 };

let rig: PipelineRig;
let published: OutgoingMessage[];
let replies: CommandReply[];
let answered: Command | null;
let terms: Map<string, DeviceTerms>;

beforeEach(() => {
  published = [];
  replies = [];
  answered = null;
  terms = new Map();
  rig = new PipelineRig({
    metricsMax: 2,
    ports: {
      devices: { terms: (device) => terms.get(device) ?? openTerms },
      dialects: new Dialects({ mappings: [], dialects: [fleet] }),
      commands: {
        reply(reply) {
          replies.push(reply);
          return answered;
        },
      },
      publish: (message) => void published.push(message),
    },
  });
});

afterEach(() => {
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
  expect([rig.window.messages, rig.window.bytes, rig.fatal]).toEqual([0, 0, []]);
});

/** What lies in the quarantine, as `code pointer`. */
function quarantined(): readonly string[] {
  return rig.store.commits.flatMap(({ quarantine }) => quarantine.map(({ reason, pointer }) => `${reason} ${pointer}`));
}

function refuse(device: string, code: 'device_blocked' | 'device_pending'): void {
  terms.set(device, { ...openTerms, refusal: { code, detail: 'because' } });
}

function limit(device: string): void {
  terms.set(device, { ...openTerms, metric: (metric) => (metric === 'temperature' ? plausible : null) });
}

describe('a message of several devices', () => {
  it('is one entry: every reading is in the same commit, and it counts once', async () => {
    rig.publish('both', 'fleet/1', 'a x 1\nb x 2');
    await settle();
    const now = rig.clock.now();
    expect(rig.stored).toEqual([`a/x ${now} 1`, `b/x ${now} 2`]);
    expect(rig.ledger.messages).toMatchObject({ received: 1, accepted: 1 });
    expect(rig.ledger.timesTruncated).toBe(2);
  });

  it.each([
    ['a x 1\nb x 2 1000000000', 'time_implausible /t'],
    ['a x 1\nb x 2\nb y 2\nb z 2', 'series_limit '],
    ['a x 1\nblocked x 2', 'device_blocked '],
    ['a x 1\nwarm temperature 86', 'value_implausible /v'],
  ])('%j is refused whole, and no series came to be', async (text, refusal) => {
    refuse('blocked', 'device_blocked');
    limit('warm');
    rig.publish('both', 'fleet/1', text);
    await settle();
    expect(quarantined()).toEqual([refusal]);
    expect([rig.stored, rig.registry.size]).toEqual([[], 0]);
  });
});

describe('a sender', () => {
  it.each([
    ['devices/meter/telemetry/x', '1', meter, 'accepted'],
    ['devices/other/telemetry/x', '1', meter, 'refused'],
    ['devices/other/telemetry', '{"x":1}', meter, 'refused'],
    ['devices/other/status', 'online', meter, 'refused'],
    ['devices/other/attributes', '{"a":1}', meter, 'refused'],
    ['devices/other/commands/1/reply', '{"status":"failed"}', meter, 'refused'],
    ['devices/other/telemetry/x', '1', gateway, 'accepted'],
    ['fleet/1', 'meter x 1', meter, 'accepted'],
    ['fleet/1', 'meter x 1\nother x 1', meter, 'refused'],
    ['fleet/1', '=', meter, 'refused'],
    ['fleet/1', 'other x 1', gateway, 'accepted'],
  ] as const)('on %s with %j from %o is %s', async (topic, payload, sender, kind) => {
    rig.publish('one', topic, payload, 1, sender);
    await settle();
    expect(rig.answers).toEqual(['settle one']);
    expect(rig.ledger.messages).toMatchObject({ received: 1, [kind]: 1 });
    if (kind === 'refused') expect(quarantined()).toEqual(['device_forbidden ']);
  });
});

describe('the terms of a device', () => {
  it('that refuse it put its messages of every kind and QoS into the quarantine, acknowledged', async () => {
    refuse('a', 'device_pending');
    rig.publish('telemetry', 'devices/a/telemetry', '{"x":1}', 1);
    rig.publish('bare', 'devices/a/telemetry/x', '1', 0);
    rig.publish('status', 'devices/a/status', 'online', 2);
    rig.publish('fleet', 'fleet/1', 'a x 1', 1);
    await settle();
    expect([...rig.answers].toSorted()).toEqual(['settle bare', 'settle fleet', 'settle status', 'settle telemetry']);
    expect(quarantined()).toEqual(Array.from({ length: 4 }, () => 'device_pending '));
    expect(rig.store.commits.flatMap(({ deviceFacts }) => deviceFacts)).toEqual([]);
  });

  it.each([
    ['{"ts":1789991000000,"values":{"x":1,"temperature":-41}}', '/values/temperature'],
    ['[{"temperature":1},{"y":null,"temperature":85.5}]', '/1/temperature'],
    ['{"ts":1789991000000,"temperature":1e3}', '/temperature'],
  ])('refuse %s outside the plausible range at %s', async (payload, pointer) => {
    limit('a');
    rig.publish('out', 'devices/a/telemetry', payload);
    await settle();
    expect(quarantined()).toEqual([`value_implausible ${pointer}`]);
  });

  it('take what is on the edge of the range, and texts and booleans, which have none', async () => {
    limit('a');
    for (const value of ['-40', '85', 'on', 'cold']) rig.publish(value, 'devices/a/telemetry/temperature', value);
    await settle();
    expect(rig.ledger.messages.accepted).toBe(4);
    rig.publish('out', 'devices/a/telemetry/temperature', '85.01');
    await settle();
    expect(quarantined()).toEqual(['value_implausible ']);
  });

  it('say in which dialect the payload is written', async () => {
    terms.set('a', { ...openTerms, dialect: 'bare' });
    rig.publish('bare', 'devices/a/telemetry', '21.5');
    rig.publish('native', 'devices/b/telemetry', '{"x":1}');
    await settle();
    const now = rig.clock.now();
    expect(rig.stored).toEqual([`a/value ${now} 21.5`, `b/x ${now} 1`]);
  });
});

describe('a request in return', () => {
  it('is published after the commit, and not when it failed', async () => {
    rig.store.hold();
    rig.publish('ask', 'fleet/1', '?');
    rig.publish('with', 'devices/a/telemetry/x', '1');
    await settle();
    expect(published).toEqual([]);
    rig.store.release();
    await settle();
    expect(published).toEqual([request]);
    expect(rig.ledger.messages).toMatchObject({ control: 1, accepted: 1 });
  });

  it('of a refused message is published once its refusal is on disk', async () => {
    rig.publish('refused', 'fleet/1', '!');
    await settle();
    expect([quarantined(), published]).toEqual([['payload_invalid '], [request]]);
  });

  it('of a message that was given back is left alone', async () => {
    rig.store.full = true;
    rig.publish('refused', 'fleet/1', '!');
    await settle();
    expect([rig.answers, published]).toEqual([['fail refused'], []]);
  });
});

describe('a reply to a command', () => {
  it('puts the command into the commit of its message', async () => {
    const command: Command = {
      id: '7',
      device: 'a',
      name: 'reboot',
      params: null,
      state: 'succeeded',
      result: { ok: true },
      createdAt: 1,
      expiresAt: 2,
      sentAt: 1,
      settledAt: 2,
    };
    answered = command;
    rig.publish('reply', 'devices/a/commands/7/reply', '{"status":"succeeded","result":{"ok":true}}');
    await settle();
    expect(replies).toEqual([{ device: 'a', id: '7', status: 'succeeded', result: { ok: true } }]);
    expect(rig.store.commits.flatMap(({ commands }) => commands)).toEqual([command]);
    expect(rig.ledger.messages.control).toBe(1);
  });

  it.each([
    ['{"status":"done"}', 'payload_shape /status'],
    ['[]', 'payload_shape '],
    [`{"status":"failed","result":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 'payload_too_deep '],
  ])('%.40s is refused', async (payload, refusal) => {
    rig.publish('reply', 'devices/a/commands/7/reply', payload);
    await settle();
    expect([quarantined(), replies]).toEqual([[refusal], []]);
  });
});

describe('a batch that a dialect decoded', () => {
  const rows = [
    deviceMessage('a', {
      readings: [
        { metric: 'x', time: null, value: 1 },
        { metric: 'temperature', time: null, value: 100 },
      ],
      timePointers: ['/line/1', '/line/2'],
      valuePointers: ['/line/1', '/line/2'],
    }),
    deviceMessage('b', {
      readings: [{ metric: 'x', time: 1, value: 1 }],
      timePointers: ['/line/3'],
      valuePointers: ['/line/3'],
    }),
  ];
  const faults = [{ pointer: '/line/4', code: 'payload_invalid', detail: 'no field' }];
  const all = ['/line/4 payload_invalid', '/line/2 value_implausible', '/line/3 time_implausible'];

  it('is all or nothing, every fault named', async () => {
    limit('a');
    const posted = rig.intake.postBatch(rows, { partial: false, sender: gateway, bytes: 10, faults });
    const error = await posted.catch((thrown: unknown) => thrown);
    if (!(error instanceof RejectedError)) throw error;
    expect(error.errors.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual(all);
    expect([rig.stored, rig.registry.size, rig.ledger.messages.refused]).toEqual([[], 0, 1]);
  });

  it('when partial keeps the good ones and lists the others', async () => {
    limit('a');
    const outcome = await rig.intake.postBatch(rows, { partial: true, sender: gateway, bytes: 10, faults });
    expect(outcome).toMatchObject({ stored: 1, replaced: 0, identical: 0 });
    expect(outcome.refused.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual(all);
  });

  it('of a device that may speak for itself alone holds no other', async () => {
    const options = { partial: true, sender: { device: 'a', forOthers: false }, bytes: 10, faults: [] };
    const outcome = await rig.intake.postBatch(rows, options);
    expect(outcome.refused.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual(['/line/3 device_forbidden']);
    expect(outcome.stored).toBe(2);
  });
});

describe('a posted body', () => {
  it('of a device that may speak for itself alone names no other', async () => {
    const body = Buffer.from('[{"device":"meter","metric":"x","value":1},{"device":"b","metric":"x","value":1}]');
    const posted = rig.intake.post(body, 'json', { partial: false, sender: meter });
    await expect(posted).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/1/device', code: 'device_forbidden' }],
    });
  });

  it('is held against the terms of its devices', async () => {
    refuse('a', 'device_blocked');
    limit('b');
    const body = Buffer.from(
      '[{"device":"a","metric":"x","value":1},{"device":"b","metric":"temperature","value":99},{"device":"b","metric":"x","value":1}]',
    );
    const outcome = await rig.intake.post(body, 'json', { partial: true });
    expect(outcome.refused.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual([
      '/0/device device_blocked',
      '/1/value value_implausible',
    ]);
    expect(outcome.stored).toBe(1);
  });
});

function record(parts: Partial<QuarantineRecord>): QuarantineRecord {
  return {
    id: 3,
    receivedAt: rig.clock.now() - 3_600_000,
    topic: 'devices/a/telemetry',
    payload: Buffer.from('{"x":1}'),
    client: 'client',
    sender: meter,
    reason: 'device_pending',
    pointer: '',
    detail: '',
    ...parts,
  };
}

describe('a quarantined message tried again', () => {
  it('is stored as if it came when it came, and its row goes in the same commit', async () => {
    const then = rig.clock.now() - 3_600_000;
    rig.publish('newer', 'devices/meter/telemetry/x', '2');
    await settle();
    const outcome = await rig.intake.retry(record({ topic: 'devices/meter/telemetry' }));
    expect(outcome).toEqual({ seq: 2, stored: 1, replaced: 0, identical: 0, refused: [] });
    expect(rig.stored.at(-1)).toBe(`meter/x ${then} 1`);
    expect(rig.store.commits[1]).toMatchObject({ quarantineRemoved: [3] });
    expect(rig.ledger.messages).toMatchObject({ received: 2, accepted: 2 });
  });

  it('stays apart from others of its millisecond', async () => {
    const message = record({ topic: 'devices/meter/telemetry' });
    for (const id of [1, 2, 3]) await rig.intake.retry({ ...message, id });
    expect(rig.stored.map((line) => Number(line.split(' ')[1]) - message.receivedAt)).toEqual([0, 1, 2]);
  });

  it('by two at once, or by somebody who still holds its record, is stored once', async () => {
    const message = record({ topic: 'devices/meter/telemetry' });
    const [first, second] = await Promise.all([rig.intake.retry(message), rig.intake.retry({ ...message })]);
    expect(await rig.intake.retry(message)).toEqual(first);
    expect(second).toEqual(first);
    expect([rig.stored.length, rig.store.commits.length]).toEqual([1, 1]);
    expect(rig.ledger.messages).toMatchObject({ received: 3, accepted: 1, redelivered: 2 });
  });

  it('is tried anew after it was refused, or could not be kept', async () => {
    const message = record({ topic: 'devices/meter/telemetry' });
    rig.store.full = true;
    await Promise.all([1, 2].map(() => expect(rig.intake.retry(message)).rejects.toThrow(TransientError)));
    rig.store.full = false;
    rig.clock.advance(250);
    await settle();
    refuse('meter', 'device_blocked');
    await expect(rig.intake.retry(message)).rejects.toMatchObject({ code: 'device_blocked' });
    terms.delete('meter');
    expect(await rig.intake.retry(message)).toMatchObject({ stored: 1 });
  });

  it('that is still wrong is refused and stays', async () => {
    refuse('meter', 'device_blocked');
    await expect(rig.intake.retry(record({ topic: 'devices/meter/telemetry' }))).rejects.toMatchObject({
      code: 'device_blocked',
    });
    await expect(rig.intake.retry(record({}))).rejects.toMatchObject({ code: 'device_forbidden' });
    await expect(rig.intake.retry(record({ topic: 'nobody/knows' }))).rejects.toMatchObject({ code: 'topic_invalid' });
    expect([rig.store.commits.length, rig.ledger.messages.refused]).toEqual([0, 3]);
  });

  it('moves no status: newer may be known', async () => {
    await rig.intake.retry(record({ topic: 'devices/meter/status', payload: Buffer.from('offline') }));
    expect(rig.store.commits[0]).toMatchObject({ deviceFacts: [], quarantineRemoved: [3] });
    expect(rig.ledger.messages).toMatchObject({ received: 1, control: 1 });
  });

  it('is not lost when the commit fails', async () => {
    rig.store.full = true;
    await expect(rig.intake.retry(record({ topic: 'devices/meter/telemetry' }))).rejects.toThrow(TransientError);
    expect(rig.ledger.messages).toMatchObject({ received: 1, shed: 1 });
  });
});
