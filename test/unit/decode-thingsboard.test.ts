import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DialectMessage } from '../../src/decode/decoded.ts';
import { Thingsboard } from '../../src/decode/thingsboard.ts';
import { encodeThingsboardCommand, thingsboardNumber } from '../../src/decode/thingsboard-command.ts';
import { thingsboardDeviceId } from '../../src/decode/thingsboard-name.ts';
import type { Command } from '../../src/domain/command.ts';
import { anySender, type Sender } from '../../src/domain/principal.ts';
import { isDeviceId } from '../../src/domain/series.ts';
import { isTakenOrRefused, mutatedPayloads } from '../support/fuzz-corpus.ts';

// Single messages are in test/decode-cases/thingsboard; here is what holds for all, and the way back to the device.

const probe: Sender = { device: 'probe', forOthers: false };
const gateway: Sender = { device: 'gw-1', forOthers: true };
const command: Command = {
  id: 'cmd_1',
  device: 'probe',
  name: 'setRelay',
  params: { on: true },
  state: 'queued',
  result: null,
  createdAt: 1,
  expiresAt: 2,
  sentAt: null,
  settledAt: null,
};

function dialect(): Thingsboard {
  return new Thingsboard({ attributes: () => ({ firmware: '1.4.2' }) });
}

function message(sender: Sender, topic: string, payload: unknown, again = false): DialectMessage {
  return { topic, payload: Buffer.from(JSON.stringify(payload)), sender, receivedAt: 1_790_000_000_000, again };
}

function shown(thingsboard: Thingsboard, of: Command): unknown {
  const sent = thingsboard.encode(of);
  return sent && [sent.topic, JSON.parse(Buffer.from(sent.payload).toString()), sent.device, sent.qos, sent.retain];
}

describe('ThingsBoard', () => {
  it('claims its topics and no others', () => {
    const topics = [
      'v1/devices/me/telemetry',
      'v1/gateway/rpc',
      'v1/devices/probe/telemetry',
      'devices/a/telemetry',
      'v1',
    ];
    expect(topics.map((topic) => dialect().claims(topic))).toEqual([true, true, false, false, false]);
  });

  const topics = [
    'v1/devices/me/telemetry',
    'v1/devices/me/attributes',
    'v1/devices/me/attributes/request/1',
    'v1/devices/me/rpc/response/1',
    'v1/devices/me/rpc/request/1',
    'v1/gateway/telemetry',
    'v1/gateway/attributes',
    'v1/gateway/attributes/request',
    'v1/gateway/connect',
    'v1/gateway/rpc',
  ];
  it('either refuses or decodes whatever comes, on every topic', () => {
    const all = dialect();
    fc.assert(
      fc.property(
        mutatedPayloads('thingsboard'),
        fc.constantFrom(...topics),
        fc.constantFrom(probe, gateway, anySender),
        (payload, topic, sender) => isTakenOrRefused(() => all.decode({ topic, payload, sender, receivedAt: 0 })),
      ),
      { numRuns: 10_000 },
    );
  });

  it('makes a valid id of every name that has a letter or a digit, and leaves valid ids as they are', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        const name = `${text.slice(0, 100)}a${text}`;
        expect(isDeviceId(thingsboardDeviceId(name, ''))).toBe(true);
        if (isDeviceId(text)) expect(thingsboardDeviceId(text, '')).toBe(text);
      }),
    );
  });
});

describe('a command', () => {
  it('goes to nobody who never spoke this dialect', () => {
    expect(shown(dialect(), command)).toBeNull();
  });

  it('goes to the device alone, under a number that its answer carries back to the command', () => {
    const thingsboard = dialect();
    thingsboard.decode(message(probe, 'v1/devices/me/telemetry', { a: 1 }));
    const number = thingsboardNumber(command.id);
    expect(shown(thingsboard, command)).toEqual([
      `v1/devices/me/rpc/request/${number}`,
      { method: 'setRelay', params: { on: true } },
      'probe',
      1,
      false,
    ]);
    const { replies } = thingsboard.decode(message(probe, `v1/devices/me/rpc/response/${number}`, { ok: 1 }));
    expect(replies).toEqual([{ device: 'probe', id: 'cmd_1', status: 'succeeded', result: { ok: 1 } }]);
  });

  it('goes to the gateway by the name that it uses, until the device speaks for itself', () => {
    const thingsboard = dialect();
    const behind = { ...command, device: 'Device-A' };
    const number = thingsboardNumber(command.id);
    thingsboard.decode(message(gateway, 'v1/gateway/connect', { device: 'Device A' }));
    expect(shown(thingsboard, behind)).toEqual([
      'v1/gateway/rpc',
      { device: 'Device A', data: { id: number, method: 'setRelay', params: { on: true } } },
      'gw-1',
      1,
      false,
    ]);
    const { replies } = thingsboard.decode(
      message(gateway, 'v1/gateway/rpc', { device: 'Device A', id: number, data: { error: 'off' } }),
    );
    expect(replies).toMatchObject([{ device: 'Device-A', id: 'cmd_1', status: 'failed' }]);
    thingsboard.decode(message({ device: 'Device-A', forOthers: false }, 'v1/devices/me/telemetry', { a: 1 }));
    expect(shown(thingsboard, behind)).toMatchObject({ 0: `v1/devices/me/rpc/request/${number}`, 2: 'Device-A' });
  });

  it('does not go another way because an old message was tried again, or because one was refused', () => {
    const thingsboard = dialect();
    thingsboard.decode(message(probe, 'v1/devices/me/telemetry', { a: 1 }));
    thingsboard.decode(message(gateway, 'v1/gateway/telemetry', { probe: [{ a: 1 }] }, true));
    expect(isTakenOrRefused(() => thingsboard.decode(message(gateway, 'v1/gateway/telemetry', { probe: [1] })))).toBe(
      true,
    );
    expect(shown(thingsboard, command)).toMatchObject({
      0: `v1/devices/me/rpc/request/${thingsboardNumber(command.id)}`,
    });
  });

  it('is forgotten by way and number with ten thousand newer ones', () => {
    const thingsboard = dialect();
    thingsboard.decode(message(probe, 'v1/devices/me/telemetry', { a: 1 }));
    const others = Array.from({ length: 10_000 }, (_, index) => [`other-${index}`, [{ a: 1 }]]);
    thingsboard.decode(message(gateway, 'v1/gateway/telemetry', Object.fromEntries(others)));
    expect(shown(thingsboard, command)).toBeNull();
    expect(shown(thingsboard, { ...command, device: 'other-0' })).not.toBeNull();
  });

  it('has a number that ThingsBoard clients can read, and the same one every time', () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        const number = thingsboardNumber(id);
        expect(Number.isInteger(number) && number >= 0 && number < 2 ** 31).toBe(true);
        expect(encodeThingsboardCommand({ ...command }, number).topic).toBe(
          `v1/devices/me/rpc/request/${thingsboardNumber(id)}`,
        );
      }),
    );
    // FNV-1a has a published value for "a": e40c292c.
    expect(thingsboardNumber('a')).toBe(0xe40c292c & 0x7fffffff);
  });
});
