import { csvField, quotedCsv } from '../../domain/csv-field.ts';
import type { RowWriter } from './row-writer.ts';
import { writeRows } from './row-loop.ts';
import { TimeWriter } from './time-text.ts';
import { encoded } from './value-text.ts';

/** The line that stands above the rows, once. */
export const csvHeader = 'device,metric,time,value,unit\r\n';

const comma = encoded(',');

/**
 * RFC 4180. Texts stand in quotes, numbers and booleans do not, so that `"21"` and `21` stay apart. A text that a
 * spreadsheet would take for a formula gets an apostrophe in front (CWE-1236), and so does one that is such a text with
 * apostrophes before it: who reads it back takes one away.
 */
export const csvWriter: RowWriter = {
  separated: null,
  write(columns, begin, end, { device, metric, unit }, out) {
    const time = new TimeWriter(encoded(`${csvField(device)},${csvField(metric)},`));
    const tail = encoded(`,${unit === null ? '' : csvField(unit)}\r\n`);
    writeRows(
      { time, number: comma, boolean: comma, text: comma, quote: quotedCsv, tail },
      columns,
      { begin, end },
      out,
    );
  },
};
