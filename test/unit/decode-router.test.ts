import { describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { MappingSpec } from '../../src/contract/mapping.ts';
import { type Dialect, type DialectMessage, nothingDecoded } from '../../src/decode/decoded.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import type { Command } from '../../src/domain/command.ts';
import { anySender } from '../../src/domain/principal.ts';

function recording(name: string, prefix: string): Dialect & { readonly seen: string[]; asked: number } {
  return {
    name,
    seen: [],
    asked: 0,
    claims(topic) {
      this.asked++;
      return topic.startsWith(prefix);
    },
    decode({ topic }) {
      this.seen.push(topic);
      return nothingDecoded;
    },
    prime({ topic, payload }) {
      if (payload.length === 0) throw new RejectedError('payload_empty', 'empty');
      this.seen.push(`primed ${topic}`);
    },
  };
}

function message(topic: string): DialectMessage {
  return { topic, payload: Buffer.from('{"x":1}'), sender: anySender, receivedAt: 1_790_000_000_000 };
}

const reboot: Command = {
  id: '1',
  device: 'a',
  name: 'reboot',
  params: null,
  state: 'queued',
  result: null,
  createdAt: 0,
  expiresAt: 0,
  sentAt: null,
  settledAt: null,
};

const mapping = MappingSpec.parse({ name: 'mine', topic: 'b/{device}' });

describe('the router', () => {
  it('asks mappings first, then the dialects in their order', () => {
    const first = recording('first', 'a/');
    const second = recording('second', '');
    const dialects = new Dialects({ mappings: [mapping], dialects: [first, second] });
    for (const topic of ['a/1', 'b/1', 'c/1']) dialects.decode(message(topic));
    expect([first.seen, second.seen]).toEqual([['a/1'], ['c/1']]);
    expect(dialects.decode(message('b/1')).devices[0].device).toBe('1');
  });

  it('asks once for a topic, whether or not anybody claims it', () => {
    const dialect = recording('one', 'a/');
    const dialects = new Dialects({ mappings: [], dialects: [dialect] });
    const topics = ['a/1', 'b/1', 'a/1', 'b/1', 'b/1'];
    expect(topics.map((topic) => dialects.claims(topic))).toEqual([true, false, true, false, false]);
    expect(dialect.asked).toBe(2);
  });

  it('forgets what it remembers before a stranger has filled its memory', () => {
    const dialect = recording('one', 'a/');
    const dialects = new Dialects({ mappings: [], dialects: [dialect] });
    for (let index = 0; index < 10_001; index++) dialects.claims(`x/${index}`);
    dialects.claims('x/0');
    expect(dialect.asked).toBe(10_002);
    const long = 'x'.repeat(300);
    dialects.claims(long);
    dialects.claims(long);
    expect(dialect.asked).toBe(10_004);
  });

  it('takes new mappings from the next message on', () => {
    const dialects = new Dialects({ mappings: [], dialects: [] });
    expect(dialects.claims('b/1')).toBe(false);
    expect(() => dialects.decode(message('b/1'))).toThrow(RejectedError);
    dialects.setMappings([mapping]);
    expect(dialects.claims('b/1')).toBe(true);
    dialects.setMappings([]);
    expect(dialects.claims('b/1')).toBe(false);
  });

  it('primes the dialect of each retained message, and passes over what it refuses', () => {
    const dialect = recording('one', 'a/');
    const dialects = new Dialects({ mappings: [mapping], dialects: [dialect] });
    const payload = Buffer.from('x');
    dialects.prime([
      { topic: 'a/1', payload },
      { topic: 'a/2', payload: new Uint8Array() },
      { topic: 'b/1', payload },
      { topic: 'c/1', payload },
      { topic: 'a/3', payload },
    ]);
    expect(dialect.seen).toEqual(['primed a/1', 'primed a/3']);
  });

  it('asks the dialects in their order how a command is written, and answers null for a native device', () => {
    const knows = (name: string, device: string): Dialect => ({
      ...recording(name, `${name}/`),
      encode: (command) =>
        command.device === device
          ? { topic: `${name}/${command.name}`, payload: Buffer.from(''), qos: 0, retain: false, device: null }
          : null,
    });
    const dialects = new Dialects({
      mappings: [],
      dialects: [recording('silent', 'x/'), knows('one', 'a'), knows('two', 'b'), knows('three', 'b')],
    });
    const topics = ['a', 'b', 'c'].map((device) => dialects.encode({ ...reboot, device }, 0)?.topic ?? null);
    expect(topics).toEqual(['one/reboot', 'two/reboot', null]);
  });

  it.each([
    ['native', '{"value":1}'],
    ['bare', '1'],
    ['senml', '[{"n":"value","v":1}]'],
    ['senml-cbor', Buffer.from('81a2006576616c75650201', 'hex')],
    ['influx', 'value value=1'],
  ] as const)('reads a payload in %s for the device of the topic', (format, payload) => {
    const dialects = new Dialects({ mappings: [], dialects: [] });
    const sent = { ...message('devices/d/telemetry'), payload: Buffer.from(payload) };
    expect(dialects.decodePayload(format, 'd', sent).devices).toMatchObject([
      { device: 'd', readings: [{ metric: 'value', time: null, value: 1 }] },
    ]);
  });
});
