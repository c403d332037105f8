import fc from 'fast-check';
import { RejectedError } from '../../src/base/errors.ts';
import { casePayloads } from './decode-cases.ts';

/**
 * Payloads of a dialect made from its cases: whole, cut, with bytes overwritten, taken out, put in or doubled, and two
 * spliced together; and now and then anything at all. At most `bytesMax` bytes.
 */
export function mutatedPayloads(folder: string, bytesMax = 4_096): fc.Arbitrary<Uint8Array> {
  const seeds = casePayloads(folder).filter(({ length }) => length <= bytesMax);
  const seed = fc.constantFrom(...seeds);
  const mutated = fc.tuple(seed, fc.array(mutation(seeds), { maxLength: 6 })).map(([payload, mutations]) => {
    let bytes: Uint8Array = payload;
    for (const mutate of mutations) bytes = mutate(bytes);
    return bytes.subarray(0, bytesMax);
  });
  return fc.oneof({ weight: 9, arbitrary: mutated }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) });
}

/** Whether the payload was taken or refused as decoders refuse; anything else that is thrown goes through. */
export function isTakenOrRefused(decode: () => unknown): boolean {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    return error.code !== '' && error.message !== '' && (error.pointer === '' || error.pointer.startsWith('/'));
  }
  return true;
}

type Mutation = (bytes: Uint8Array) => Uint8Array;

/** Bytes on which the grammars of text dialects turn, and the ends of the ranges of binary ones. */
const turning = [...Buffer.from('{}[]",:\\=/#. \n\r\t0-eEitT_')];
const extreme = [0x00, 0x7f, 0x80, 0xff, 0xfb, 0x9f, 0xbf, 0x1b, 0xc4];

function mutation(seeds: readonly Uint8Array[]): fc.Arbitrary<Mutation> {
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const byte = fc.oneof(fc.constantFrom(...turning, ...extreme), fc.nat(255));
  return fc.oneof(
    fc.tuple(place, byte).map(([at, value]) => replaced(at, 1, [value])),
    fc.tuple(place, byte).map(([at, value]) => replaced(at, 0, [value])),
    fc.tuple(place, fc.integer({ min: 1, max: 8 })).map(([at, count]) => replaced(at, count, [])),
    place.map(
      (at): Mutation =>
        (bytes) =>
          bytes.subarray(0, Math.floor(at * bytes.length)),
    ),
    place.map(
      (at): Mutation =>
        (bytes) =>
          Buffer.concat([bytes, bytes.subarray(Math.floor(at * bytes.length))]),
    ),
    fc.tuple(place, fc.constantFrom(...seeds)).map(
      ([at, other]): Mutation =>
        (bytes) =>
          Buffer.concat([bytes.subarray(0, Math.floor(at * bytes.length)), other]),
    ),
  );
}

function replaced(at: number, count: number, values: readonly number[]): Mutation {
  return (bytes) => {
    const index = Math.floor(at * bytes.length);
    return Buffer.concat([bytes.subarray(0, index), Buffer.from(values), bytes.subarray(index + count)]);
  };
}
