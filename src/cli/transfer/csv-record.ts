/** A field of CSV, and whether it stood in quotes. */
export interface CsvCell {
  readonly text: string;
  readonly isQuoted: boolean;
}

/** The cells of one record of RFC 4180, without or with what ends it; null when its quotes are not in order. */
export function readCsvRecord(record: string): readonly CsvCell[] | null {
  const text = record.replace(/\r?\n$/, '');
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|$)/y;
  const cells: CsvCell[] = [];
  for (;;) {
    const match = cell.exec(text);
    if (!match) return null;
    const [, quoted, plain = '', end] = match;
    cells.push(
      quoted === undefined ? { text: plain, isQuoted: false } : { text: quoted.replaceAll('""', '"'), isQuoted: true },
    );
    if (end === '') return cells;
  }
}

/** A field as it is written: in quotes where it needs them. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
