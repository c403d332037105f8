/**
 * Whether `text` matches a filter of the gateway: `*` any run of characters, `?` one, comma between alternatives.
 * Only used to find the rules whose line belongs on a chart.
 */
export function globMatches(pattern: string, text: string): boolean {
  return pattern.split(',').some((part) => part.trim() !== '' && wildcardMatches(part.trim(), text));
}

/** Greedy with one point of return: linear in the text for each `*`. */
function wildcardMatches(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  if (!fits(head, text, 0)) return false;
  if (rest.length === 0) return head.length === text.length;
  const tail = rest.pop() ?? '';
  let at = head.length;
  for (const part of rest) {
    while (at + part.length <= text.length && !fits(part, text, at)) at++;
    if (at + part.length > text.length) return false;
    at += part.length;
  }
  return text.length - tail.length >= at && fits(tail, text, text.length - tail.length);
}

function fits(part: string, text: string, at: number): boolean {
  if (at + part.length > text.length) return false;
  for (let index = 0; index < part.length; index++) {
    if (part[index] !== '?' && part[index] !== text[at + index]) return false;
  }
  return true;
}
