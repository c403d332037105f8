import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SettledMessage } from '../../src/domain/commit.ts';
import { PacketRefusedError, type PacketRoute, PacketScanner } from '../../src/ingest/embedded/packet-scanner.ts';
import { fingerprint } from '../../src/ingest/fingerprint.ts';
import { RedeliveryBook } from '../../src/ingest/redelivery.ts';

const limits = { packetBytesMax: 1_000, connectBytesMax: 200 };

/** A fixed header: MQTT 3.1.1 section 2.2. */
function header(type: number, length: number): number[] {
  const bytes = [type << 4];
  do {
    const rest = length >> 7;
    bytes.push((length & 0x7f) | (rest > 0 ? 0x80 : 0));
    length = rest;
  } while (length > 0);
  return bytes;
}

/** MQTT 3.1.1 sections 3.4 to 3.7, 3.12 and 3.14: acknowledgements have a packet id, PINGREQ and DISCONNECT nothing. */
function limitOf(type: number): number {
  if (type >= 4 && type <= 7) return 2;
  if (type === 12 || type === 14) return 0;
  return type === 1 ? limits.connectBytesMax : limits.packetBytesMax;
}

/** The byte at which a stream is refused, found with the whole stream at hand; -1 for one that passes. */
function model(stream: readonly number[]): number {
  for (let at = 0; at < stream.length; ) {
    const type = stream[at++] >> 4;
    let length = 0;
    let scale = 1;
    for (let digits = 0; ; digits++) {
      if (at >= stream.length) return -1;
      if (digits === 4) return at;
      length += (stream[at] & 0x7f) * scale;
      scale *= 128;
      if (stream[at++] < 0x80) break;
    }
    if (length > limitOf(type)) return at - 1;
    at += length;
  }
  return -1;
}

/** The chunk in which the scanner refuses the stream, as the offsets it spans; null when it lets all of it through. */
function refusedIn(chunks: readonly Uint8Array[]): { readonly from: number; readonly to: number } | null {
  const scanner = new PacketScanner(limits);
  let from = 0;
  for (const chunk of chunks) {
    try {
      scanner.scan(Buffer.from(chunk), through);
    } catch (error) {
      expect(error).toBeInstanceOf(PacketRefusedError);
      return { from, to: from + chunk.length };
    }
    from += chunk.length;
  }
  return null;
}

function cut(stream: readonly number[], lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let turn = 0; at < stream.length; turn++) {
    const length = lengths[turn % lengths.length];
    chunks.push(Uint8Array.from(stream.slice(at, at + length)));
    at += length;
  }
  return chunks;
}

/** Lets everything through. */
const through: PacketRoute = { begins: () => false, take: () => false, declines: () => {}, pass: () => {} };

const body = (length: number): number[] => Array.from({ length }, () => 0);

