import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeQueued,
  decodeRetained,
  decodeSession,
  decodeSubscription,
  decodeWill,
  encodeQueued,
  encodeRetained,
  encodeSession,
  encodeSubscription,
  encodeWill,
  SessionRowError,
} from '../../src/ingest/embedded/sessions/session-codec.ts';

const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const payload = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));

const rows = {
  session: fc.record({ absentSince: fc.double({ noNaN: true }), owner: text }),
  queued: fc.record({
    qos,
    packetId: fc.integer({ min: 0, max: 65_535 }),
    released: fc.boolean(),
    topic: text,
    payload,
  }),
  retained: fc.record({ qos, payload }),
  will: fc.record({ qos, retain: fc.boolean(), owner: text, topic: text, payload }),
};

function same<T>(
  given: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): void {
  fc.assert(
    fc.property(given, (value) => {
      expect(decode(encode(value))).toEqual(value);
    }),
  );
}

describe('a row of a session', () => {
  it('is read as it was written', () => {
    same(rows.session, encodeSession, decodeSession);
    same(rows.queued, encodeQueued, decodeQueued);
    same(rows.retained, encodeRetained, decodeRetained);
    same(rows.will, encodeWill, decodeWill);
    same(qos, encodeSubscription, decodeSubscription);
  });

  it('costs a queued message four bytes beside its topic and payload, and two for the length of that', () => {
    const facts = { qos: 1, packetId: 0, released: false, topic: 'devices/a', payload: Buffer.alloc(100) } as const;
    expect(encodeQueued(facts)).toHaveLength(4 + 2 + 9 + 100);
  });

  it('of any other bytes is refused by name, and never by another error', () => {
    const decoders = [decodeSession, decodeQueued, decodeRetained, decodeWill, decodeSubscription];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(...decoders), (bytes, decode) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SessionRowError);
        }
      }),
    );
  });

  it('of another version is refused', () => {
    for (const decode of [decodeSession, decodeQueued, decodeRetained, decodeWill, decodeSubscription]) {
      expect(() => decode(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toThrow('version 2');
      expect(() => decode(new Uint8Array())).toThrow(SessionRowError);
    }
  });

  it('that lost its end is refused, where its end is not the payload', () => {
    const bytes = encodeWill({ qos: 1, retain: true, owner: 'device a', topic: 't/u', payload: Buffer.alloc(0) });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeWill(bytes.subarray(0, length))).toThrow(SessionRowError);
    }
  });
});
