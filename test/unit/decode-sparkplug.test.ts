import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { type Decoded, RejectedAsking } from '../../src/decode/decoded.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import { Sparkplug } from '../../src/decode/sparkplug.ts';
import { sparkplugState } from '../../src/decode/sparkplug-host.ts';
import {
  readSparkplug,
  type SparkplugMetric,
  type SparkplugPayload,
  type WireValue,
  writeSparkplug,
} from '../../src/decode/sparkplug-payload.ts';
import { datatype, sparkplugValue, wireValue } from '../../src/decode/sparkplug-value.ts';
import type { Command, Json } from '../../src/domain/command.ts';
import { anySender } from '../../src/domain/principal.ts';
import { isDeviceId, isMetricName } from '../../src/domain/series.ts';
import { loadCases } from '../support/decode-cases.ts';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

const start = Date.parse('2026-09-21T14:13:20Z');

let host: Sparkplug;
let now: number;
let asked: number;

beforeEach(() => {
  host = new Sparkplug({ host: 'pulsegate' });
  now = start;
  asked = 0;
});

function metric(parts: Partial<SparkplugMetric>): SparkplugMetric {
  return {
    name: null,
    alias: null,
    timestamp: null,
    datatype: null,
    isTransient: false,
    isNull: false,
    value: null,
    ...parts,
  };
}

function float(value: number, parts: Partial<SparkplugMetric> = {}): SparkplugMetric {
  return metric({ alias: 1n, value: { kind: 'float', value }, ...parts });
}

const born = [
  metric({ name: 'bdSeq', datatype: datatype.int64, value: { kind: 'long', value: 0n } }),
  float(20, { name: 'Room/T', datatype: datatype.float }),
];

function payload(metrics: readonly SparkplugMetric[], seq: number | null): Uint8Array {
  return writeSparkplug({ timestamp: BigInt(now), metrics, seq: seq === null ? null : BigInt(seq) });
}

/** Shows the host a message; who was asked for a birth is counted. */
function send(topic: string, metrics: readonly SparkplugMetric[], seq: number | null, again = false): Decoded | string {
  const message = {
    topic: `spBv1.0/${topic}`,
    payload: payload(metrics, seq),
    sender: anySender,
    receivedAt: now,
    again,
  };
  try {
    const decoded = host.decode(message);
    asked += decoded.requests.length;
    return decoded;
  } catch (error) {
    if (error instanceof RejectedAsking) asked += error.requests.length;
    if (error instanceof RejectedError) return error.code;
    throw error;
  }
}

function command(device: string, name: string, params: Json): Command {
  const base = { id: '1', device, name, params, state: 'queued', result: null } as const;
  return { ...base, createdAt: now, expiresAt: now, sentAt: null, settledAt: null };
}

/** A command as topic and metrics; null for a device of no birth. */
function written(device: string, name: string, params: Json): readonly [string, readonly SparkplugMetric[]] | null {
  const message = host.encode(command(device, name, params), now);
  if (!message) return null;
  expect(message).toMatchObject({ qos: 0, retain: false, device: null });
  return [message.topic, readSparkplug(message.payload).metrics];
}

describe('the sequence of a node', () => {
  it('goes from 255 on to 0 without anybody being asked', () => {
    send('g/NBIRTH/e', born, 0);
    for (let seq = 1; seq <= 600; seq++) send('g/NDATA/e', [float(seq)], seq % 256);
    expect(asked).toBe(0);
  });

  it('is shared with the devices behind it', () => {
    send('g/NBIRTH/e', born, 0);
    send('g/DBIRTH/e/d', [metric({ name: 'x', alias: 2n, datatype: datatype.int32 })], 1);
    send('g/NDATA/e', [float(1)], 2);
    send('g/DDATA/e/d', [metric({ alias: 2n, value: { kind: 'int', value: 1 } })], 3);
    send('g/DDEATH/e/d', [], 4);
    expect(asked).toBe(0);
  });

  it('with a gap has the node asked once in five seconds, and its data taken all the same', () => {
    send('g/NBIRTH/e', born, 0);
    for (let second = 0; second < 10; second++) {
      now = start + second * 1_000;
      expect(send('g/NDATA/e', [float(second)], 3 + second * 2)).toMatchObject({
        devices: [{ readings: [{ value: second }] }],
      });
    }
    expect(asked).toBe(2);
  });

  it('of two nodes with one name in two groups is counted apart', () => {
    send('g/NBIRTH/e', born, 0);
    send('h/NBIRTH/e', born, 0);
    send('g/NDATA/e', [float(1)], 1);
    send('h/NDATA/e', [float(1)], 1);
    expect(asked).toBe(0);
  });
});

