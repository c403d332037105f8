const formula = /^'*[=+\-@\t\r]/;

/**
 * A field of RFC 4180, in quotes only where it needs them. What a spreadsheet would take for a formula gets an apostrophe
 * in front (CWE-1236), and so does what is such a text with apostrophes before it: who reads it back takes one away.
 */
export function csvField(text: string): string {
  return formula.test(text) || /[",\r\n]/.test(text) ? quotedCsv(text) : text;
}

/** The same, in quotes in any case. */
export function quotedCsv(text: string): string {
  return `"${formula.test(text) ? "'" : ''}${text.replaceAll('"', '""')}"`;
}
