import fc from 'fast-check';
import { generate } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { Backoff } from '../../src/ingest/external/backoff.ts';
import {
  acknowledgement,
  type InboundPacket,
  InboundPacketError,
  InboundPackets,
  readPacketId,
  readPublish,
} from '../../src/ingest/external/inbound-packets.ts';

const publish = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 40 }).filter((topic) => topic.isWellFormed() && !/[\0#+]/.test(topic)),
  payload: fc.uint8Array({ maxLength: 400 }),
  qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  dup: fc.boolean(),
  retain: fc.boolean(),
  messageId: fc.integer({ min: 1, max: 65_535 }),
});

function packetsOf(chunks: readonly Buffer[], max = 1_000): InboundPacket[] {
  const packets = new InboundPackets(max);
  return chunks.flatMap((chunk) =>
    [...packets.take(chunk)].map((packet) => ({ ...packet, bytes: Buffer.from(packet.bytes) })),
  );
}

/** The bytes in pieces that end at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe('a stream of packets', () => {
  it.each([4, 5] as const)('of MQTT %i reads the same however it is cut', (protocol) => {
    fc.assert(
      fc.property(
        fc.array(publish, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (sent, places) => {
          const properties =
            protocol === 5 ? { properties: { userProperties: { from: 'test' }, messageExpiryInterval: 7 } } : {};
          const bytes = Buffer.concat(
            sent.map((message) =>
              generate(
                { cmd: 'publish', ...message, payload: Buffer.from(message.payload), ...properties },
                { protocolVersion: protocol },
              ),
            ),
          );
          const read = packetsOf(cut(bytes, places)).map((packet) => readPublish(packet, protocol));
          expect(read.map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] }))).toEqual(
            sent.map(({ messageId, payload, ...rest }) => ({
              ...rest,
              packetId: rest.qos === 0 ? 0 : messageId,
              payload: [...payload],
            })),
          );
        },
      ),
    );
  });

  it('of any bytes ends in packets or in an error that says what the broker did', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
        fc.constantFrom(4, 5),
        (chunks, protocol) => {
          try {
            for (const packet of packetsOf(chunks.map((chunk) => Buffer.from(chunk)))) {
              if (packet.type === 3) readPublish(packet, protocol === 4 ? 4 : 5);
              else readPacketId(packet);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(InboundPacketError);
            expect(String(error)).toMatch(/the broker sent/);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('with a packet beyond the bound is refused before its body has come', () => {
    expect(() => packetsOf([Buffer.from([0x30, 0xe9, 0x07])], 1_000)).toThrow(
      /packet of 1001 bytes; mqtt.packetBytesMax is 1000/,
    );
    expect(() => packetsOf([Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff])])).toThrow(/no end/);
  });
});

it('an acknowledgement is the packet that the protocol library makes', () => {
  for (const cmd of ['puback', 'pubrec', 'pubcomp'] as const) {
    expect(acknowledgement(cmd, 0x1234)).toEqual(generate({ cmd, messageId: 0x1234 }, { protocolVersion: 4 }));
  }
});

describe('the pause before the next attempt', () => {
  it('doubles from a second to a minute, spread by a fifth', () => {
    const backoff = new Backoff(seededRandom(7));
    const pauses = Array.from({ length: 9 }, () => backoff.pause(0));
    const middles = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000];
    pauses.forEach((pause, index) => {
      expect(Math.abs(pause - middles[index])).toBeLessThanOrEqual(middles[index] * 0.2);
    });
    expect(new Set(pauses.slice(6)).size).toBe(3);
  });

  it('begins anew after a connection that held for a minute, and not after a shorter one', () => {
    const backoff = new Backoff({ next: () => 0.5, bytes: () => new Uint8Array() });
    backoff.pause(0);
    backoff.connected(0);
    expect(backoff.pause(59_999)).toBe(2_000);
    backoff.connected(60_000);
    expect(backoff.pause(120_000)).toBe(1_000);
  });
});
