import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { brokerOf, brokerText, parseBroker, publishLine } from '../../src/dashboard/broker-address.ts';
import { causeText, nameOf, parseTags, tagTexts } from '../../src/dashboard/device-text.ts';
import { payloadText, reasonText } from '../../src/dashboard/payload-text.ts';

const noon = Date.UTC(2026, 8, 21, 12);
const before = (ms: number): string => new Date(noon - ms).toISOString();

describe('why a device is in its state', () => {
  const told = { stateSince: before(120_000), lastSeen: before(300_000), metricCount: 1 };

  test.each([
    ['offline', 'silent', 'silent for 5 min'],
    ['offline', 'connection_lost', 'connection lost 2 min ago'],
    ['offline', 'disconnected', 'disconnected 2 min ago'],
    ['offline', 'reported', 'said so 2 min ago'],
    ['offline', null, 'for 2 min'],
    ['online', 'connected', 'for 2 min'],
    ['unknown', null, ''],
  ] as const)('%s by %s is "%s"', (state, stateCause, text) => {
    expect(causeText({ ...told, state, stateCause }, noon)).toBe(text);
  });

  test('a device that was never heard of says so, and nothing of a time', () => {
    const never = { state: 'unknown', stateCause: null, stateSince: null, lastSeen: null, metricCount: 0 } as const;
    expect(causeText(never, noon)).toBe('never heard of');
    expect(causeText({ ...never, state: 'offline', stateCause: 'silent' }, noon)).toBe('silent');
    expect(causeText({ ...never, state: 'offline', stateCause: 'disconnected' }, noon)).toBe('disconnected');
  });

  test('a device that was deleted and added again has its readings, and was heard of', () => {
    const again = { state: 'unknown', stateCause: null, stateSince: null, lastSeen: null, metricCount: 1 } as const;
    expect(causeText(again, noon)).toBe('');
  });
});

describe('names and tags', () => {
  test('a device without a name is called by its id', () => {
    expect([nameOf({ id: 'a', name: '' }), nameOf({ id: 'a', name: 'Fridge' })]).toEqual(['a', 'Fridge']);
  });

  test('tags that were written are read again, in order of their keys', () => {
    const key = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/);
    const value = fc.stringMatching(/^[A-Za-z0-9:./]{0,12}$/);
    fc.assert(
      fc.property(fc.dictionary(key, value), (tags) => {
        expect(tagTexts(parseTags(tagTexts(tags).join(', ')) ?? {})).toEqual(tagTexts(tags));
      }),
    );
  });

  test.each(['lab', ':lab', 'room:lab, line'])('"%s" is no list of tags', (text) => {
    expect(parseTags(text)).toBeNull();
  });

  test('empty parts are passed over, and a value may hold colons', () => {
    expect(parseTags(' room : lab ,, at:10:30,')).toEqual({ room: 'lab', at: '10:30' });
  });
});

describe('the address of the broker', () => {
  test.each([
    ['mqtt://127.0.0.1:18831', { host: '127.0.0.1', port: 18_831 }],
    ['mqtt://0.0.0.0:1883', { host: 'gateway.example', port: 1883 }],
    ['mqtt://[::]:1884', { host: 'gateway.example', port: 1884 }],
    ['mqtt://[2001:db8::1]:1883', { host: '2001:db8::1', port: 1883 }],
    ['mqtts://broker.example:8883', null],
    ['wss://broker.example/mqtt', null],
  ])('is, of %s, what a device can use', (url, address) => {
    expect(brokerOf({ url }, 'gateway.example')).toEqual(address);
  });

  test.each([
    ['gate.local', 'gate.local', 1883],
    ['10.0.0.2:1884', '10.0.0.2', 1884],
    ['mqtt://gate.local:1885/', 'gate.local', 1885],
    ['[::1]:1886', '::1', 1886],
  ])('%s is %s and %i', (text, host, port) => {
    const address = parseBroker(text);
    expect(address).toEqual({ host, port });
    expect(address && parseBroker(brokerText(address))).toEqual(address);
  });

  test.each(['', 'a b', 'host:0', 'host:65536', 'host:x', '$(reboot)', 'a;b', 'https://host'])(
    '"%s" is no address',
    (text) => {
      expect(parseBroker(text)).toBeNull();
    },
  );

  test('the line to copy signs in with the id and the token, and as nobody without one', () => {
    const address = { host: 'gate', port: 1884 };
    expect(publishLine(address, { device: 'f-1', token: 'pulsedev_x' })).toBe(
      `mosquitto_pub -h gate -p 1884 -i f-1 -u f-1 -P pulsedev_x -q 1 -t devices/f-1/telemetry -m '{"temperature":21.4}'`,
    );
    expect(publishLine(address, { device: 'f-1', token: null })).not.toMatch(/ -[iuP] /);
  });
});

describe('a refused message', () => {
  test('shows text as it came, and what is no text as hexadecimal bytes, sixteen a line', () => {
    expect(payloadText({ payload: '{"a":1}\n', encoding: 'utf-8' })).toBe('{"a":1}\n');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = payloadText({ payload: Buffer.from(bytes).toString('base64'), encoding: 'base64' });
        expect(Buffer.from(text.replaceAll(/\s/g, ''), 'hex')).toEqual(Buffer.from(bytes));
        expect(text.split('\n').every((line) => line.length <= 47)).toBe(true);
      }),
    );
  });

  test('tells its reason in words', () => {
    expect([reasonText('payload_not_json'), reasonText('device_unknown')]).toEqual([
      'Payload not JSON',
      'Device unknown',
    ]);
  });
});