describe('a node that nobody knows', () => {
  it('is asked once in five seconds, however much it sends', () => {
    for (let index = 0; index < 50; index++) {
      now = start + index * 100;
      expect(send('g/NDATA/e', [float(1)], index)).toBe('payload_invalid');
    }
    expect(asked).toBe(1);
  });

  it('is asked again after it was forgotten to make room', () => {
    host = new Sparkplug({ host: null, nodesMax: 3 });
    for (const edge of ['a', 'b', 'c', 'd']) send(`g/NBIRTH/${edge}`, born, 0);
    expect(send('g/NDATA/a', [float(1)], 1)).toBe('payload_invalid');
    expect(asked).toBe(1);
    expect(send('g/NDATA/d', [float(1)], 1)).toMatchObject({ devices: [{ device: 'd' }] });
  });

  it('makes room with its metrics, too, and not by itself', () => {
    host = new Sparkplug({ host: null, metricsMax: 5 });
    for (const edge of ['a', 'b', 'c']) send(`g/NBIRTH/${edge}`, born, 0);
    expect(send('g/NDATA/a', [float(1)], 1)).toBe('payload_invalid');
    expect(send('g/NDATA/c', [float(1)], 1)).toMatchObject({ devices: [{ device: 'c' }] });
    const many = Array.from({ length: 9 }, (_, index) => metric({ name: `m${index}`, datatype: datatype.int8 }));
    send('g/NBIRTH/big', many, 0);
    const one = metric({ name: 'm8', value: { kind: 'int', value: 1 } });
    expect(send('g/NDATA/big', [one], 1)).toMatchObject({ devices: [{ device: 'big' }] });
  });

  it('makes room for long names as for many', () => {
    host = new Sparkplug({ host: null, metricsMax: 12 });
    send('g/NBIRTH/a', born, 0);
    send('g/NBIRTH/b', [metric({ name: 'm'.repeat(256 * 12), datatype: datatype.int8 })], 0);
    expect(send('g/NDATA/a', [float(1)], 1)).toBe('payload_invalid');
  });

  it('is forgotten when it alone has too many devices, though they have no metrics', () => {
    host = new Sparkplug({ host: null, metricsMax: 20 });
    send('g/NBIRTH/a', born, 0);
    for (let index = 0; index < 30; index++) send(`g/DBIRTH/a/d${index}`, [], (index + 1) % 256);
    expect(send('g/NDATA/a', [float(1)], 31)).toBe('payload_invalid');
  });

  it('has no group of kilobytes', () => {
    expect(send(`${'g'.repeat(300)}/NBIRTH/a`, born, 0)).toBe('topic_invalid');
  });
});

describe('a message tried again', () => {
  it('moves no session and asks nobody', () => {
    send('g/NBIRTH/e', born, 0);
    expect(send('g/NBIRTH/e', [metric({ name: 'other', alias: 1n, datatype: datatype.int8 })], 0, true)).toMatchObject({
      devices: [{ device: 'e' }],
    });
    expect(send('g/NDEATH/e', [], null, true)).toMatchObject({ devices: [] });
    expect(send('g/NDATA/e', [float(1)], 9, true)).toBe('payload_invalid');
    expect(send('g/NDATA/e', [float(2)], 1)).toMatchObject({
      devices: [{ readings: [{ metric: 'Room.T', value: 2 }] }],
    });
    expect(asked).toBe(0);
  });

  it('is understood when its metrics say who they are', () => {
    const said = float(2, { name: 'Room/T', datatype: datatype.float });
    expect(send('g/NDATA/e', [said], 9, true)).toMatchObject({ devices: [{ readings: [{ metric: 'Room.T' }] }] });
  });
});