describe('the packet scanner', () => {
  it('keeps its own copy of a packet that comes byte by byte, not the pieces', () => {
    const scanner = new PacketScanner(limits);
    const taken: Buffer[] = [];
    const route = { ...through, begins: () => true, take: (bytes: Buffer) => taken.push(Buffer.from(bytes)) > 0 };
    const stream = [...header(3, 900), ...Array.from({ length: 900 }, (_, index) => index & 0xff)];
    const pieces = stream.map((byte) => Buffer.from([byte]));
    const last = pieces.pop();
    for (const piece of pieces) scanner.scan(piece, route);
    for (const piece of pieces.slice(0, 600)) piece.fill(0xee);
    scanner.scan(last ?? Buffer.alloc(0), route);
    expect(taken).toEqual([Buffer.from(stream)]);
  });

  const packet = fc
    .tuple(
      fc.integer({ min: 0, max: 15 }),
      fc.oneof(fc.integer({ min: 0, max: 1_010 }), fc.constantFrom(127, 128, 200, 201)),
    )
    .map(([type, any]) => {
      const length = limitOf(type) <= 2 && any % 32 > 0 ? limitOf(type) : any;
      return [...header(type, length), ...Array.from({ length }, (_, index) => (index * 37) & 0xff)];
    });
  const malformed = fc.constant([0x30, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00]);
  const stream = fc
    .array(fc.oneof({ weight: 20, arbitrary: packet }, { weight: 1, arbitrary: malformed }), {
      minLength: 1,
      maxLength: 12,
    })
    .map((packets) => packets.flat());
  const lengths = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 });

  it('refuses at the same byte however the stream is cut', () => {
    let refused = 0;
    fc.assert(
      fc.property(stream, lengths, (bytes, sizes) => {
        const expected = model(bytes);
        const found = refusedIn(cut(bytes, sizes));
        if (expected < 0) expect(found).toBeNull();
        else {
          refused++;
          expect(found).not.toBeNull();
          expect(expected >= (found?.from ?? 0) && expected < (found?.to ?? 0)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(50);
  });

  it('has the verdict of the model on bytes that mean nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), lengths, (bytes, sizes) => {
        const found = refusedIn(cut([...bytes], sizes));
        expect(found !== null).toBe(model([...bytes]) >= 0);
      }),
      { numRuns: 500 },
    );
  });

  it('says no at the header, before a byte of the body has come', () => {
    const scanner = new PacketScanner(limits);
    expect(() => scanner.scan(Buffer.from(header(3, 50 * 1_048_576)), through)).toThrow(
      /52428800 bytes is over the limit of 1000/,
    );
  });

  it('says no to a body where a packet has none, and to a long acknowledgement', () => {
    for (const type of [4, 5, 6, 7]) {
      expect(refusedIn([Uint8Array.from([...header(type, 2), 0, 1])])).toBeNull();
      expect(refusedIn([Uint8Array.from(header(type, 3))])).not.toBeNull();
    }
    for (const type of [12, 14]) expect(refusedIn([Uint8Array.from(header(type, 1))])).not.toBeNull();
  });

  it('lets a packet of exactly the limit pass, and a CONNECT only up to its own', () => {
    expect(refusedIn([Uint8Array.from([...header(3, 1_000), ...body(1_000)])])).toBeNull();
    expect(refusedIn([Uint8Array.from(header(3, 1_001))])).not.toBeNull();
    expect(refusedIn([Uint8Array.from([...header(1, 200), ...body(200)])])).toBeNull();
    expect(refusedIn([Uint8Array.from(header(1, 201))])).not.toBeNull();
  });

  it('refuses a remaining length of five bytes', () => {
    const scanner = new PacketScanner(limits);
    expect(() => scanner.scan(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x00]), through)).toThrow(
      /more than four bytes/,
    );
  });
});

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('a fingerprint', () => {
  // They stand in the commit log and are compared after an upgrade, so they may never change.
  it.each([
    ['', '', 790_056_617_882_092],
    ['devices/a/telemetry', '{"temperature":21.4}', 1_150_626_470_145_325],
    ['devices/ä/telemetry/on', 'true', 4_699_022_237_042_928],
  ])('of %j and %j is what it was', (topic, payload, expected) => {
    expect(fingerprint(topic, bytes(payload))).toBe(expected);
  });

  const topic = fc.string({ unit: 'binary', maxLength: 40 });
  const payload = fc.uint8Array({ minLength: 1, maxLength: 300 });

  it('is a whole number of 53 bits, and the same for the same message', () => {
    fc.assert(
      fc.property(topic, payload, (one, data) => {
        const hash = fingerprint(one, data);
        expect(Number.isSafeInteger(hash) && hash >= 0).toBe(true);
        expect(fingerprint(one, data.slice())).toBe(hash);
      }),
    );
  });

  it('differs when one bit of the payload does', () => {
    fc.assert(
      fc.property(topic, payload, fc.nat(), fc.nat(7), (one, data, at, bit) => {
        const other = data.slice();
        other[at % data.length] ^= 1 << bit;
        expect(fingerprint(one, other)).not.toBe(fingerprint(one, data));
      }),
      { numRuns: 2_000 },
    );
  });

  it('differs when a character moves from the topic into the payload', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z/]{2,30}$/), fc.string({ maxLength: 30 }), (one, data) => {
        expect(fingerprint(one.slice(0, -1), bytes(one.slice(-1) + data))).not.toBe(fingerprint(one, bytes(data)));
      }),
    );
  });

  it('does not meet itself among a hundred thousand messages of a fleet', () => {
    const seen = new Set<number>();
    for (let n = 0; n < 100_000; n++) {
      seen.add(
        fingerprint(`devices/wearable-${n % 100}/telemetry`, bytes(`{"heart_rate":${60 + (n % 90)},"steps":${n}}`)),
      );
    }
    expect(seen.size).toBe(100_000);
  });
});

/** Receipts that write down how they were settled. */
function receipts(): { make: (name: string) => (failure?: Error) => void; settled: string[] } {
  const settled: string[] = [];
  return {
    settled,
    make: (name) => (failure) => void settled.push(failure ? `${name}: ${failure.message}` : name),
  };
}

const of = (n: number): SettledMessage => ({ client: `c${n % 10}`, packetId: 1 + Math.floor(n / 10), hash: n });

