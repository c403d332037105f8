/**
 * Digits as 32-bit words, lowest byte first, so that up to four of them are one store into a `DataView`. A store writes all
 * four bytes: what follows is written over those that do not count.
 */

/** Three digits of each number below 1,000. */
export const tripleWords = wordsOf((number) => String(number).padStart(3, '0')).words;

/** The digits of each number below 1,000 without zeros in front, and how many these are. */
export const { words: headWords, lengths: headLengths } = wordsOf(String);

/** A point and so many thousandths, below 1,000, without zeros at the end, and how many bytes these are; of 0 none. */
export const { words: fractionWords, lengths: fractionLengths } = wordsOf((number) =>
  number === 0 ? '' : `.${String(number).padStart(3, '0').replace(/0+$/, '')}`,
);

function wordsOf(write: (number: number) => string): { readonly words: Uint32Array; readonly lengths: Uint8Array } {
  const words = new Uint32Array(1_000);
  const lengths = new Uint8Array(1_000);
  for (let number = 0; number < 1_000; number++) {
    const text = write(number);
    lengths[number] = text.length;
    for (let at = 0; at < text.length; at++) words[number] |= text.charCodeAt(at) << (at * 8);
  }
  return { words, lengths };
}