describe('a command', () => {
  beforeEach(() => {
    send('g/NBIRTH/e 1', born, 0);
    const metrics = [
      metric({ name: 'Set Point', alias: 2n, datatype: datatype.int16 }),
      metric({ name: 'Lamp', datatype: datatype.boolean }),
    ];
    send('g/DBIRTH/e 1/d', metrics, 1);
  });

  it('writes the metric of its name, or those of its parameters, under the name and alias of the birth', () => {
    const timestamp = BigInt(now);
    const point = { ...metric({ name: 'Set Point', alias: 2n, datatype: datatype.int16, timestamp }) };
    const value: WireValue = { kind: 'int', value: 2 ** 32 - 5 };
    expect(written('e-1:d', 'Set_Point', -5)).toEqual(['spBv1.0/g/DCMD/e 1/d', [{ ...point, value }]]);
    const lamp = metric({ name: 'Lamp', datatype: datatype.boolean, timestamp, isNull: true });
    expect(written('e-1:d', 'write', { 'Set Point': -5, Lamp: null })).toEqual([
      'spBv1.0/g/DCMD/e 1/d',
      [{ ...point, value }, lamp],
    ]);
    expect(written('e-1', 'Room.T', 21.5)?.[0]).toBe('spBv1.0/g/NCMD/e 1');
  });

  it('can ask for a birth', () => {
    expect(written('e-1:d', 'rebirth', null)).toMatchObject([
      'spBv1.0/g/NCMD/e 1',
      [{ name: 'Node Control/Rebirth', datatype: datatype.boolean, value: { kind: 'boolean', value: true } }],
    ]);
  });

  it.each([
    ['e-1:d', 'Unknown', 1],
    ['e-1:d', 'Set_Point', 40_000],
    ['e-1:d', 'Set_Point', 1.5],
    ['e-1:d', 'Lamp', 'on'],
    ['e-1', 'Room.T', '21.5'],
  ])('to %s that sets %s to %s makes no sense', (device, name, params) => {
    expect(() => host.encode(command(device, name, params), now)).toThrow(RejectedError);
  });

  it('to a device of no birth is not for this dialect', () => {
    expect([written('e', 'x', 1), written('e-1:x', 'x', 1), written('other', 'x', 1)]).toEqual([null, null, null]);
  });
});

describe('a value', () => {
  const integers = ['int8', 'int16', 'int32', 'uint8', 'uint16', 'uint32', 'int64', 'uint64'] as const;

  it.each(integers)('of the datatype %s comes back as it was written', (name) => {
    const type = datatype[name];
    const bits = Math.min(Number(name.replace(/\D+/, '')), 53);
    const max = name.startsWith('u') ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
    const min = name.startsWith('u') ? 0 : -max;
    fc.assert(
      fc.property(fc.maxSafeInteger(), (raw) => {
        const value = min + (Math.abs(raw) % (max - min + 1));
        expect(sparkplugValue(type, wireValue(type, value, ''), '')).toBe(value);
      }),
    );
  });

  it('of 32 bits is the shortest decimal that stands for it', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const read = sparkplugValue(datatype.float, { kind: 'float', value }, '');
        expect(Math.fround(Number(read))).toBe(value);
        expect(String(read).length).toBeLessThanOrEqual(String(value).length);
      }),
    );
    expect(sparkplugValue(datatype.float, { kind: 'float', value: Math.fround(21.4) }, '')).toBe(21.4);
  });

  it('that no reading can be is none', () => {
    expect(sparkplugValue(datatype.double, { kind: 'double', value: Number.NaN }, '')).toBeNull();
    expect(sparkplugValue(datatype.float, { kind: 'float', value: Number.POSITIVE_INFINITY }, '')).toBeNull();
    expect(sparkplugValue(datatype.string, { kind: 'string', value: 'ü'.repeat(129) }, '')).toBeNull();
  });
});

it('the state of the host is retained, with quality of service 1', () => {
  expect(sparkplugState('pulsegate', true, start)).toEqual({
    topic: 'spBv1.0/STATE/pulsegate',
    payload: Buffer.from(`{"online":true,"timestamp":${start}}`),
    qos: 1,
    retain: true,
    device: null,
  });
});

