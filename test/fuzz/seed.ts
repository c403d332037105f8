import { randomInt } from 'node:crypto';

/** The seed that was asked for, or any. Throws for what is no whole number. */
export function seedOf(asked: string | undefined): number {
  if (asked === undefined || asked === '') return randomInt(2 ** 32);
  if (!/^\d{1,10}$/.test(asked)) throw new Error(`a seed is a whole number, and ${JSON.stringify(asked)} is none`);
  return Number(asked);
}
