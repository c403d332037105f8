import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultOf, isWorthChecking } from '../../src/ingest/embedded/sessions/strict-packet.ts';
import { connectPacket, pingPacket, publishPacket, subscribePacket } from '../support/mqtt-wire.ts';
import { raw, rawConnect, subscribe, text, uint16, unsubscribe } from '../contract/mqtt-3-1-1/packets.ts';

function fault(packet: Buffer): string | null {
  const start = packet.findIndex((byte, at) => at > 0 && byte < 0x80) + 1;
  return faultOf(packet, packet[0], start, packet.length);
}

const illFormed = Buffer.from([0x61, 0xed, 0xa0, 0x80]);

describe('a packet', () => {
  it('that is in order passes', () => {
    const will = { topic: 'w', payload: '\0\xff', qos: 2 } as const;
    const good = [
      connectPacket('a'),
      connectPacket('', { will, username: 'ü', password: '\0' }),
      connectPacket('a', { level: 3 }),
      connectPacket('a', { level: 5 }),
      subscribePacket(1, 'a/#', '+'),
      unsubscribe(9, 'a'),
      publishPacket('t', '', { qos: 2, id: 1 }),
      publishPacket('ü', '\0', { retain: true }),
    ];
    for (const packet of good) expect([isWorthChecking(packet[0]), fault(packet)]).toEqual([true, null]);
    expect(isWorthChecking(pingPacket[0])).toBe(false);
  });

  it('with a fault is told from it', () => {
    const faults: readonly (readonly [Buffer, string])[] = [
      [rawConnect(0x02 | 0x18, [text('a')]), 'without a will'],
      [rawConnect(0x02 | 0x20, [text('a')]), 'without a will'],
      [rawConnect(0x02 | 0x1c, [text('a'), text('w'), text('x')]), 'QoS 3'],
      [rawConnect(0x42, [text('a'), text('secret')]), 'without a user name'],
      [rawConnect(0x02, [text('a'), text('more')]), 'do not announce'],
      [rawConnect(0x02, [text(illFormed)]), 'no UTF-8'],
      [rawConnect(0x06, [text('a'), text('w\0'), text('x')]), 'NUL'],
      [rawConnect(0x82, [text('a'), text(illFormed)]), 'no UTF-8'],
      [publishPacket('t', 'x', { qos: 1, id: 0 }), 'packet id 0'],
      [raw(0x34, text(illFormed), uint16(1)), 'no UTF-8'],
      [raw(0x31, text(illFormed)), 'no UTF-8'],
      [publishPacket('a\0', 'x', { qos: 2, id: 1 }), 'NUL'],
      [subscribe(0, ['a', 1]), 'packet id 0'],
      [unsubscribe(0, 'a'), 'packet id 0'],
      [raw(0x82, uint16(1)), 'no filter'],
      [raw(0xa2, uint16(1)), 'no filter'],
      [subscribe(1, ['a', 0], ['', 0]), 'empty'],
      [subscribe(1, ['a', 0], [illFormed, 0]), 'no UTF-8'],
      [unsubscribe(1, 'a\0'), 'NUL'],
    ];
    for (const [packet, expected] of faults) expect(fault(packet)).toContain(expected);
  });

  it('of any bytes is judged without an error', () => {
    fc.assert(
      fc.property(fc.constantFrom(0x10, 0x32, 0x34, 0x82, 0xa2), fc.uint8Array({ maxLength: 60 }), (first, body) => {
        const bytes = Buffer.from(body);
        expect(() => faultOf(bytes, first, 0, bytes.length)).not.toThrow();
      }),
    );
  });
});
