/**
 * Filters on device ids and metric names: `*` any run of characters, `?` one character, comma between alternatives.
 * Case matters. Matching is linear in the text for each `*` (no regular expression, so no pattern is slow).
 */
export type Glob = (text: string) => boolean;

/** Compiles `wearable-*,fridge-0?`. An empty pattern matches nothing; `*` alone matches everything at no cost. */
export function compileGlob(pattern: string): Glob {
  const alternatives = pattern
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (alternatives.includes('*')) return () => true;
  const exact = new Set(alternatives.filter((part) => !/[*?]/.test(part)));
  const wild = alternatives.filter((part) => /[*?]/.test(part));
  if (wild.length === 0) return (text) => exact.has(text);
  return (text) => exact.has(text) || wild.some((part) => matches(part, text));
}

/** Whether the pattern can be written in a filter: not empty, nothing but name characters, `*`, `?` and commas. */
export function isGlob(pattern: string): boolean {
  return pattern.length <= 1024 && /^[A-Za-z0-9._:*?-]+(\s*,\s*[A-Za-z0-9._:*?-]+)*$/.test(pattern);
}

function matches(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  let index = 0;
  while (index < text.length) {
    if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[index]) && pattern[at] !== '*') {
      at++;
      index++;
    } else if (pattern[at] === '*') {
      star = at++;
      retry = index;
    } else if (star >= 0) {
      at = star + 1;
      index = ++retry;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