it('an edge node speaks for the devices behind it, and for no other', async () => {
  const rig = new PipelineRig({ ports: { dialects: new Dialects({ mappings: [], dialects: [host] }) } });
  now = rig.clock.now();
  const sender = { device: 'e', forOthers: false };
  const birth = payload([metric({ name: 'x', datatype: datatype.int8, value: { kind: 'int', value: 1 } })], 0);
  rig.publish('node', 'spBv1.0/g/NBIRTH/e', birth, 0, sender);
  rig.publish('device', 'spBv1.0/g/DBIRTH/e/d', birth, 0, sender);
  rig.publish('stranger', 'spBv1.0/g/DBIRTH/f/d', birth, 0, sender);
  await settle();
  expect(rig.stored).toEqual([`e/x ${now} 1`, `e:d/x ${now} 1`]);
  expect([...rig.ledger.refusals]).toEqual([['device_forbidden', 1]]);
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
});

const anyWire: fc.Arbitrary<WireValue> = fc.oneof(
  fc.nat(2 ** 31).map((value): WireValue => ({ kind: 'int', value })),
  fc.bigInt(0n, 2n ** 64n - 1n).map((value): WireValue => ({ kind: 'long', value })),
  fc.float({ noNaN: true }).map((value): WireValue => ({ kind: 'float', value })),
  fc.double({ noNaN: true }).map((value): WireValue => ({ kind: 'double', value })),
  fc.boolean().map((value): WireValue => ({ kind: 'boolean', value })),
  fc.string({ unit: 'grapheme' }).map((value): WireValue => ({ kind: 'string', value })),
);

const anyMetric: fc.Arbitrary<SparkplugMetric> = fc.record({
  name: fc.option(fc.string({ unit: 'grapheme' })),
  alias: fc.option(fc.bigInt(0n, 2n ** 64n - 1n)),
  timestamp: fc.option(fc.bigInt(0n, 2n ** 64n - 1n)),
  datatype: fc.option(fc.nat(40)),
  isTransient: fc.boolean(),
  isNull: fc.boolean(),
  value: fc.option(anyWire),
});

const anyPayload: fc.Arbitrary<SparkplugPayload> = fc.record({
  timestamp: fc.option(fc.bigInt(0n, 2n ** 64n - 1n)),
  metrics: fc.array(anyMetric, { maxLength: 6 }),
  seq: fc.option(fc.bigInt(0n, 300n)),
});

it('a payload is read as it was written', () => {
  fc.assert(
    fc.property(anyPayload, (written) => {
      const bytes = writeSparkplug(written);
      if (bytes.length > 0) expect(readSparkplug(bytes)).toEqual(written);
    }),
  );
});

const types = ['NBIRTH', 'NDEATH', 'NDATA', 'DBIRTH/', 'DDEATH/', 'DDATA/', 'NCMD', 'DCMD/'];
const anyTopic = fc
  .tuple(fc.constantFrom(...types), fc.constantFrom('e', 'f g', '_'), fc.constantFrom('d', 'x:y'))
  .map(([type, edge, device]) => `spBv1.0/g/${type.replace('/', '')}/${edge}${type.endsWith('/') ? `/${device}` : ''}`);

it('whatever valid payloads say, in whatever order, only refusals come of them, and names that hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyTopic, anyPayload), { maxLength: 20 }), (messages) => {
      const dialect = new Sparkplug({ host: 'pulsegate', nodesMax: 2, metricsMax: 12 });
      for (const [topic, said] of messages) {
        try {
          const { devices } = dialect.decode({
            topic,
            payload: writeSparkplug(said),
            sender: anySender,
            receivedAt: start,
          });
          for (const { device, readings, timePointers, valuePointers } of devices) {
            expect(isDeviceId(device) && readings.every((reading) => isMetricName(reading.metric))).toBe(true);
            expect([timePointers.length, valuePointers?.length ?? 0]).toEqual([readings.length, readings.length]);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(RejectedError);
        }
        dialect.encode(command('e', 'rebirth', null), start);
      }
    }),
    { numRuns: 300 },
  );
});

it('only refusals come of mutated payloads', () => {
  const cases = [...loadCases('sparkplug').values()];
  const dialect = new Sparkplug({ host: 'pulsegate' });
  const edits = fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...cases), edits, fc.nat(500), ({ message }, changes, cut) => {
      const bytes = Buffer.from(message.payload).subarray(0, cut < 400 ? undefined : cut - 400);
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
      try {
        dialect.decode({ ...message, payload: bytes });
      } catch (error) {
        expect(error).toBeInstanceOf(RejectedError);
      }
    }),
    { numRuns: 3_000 },
  );
});
