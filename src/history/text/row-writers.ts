import type { RowFormat } from '../queries.ts';
import { columnWriter } from './column-rows.ts';
import { csvWriter } from './csv-rows.ts';
import { influxWriter } from './influx-rows.ts';
import { ndjsonWriter, rowsWriter } from './json-rows.ts';
import type { RowWriter } from './row-writer.ts';
import { senmlWriter } from './senml-rows.ts';

export const rowWriters: Readonly<Record<RowFormat, RowWriter>> = {
  rows: rowsWriter,
  columns: columnWriter,
  ndjson: ndjsonWriter,
  csv: csvWriter,
  senml: senmlWriter,
  influx: influxWriter,
};
