import { quotedCsv } from '../../domain/csv-field.ts';
import type { Value } from '../../domain/reading.ts';
import { type SampleColumns, sampleValue } from '../../domain/sample-columns.ts';
import { TimeText } from '../moment.ts';
import { othersTurn } from '../others-turn.ts';

/** Times with one or more named values each: buckets, points, or a few readings. Small enough for the main thread. */
export interface Table {
  readonly count: number;
  /** Epoch ms. */
  readonly times: Float64Array | readonly number[];
  /** What the values are called, one for each column. */
  readonly names: readonly string[];
  readonly columns: readonly (readonly (Value | null)[])[];
}

/** Readings as a table. `move` puts their times elsewhere. */
export function readingsTable(columns: SampleColumns, shift = 0): Table {
  const { count } = columns;
  const values: Value[] = [];
  for (let row = 0; row < count; row++) values.push(sampleValue(columns, row));
  const times = columns.times.subarray(0, count);
  return { count, times: shift === 0 ? times : times.map((time) => time + shift), names: ['value'], columns: [values] };
}

/** `{"time":"…","avg":…}` with commas between. */
export function rowsText({ count, times, names, columns }: Table): string {
  const keys = names.map((name) => `,${JSON.stringify(name)}:`);
  const time = new TimeText();
  let text = '';
  for (let row = 0; row < count; row++) {
    text += `${row === 0 ? '' : ','}{"time":"${time.of(times[row])}"`;
    for (let column = 0; column < keys.length; column++) text += keys[column] + valueText(columns[column][row]);
    text += '}';
  }
  return text;
}

/** `"times":[…]`, `"avg":[…]` and so on; the values of readings are called `values`. */
function* columnTexts({ count, times, names, columns }: Table): Generator<string> {
  yield `"times":[${times.slice(0, count).join(',')}]`;
  for (const [index, name] of names.entries()) {
    const values = columns[index].slice(0, count).map(valueText).join(',');
    yield `${JSON.stringify(name === 'value' ? 'values' : name)}:[${values}]`;
  }
}

/** The member, or members, of a JSON object that hold the table; rows are called `list`. */
export async function jsonText(table: Table, form: 'rows' | 'columns', list: 'readings' | 'buckets'): Promise<string> {
  if (form === 'rows') return `"${list}":[${await inTurns(table, rowsText, ',')}]`;
  const texts: string[] = [];
  let cells = 0;
  for (const text of columnTexts(table)) {
    texts.push(text);
    cells += table.count;
    if (cells < cellsAtOnce) continue;
    cells = 0;
    await othersTurn();
  }
  return texts.join(',');
}

/** Cells that are written at once: some milliseconds, and then others have their turn. */
const cellsAtOnce = 5_000;

/** What `write` makes of the table, a few rows at a time, with `between` between them. */
export async function inTurns(table: Table, write: (rows: Table) => string, between = ''): Promise<string> {
  const atOnce = Math.max(1, Math.floor(cellsAtOnce / table.names.length));
  if (table.count <= atOnce) return write(table);
  let text = '';
  for (let at = 0; at < table.count; at += atOnce) {
    if (at > 0) {
      await othersTurn();
      text += between;
    }
    text += write(rowsOf(table, at, Math.min(at + atOnce, table.count)));
  }
  return text;
}

function rowsOf({ times, names, columns }: Table, begin: number, end: number): Table {
  const cut = columns.map((values) => values.slice(begin, end));
  return { count: end - begin, times: times.slice(begin, end), names, columns: cut };
}

/** A line for each row, `head` being the members in front of its time, with a comma behind. */
export function linesText(table: Table, head: string): string {
  const { count, times, names, columns } = table;
  const keys = names.map((name) => `,${JSON.stringify(name)}:`);
  const time = new TimeText();
  let text = '';
  for (let row = 0; row < count; row++) {
    text += `{${head}"time":"${time.of(times[row])}"`;
    for (let column = 0; column < keys.length; column++) text += keys[column] + valueText(columns[column][row]);
    text += '}\n';
  }
  return text;
}

/** Records of RFC 4180: what `before` and `after` hold, and between them the time and the columns that are named. */
export function csvText(
  table: Table,
  names: readonly string[],
  { before, after }: { readonly before: string; readonly after: string },
): string {
  const { count, times } = table;
  const columns = names.map((name) => table.columns[table.names.indexOf(name)]);
  const time = new TimeText();
  let text = '';
  for (let row = 0; row < count; row++) {
    text += `${before}${time.of(times[row])}`;
    for (const column of columns) text += `,${csvValue(column?.[row] ?? null)}`;
    text += `${after}\r\n`;
  }
  return text;
}

/** JSON. A number beyond all bounds, such as the sum of very large ones, is null. */
export function valueText(value: Value | null): string {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  return value === null ? 'null' : JSON.stringify(value);
}

/** As the downloads write it: texts in quotes, with an apostrophe before what a spreadsheet would take for a formula (CWE-1236). */
function csvValue(value: Value | null): string {
  if (value === null || (typeof value === 'number' && !Number.isFinite(value))) return '';
  return typeof value === 'string' ? quotedCsv(value) : String(value);
}
