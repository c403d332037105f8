import { randomBytes } from 'node:crypto';

/** Randomness is handed in, so that tests can repeat what happened. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `count` random bytes. */
  bytes(count: number): Uint8Array;
}

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
};

/** A repeatable generator (mulberry32) for tests and simulations; never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { next, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) };
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** `prefix_` and 20 base62 characters (about 119 bits): an id nobody can guess and a double click selects. */
export function randomId(prefix: string, random: Random = systemRandom): string {
  let id = `${prefix}_`;
  // Bytes of 248 and above are dropped, so that every character is equally likely.
  while (id.length < prefix.length + 21) {
    for (const byte of random.bytes(24)) {
      if (byte < 248 && id.length < prefix.length + 21) id += base62[byte % 62];
    }
  }
  return id;
}