describe('the redelivery book', () => {
  const first: SettledMessage = { client: 'wearable-1', packetId: 7, hash: 42 };

  it('hands a new message on', () => {
    const { make, settled } = receipts();
    const settle = new RedeliveryBook().admit(first, false, make('original'));
    expect(settled).toEqual([]);
    settle?.();
    expect(settled).toEqual(['original']);
  });

  it('lets a repeat wait with its original, and answers both in order of arrival', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    const settle = book.admit(first, false, make('original'));
    expect(book.admit(first, true, make('repeat'))).toBeNull();
    expect(book.admit(first, true, make('again'))).toBeNull();
    expect(settled).toEqual([]);
    settle?.();
    expect(settled).toEqual(['original', 'repeat', 'again']);
  });

  it('answers a repeat of what was settled at once', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    book.admit(first, false, make('original'))?.();
    expect(book.admit(first, true, make('repeat'))).toBeNull();
    expect(settled).toEqual(['original', 'repeat']);
  });

  it('takes a repeat for new when its original is unknown, is another message, or came from another client', () => {
    const { make } = receipts();
    const book = new RedeliveryBook();
    expect(book.admit(first, true, make('unknown'))).not.toBeNull();
    expect(book.admit({ ...first, hash: 43 }, true, make('other payload'))).not.toBeNull();
    expect(book.admit({ ...first, hash: 43, client: 'wearable-2' }, true, make('other client'))).not.toBeNull();
    expect(book.admit({ ...first, hash: 43, packetId: 8 }, true, make('other packet id'))).not.toBeNull();
  });

  it('keeps clients apart whose names end in digits', () => {
    const { make } = receipts();
    const book = new RedeliveryBook();
    book.admit({ client: '2 a', packetId: 1, hash: 42 }, false, make('one'))?.();
    expect(book.admit({ client: 'a', packetId: 12, hash: 42 }, true, make('two'))).not.toBeNull();
    expect(book.admit({ client: 'a', packetId: 1, hash: 42 }, true, make('three'))).not.toBeNull();
  });

  it('takes a packet id that is used again without the DUP flag for a new message', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    const settleFirst = book.admit(first, false, make('first'));
    const settleSecond = book.admit(first, false, make('second'));
    expect(settleSecond).not.toBeNull();
    book.admit(first, true, make('repeat of the second'));
    settleFirst?.();
    expect(settled).toEqual(['first']);
    settleSecond?.();
    expect(settled).toEqual(['first', 'second', 'repeat of the second']);
  });

  it('forgets a message that failed: everybody waiting hears of it, and its repeat is new', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    const settle = book.admit(first, false, make('original'));
    book.admit(first, true, make('repeat'));
    settle?.(new Error('disk full'));
    expect(settled).toEqual(['original: disk full', 'repeat: disk full']);
    expect(book.admit(first, true, make('after'))).not.toBeNull();
  });

  it('does not forget a newer message because an older one with its packet id failed', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    const settleOlder = book.admit(first, false, make('older'));
    const newer = { ...first, hash: 43 };
    book.admit(newer, false, make('newer'))?.();
    settleOlder?.(new Error('disk full'));
    expect(book.admit(newer, true, make('repeat'))).toBeNull();
    expect(settled).toEqual(['newer', 'older: disk full', 'repeat']);
  });

  it('knows after a restart what the commit log remembers', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    book.load([first, { ...first, packetId: 8 }]);
    expect(book.admit({ ...first, packetId: 8 }, true, make('repeat'))).toBeNull();
    expect(settled).toEqual(['repeat']);
    expect(book.admit(first, false, make('new')), 'the packet id is used again').not.toBeNull();
  });

  it('remembers the newest fifty thousand messages, and never more than twice as many', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    book.load(Array.from({ length: 100_001 }, (_, n) => of(n)));
    expect(book.admit(of(50_001), true, make('fifty thousand ago'))).toBeNull();
    expect(book.admit(of(100_000), true, make('last'))).toBeNull();
    expect(book.admit(of(0), true, make('first'))).not.toBeNull();
    expect(settled).toEqual(['fifty thousand ago', 'last']);
  });

  it('settles a message that it has forgotten meanwhile', () => {
    const { make, settled } = receipts();
    const book = new RedeliveryBook();
    const settle = book.admit(first, false, make('old'));
    book.load(Array.from({ length: 100_000 }, (_, n) => ({ client: 'c', packetId: n, hash: n })));
    settle?.();
    expect(settled).toEqual(['old']);
  });
});
