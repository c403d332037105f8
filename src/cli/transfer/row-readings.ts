import { RejectedError } from '../../base/errors.ts';
import { decodeInflux, type InfluxPrecision } from '../../decode/influx.ts';
import { decodeReadings } from '../../decode/readings-json.ts';
import { decodeText } from '../../decode/text.ts';
import { decodeTime } from '../../decode/time.ts';
import { decodeValue } from '../../decode/value.ts';
import type { Reading, Value } from '../../domain/reading.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../../domain/series.ts';
import { type CsvCell, readCsvRecord } from './csv-record.ts';

export const importFormats = ['csv', 'ndjson', 'influx'] as const;
export type ImportFormat = (typeof importFormats)[number];

/** Reads the readings of one row, none for a row that is blank. Throws `RejectedError`. */
export type RowReader = (row: Buffer) => readonly Reading[];

/** A line of NDJSON as `POST /readings` takes it. */
export function readNdjson(row: Buffer): readonly Reading[] {
  if (isBlank(row)) return [];
  const { readings, faults } = decodeReadings(row, 'ndjson');
  if (faults.length > 0) throw new RejectedError(faults[0].code, faults[0].detail);
  return readings.map(({ time, ...reading }) => ({ ...reading, time: timed(time) }));
}

/** A line of line protocol, devices and metrics as the gateway takes them when nobody configured it otherwise. */
export function influxReader(precision: InfluxPrecision): RowReader {
  return (row) => {
    if (isBlank(row) || /^[ \t]*#/.test(row.toString('latin1'))) return [];
    const { devices } = decodeInflux(row, { precision, device: null, fallback: null });
    return devices.flatMap(({ device, readings }) =>
      readings.map(({ metric, time, value }) => ({ device, metric, time: timed(time), value })),
    );
  };
}

const needed = ['device', 'metric', 'time', 'value'] as const;

/**
 * Records of CSV under a header that names at least device, metric, time and value; other columns are left aside. A value
 * in quotes is a text, unless the time stands in quotes, too: then everything does, and what looks like a number is one.
 * Throws `RejectedError` for a header that lacks one of them.
 */
export function csvReader(header: Buffer): RowReader {
  const names = (readCsvRecord(decodeText(header)) ?? []).map(({ text }) => text.trim().toLowerCase());
  const missing = needed.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new RejectedError(
      'payload_shape',
      `the first line names the columns; ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not among them`,
    );
  }
  const [device, metric, time, value] = needed.map((name) => names.indexOf(name));
  return (row) => {
    if (isBlank(row)) return [];
    const cells = readCsvRecord(decodeText(row));
    if (!cells) {
      throw new RejectedError('payload_invalid', 'a quote is not closed, or stands inside a cell without quotes');
    }
    if (cells.length !== names.length) {
      throw new RejectedError('payload_shape', `${cells.length} cells under ${names.length} columns`);
    }
    return [
      {
        device: checked(cells[device].text, isDeviceId, 'device_invalid', `a device id must be ${deviceIdRule}`),
        metric: checked(cells[metric].text, isMetricName, 'metric_invalid', `a metric name must be ${metricNameRule}`),
        time: timeOf(cells[time].text.trim()),
        value: valueOf(cells[value], cells[time].isQuoted),
      },
    ];
  };
}

function checked(text: string, isRight: (text: string) => boolean, code: string, rule: string): string {
  const trimmed = text.trim();
  if (isRight(trimmed)) return trimmed;
  throw new RejectedError(code, rule);
}

function timeOf(text: string): number {
  const isEpoch = /^-?\d+(\.\d+)?$/.test(text);
  return timed(text === '' ? null : decodeTime(isEpoch ? Number(text) : text, '').time);
}

function timed(time: number | null): number {
  if (time !== null) return time;
  // That of receipt would be another one when the file is imported again.
  throw new RejectedError('time_invalid', 'the reading has no time');
}

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

function valueOf({ text, isQuoted }: CsvCell, isAllQuoted: boolean): Value {
  if (!isQuoted || isAllQuoted) {
    const plain = text.trim();
    if (plain === '' && !isQuoted) throw new RejectedError('value_invalid', 'the value is empty');
    if (decimal.test(plain)) return decodeValue(Number(plain), '');
    if (/^(true|false)$/i.test(plain)) return plain.toLowerCase() === 'true';
  }
  // The apostrophe that keeps spreadsheets from taking a text for a formula.
  return decodeValue(/^'+[=+\-@\t\r]/.test(text) ? text.slice(1) : text, '');
}

function isBlank(row: Buffer): boolean {
  for (const byte of row) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== 0x0a) return false;
  return true;
}
