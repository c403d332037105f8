export interface CsvLine {
  /** 1 for the first line of the file. */
  readonly number: number;
  readonly text: string;
}

/** The lines that carry something: no empty ones, no `#` comments, no byte order mark. */
export function* csvLines(content: string): Generator<CsvLine> {
  let from = content.charCodeAt(0) === 0xfeff ? 1 : 0;
  for (let number = 1; from < content.length; number++) {
    const end = content.indexOf('\n', from);
    const text = content.slice(from, end === -1 ? content.length : end).trim();
    from = end === -1 ? content.length : end + 1;
    if (text !== '' && !text.startsWith('#')) yield { number, text };
  }
}

/** The separator that the first line uses most: comma, semicolon or tab. */
export function separatorOf(line: string): string {
  const counted = [',', ';', '\t'].map((separator) => ({ separator, count: splitFields(line, separator).length }));
  return counted.reduce((best, next) => (next.count > best.count ? next : best)).separator;
}

/** The fields of one line, RFC 4180 quotes removed; a quoted field does not go over the end of the line here. */
export function splitFields(line: string, separator: string): string[] {
  if (!line.includes('"')) return line.split(separator).map((field) => field.trim());
  const fields: string[] = [];
  let field = '';
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? '';
    if (char === '"') {
      if (isQuoted && line[at + 1] === '"') field += line[++at];
      else isQuoted = !isQuoted;
    } else if (char === separator && !isQuoted) {
      fields.push(field.trim());
      field = '';
    } else field += char;
  }
  fields.push(field.trim());
  return fields;
}
