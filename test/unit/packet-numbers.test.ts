import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { makeNoNumbersAhead } from '../../src/ingest/embedded/packet-numbers.ts';

test('aedes writes packet ids without buffers that were made for all of them', () => {
  makeNoNumbersAhead();
  const ours = createRequire(import.meta.url);
  const fromAedes = createRequire(ours.resolve('aedes'));
  const packets = fromAedes('mqtt-packet') as { generate(packet: object): Buffer };
  const numbers = fromAedes('mqtt-packet/numbers') as { readonly cache: object };
  for (const messageId of [1, 0x1234, 65_535]) {
    expect([...packets.generate({ cmd: 'puback', messageId })]).toEqual([0x40, 2, messageId >> 8, messageId & 0xff]);
  }
  expect(Object.keys(numbers.cache)).toEqual([]);
});
