import { csvLines, separatorOf, splitFields, type CsvLine } from './csv.ts';
import { readTime, type TimeFormat, type TimeReading } from './recorded-time.ts';

const timeColumns = new Set(['timestamp', 'time', 'ts', 'date', 'datetime', 'date_time', 'timer', 't']);
const deviceColumns = new Set(['device', 'device_id', 'deviceid']);
const missingMarks = new Set(['', 'nan', 'na', 'n/a', 'null', 'none']);
const devicePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const metricPattern = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;
const textBytesMax = 256;

export type RecordedValue = number | boolean | string;

/** Values of one device at one time. */
export interface RecordedRow {
  readonly device: string;
  /** Ms since 1970. */
  readonly time: number;
  readonly values: Record<string, RecordedValue>;
}

export interface Recording {
  readonly rows: readonly RecordedRow[];
  readonly devices: readonly string[];
  readonly readings: number;
  /** Readings whose (device, metric, time) is unlike that of every other: what a gateway keeps. */
  readonly distinct: number;
  /** What was assumed or left out, in sentences for the user. */
  readonly notes: readonly string[];
}

export interface RecordingFormat {
  /** Device of rows that name none. */
  readonly device: string;
  /** Metric of a file with one column of values; undefined takes the column's name. */
  readonly metric: string | undefined;
  readonly time: TimeFormat;
  /** Samples a second of a file that has one bare sample a line. */
  readonly rateHz: number | undefined;
  /** Time of the first sample of a file without dates; undefined makes the last sample the present. */
  readonly startMs: number | undefined;
  readonly nowMs: number;
  readonly shiftToNow: boolean;
  /** Takes values that are neither numbers nor true/false as text rather than as a fault. */
  readonly acceptText: boolean;
  /** Rows to take at most. */
  readonly limit: number;
}

/** The file is not what it should be; the message names the line, its content and the remedy. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

/**
 * Reads a whole recording, in one of three forms: `device,metric,time,value` rows, `time,metric,…` rows, or one bare
 * sample a line. Throws a RecordingError for the first line that it cannot read, so that nothing is sent of a bad file.
 */
export function parseRecording(content: string, format: RecordingFormat): Recording {
  const lines = csvLines(content);
  const first = lines.next();
  if (first.done === true) throw new RecordingError('The file is empty.');
  const builder = new RecordingBuilder(format);
  const separator = separatorOf(first.value.text);
  const header = splitFields(first.value.text, separator);
  if (header.length === 1) builder.readSamples(first.value, header[0] ?? '', lines);
  else builder.readRows(first.value, header, lines, separator);
  return builder.build();
}

interface Columns {
  readonly time: number;
  readonly device: number;
  /** The two columns of the long form; -1 in the wide form. */
  readonly metric: number;
  readonly value: number;
  /** Metric of each column in the wide form; undefined for a column that is none. */
  readonly metrics: readonly (string | undefined)[];
  readonly count: number;
}

class RecordingBuilder {
  readonly #format: RecordingFormat;
  readonly #rows: { device: string; time: number; values: Record<string, RecordedValue> }[] = [];
  readonly #notes: string[] = [];
  #samples = 0;
  #missing = 0;
  #lacksZone = false;
  #isElapsed: boolean | undefined;

  constructor(format: RecordingFormat) {
    this.#format = format;
  }

  /** One sample a line, at a rate; a first line that is no number names the metric. */
  readSamples(first: CsvLine, title: string, rest: Iterable<CsvLine>): void {
    const { rateHz, device, limit } = this.#format;
    if (rateHz === undefined) {
      throw new RecordingError(
        `Line ${first.number} has one column (${quoted(first.text)}): for a file of bare samples say how many a second with --rate.`,
      );
    }
    const hasHeader = !missingMarks.has(title.toLowerCase()) && Number.isNaN(Number(title));
    const metric = this.#format.metric ?? (hasHeader ? metricName(first, title) : 'value');
    const take = (line: CsvLine): void => {
      // A missing sample keeps its place in time.
      const time = Math.round((this.#samples * 1_000) / rateHz);
      this.#samples++;
      const value = this.#value(line, splitFields(line.text, ',').join(','));
      if (value !== undefined) this.#rows.push({ device, time, values: { [metric]: value } });
    };
    if (!hasHeader) take(first);
    for (const line of rest) {
      if (this.#samples >= limit) break;
      take(line);
    }
    this.#isElapsed = true;
  }

  readRows(first: CsvLine, header: readonly string[], rest: Iterable<CsvLine>, separator: string): void {
    const columns = this.#columns(first, header);
    for (const line of rest) {
      if (this.#rows.length >= this.#format.limit) break;
      const fields = splitFields(line.text, separator);
      if (fields.length !== columns.count) {
        throw new RecordingError(`${where(line)}: ${fields.length} fields, but the header has ${columns.count}.`);
      }
      this.#row(line, fields, columns);
    }
  }

  build(): Recording {
    const rows = this.#rows;
    if (rows.length === 0) throw new RecordingError('The file has no readings.');
    const lastMs = rows.reduce((latest, row) => Math.max(latest, row.time), -Infinity);
    const firstMs = rows.reduce((earliest, row) => Math.min(earliest, row.time), Infinity);
    const { nowMs, startMs, shiftToNow } = this.#format;
    let shiftMs = 0;
    if (this.#isElapsed === true) shiftMs = startMs === undefined || shiftToNow ? nowMs - lastMs : startMs - firstMs;
    else if (shiftToNow) shiftMs = nowMs - lastMs;
    if (shiftMs !== 0) for (const row of rows) row.time += shiftMs;
    const { readings, distinct } = countReadings(rows);
    this.#explain(firstMs + shiftMs, lastMs + shiftMs, readings - distinct);
    const devices = [...new Set(rows.map((row) => row.device))];
    return { rows, devices, readings, distinct, notes: this.#notes };
  }

  #explain(firstMs: number, lastMs: number, repeated: number): void {
    if (this.#lacksZone) {
      const minutes = this.#format.time.zoneOffsetMinutes;
      const zone = minutes === 0 ? 'UTC' : `${minutes} minutes east of UTC`;
      this.#notes.push(`The times name no zone and are read as ${zone} (--tz-offset changes that).`);
    }
    if (this.#missing > 0) this.#notes.push(`${this.#missing} empty values are left out.`);
    if (repeated > 0) {
      this.#notes.push(
        `${repeated} readings have the device, metric and time of another one: the gateway keeps the last.`,
      );
    }
    if (firstMs < Date.UTC(2000, 0)) {
      this.#notes.push('Some times are before the year 2000, which the gateway refuses: --shift-to-now moves them.');
    }
    if (lastMs > this.#format.nowMs + 60_000) {
      this.#notes.push(
        'Some times are in the future, which the gateway corrects or refuses: --shift-to-now moves them.',
      );
    }
  }

  #columns(line: CsvLine, header: readonly string[]): Columns {
    const names = header.map((name) => name.toLowerCase());
    const time = names.findIndex((name) => timeColumns.has(name));
    if (time === -1) {
      throw new RecordingError(
        `${where(line)}: the first line must name the columns, one of them timestamp, time, ts or date; then device,metric,time,value rows or one column for each metric.`,
      );
    }
    const device = names.findIndex((name) => deviceColumns.has(name));
    const metric = names.indexOf('metric');
    const value = names.indexOf('value');
    const isLong = metric !== -1 && value !== -1;
    const valueColumns = header.filter((_name, at) => at !== time && at !== device);
    if (!isLong && valueColumns.length === 0) throw new RecordingError(`${where(line)}: no column of values.`);
    const chosen = this.#format.metric;
    if (chosen !== undefined && (isLong || valueColumns.length > 1)) {
      throw new RecordingError('--metric names the one column of values, and this file names its metrics itself.');
    }
    const metrics = header.map((name, at) =>
      at === time || at === device || isLong ? undefined : (chosen ?? metricName(line, name)),
    );
    const named = metrics.filter((name) => name !== undefined);
    if (new Set(named).size < named.length) throw new RecordingError(`${where(line)}: two columns of the same name.`);
    return { time, device, metric: isLong ? metric : -1, value: isLong ? value : -1, metrics, count: header.length };
  }

  #row(line: CsvLine, fields: readonly string[], columns: Columns): void {
    const time = this.#time(line, fields[columns.time] ?? '');
    const device = columns.device === -1 ? this.#format.device : (fields[columns.device] ?? '');
    if (!devicePattern.test(device)) throw new RecordingError(`${where(line)}: ${quoted(device)} is no device id.`);
    if (columns.metric === -1) {
      const values: Record<string, RecordedValue> = {};
      for (const [at, metric] of columns.metrics.entries()) {
        const value = metric === undefined ? undefined : this.#value(line, fields[at] ?? '');
        if (metric !== undefined && value !== undefined) values[metric] = value;
      }
      if (Object.keys(values).length > 0) this.#rows.push({ device, time, values });
      return;
    }
    const metric = fields[columns.metric] ?? '';
    if (!isMetric(metric)) throw new RecordingError(`${where(line)}: ${quoted(metric)} is no metric name.`);
    const value = this.#value(line, fields[columns.value] ?? '');
    if (value === undefined) return;
    const last = this.#rows.at(-1);
    // Neighbouring rows of one instant travel in one message, as the device that made them would send them.
    if (last?.device === device && last.time === time && !Object.hasOwn(last.values, metric))
      last.values[metric] = value;
    else this.#rows.push({ device, time, values: { [metric]: value } });
  }

  #time(line: CsvLine, text: string): number {
    const time = readTime(text, this.#format.time);
    if (time === undefined) throw new RecordingError(`${where(line)}: ${timeFault(text)}`);
    this.#expectSameKind(line, time);
    if (time.lacksZone) this.#lacksZone = true;
    return time.ms;
  }

  #expectSameKind(line: CsvLine, time: TimeReading): void {
    this.#isElapsed ??= time.isElapsed;
    if (this.#isElapsed !== time.isElapsed) {
      throw new RecordingError(`${where(line)}: a date among elapsed times, or the other way round.`);
    }
  }

  /** Undefined for a missing value. */
  #value(line: CsvLine, text: string): RecordedValue | undefined {
    const lower = text.toLowerCase();
    if (missingMarks.has(lower)) {
      this.#missing++;
      return undefined;
    }
    if (lower === 'true' || lower === 'false') return lower === 'true';
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(value)) return value;
    if (!this.#format.acceptText) {
      throw new RecordingError(`${where(line)}: ${quoted(text)} is not a number, true or false (--text takes text).`);
    }
    if (Buffer.byteLength(text) > textBytesMax)
      throw new RecordingError(`${where(line)}: text over ${textBytesMax} bytes.`);
    return text;
  }
}

/** How many readings there are, and how many series and times; by series, since a set of strings would take gigabytes. */
function countReadings(rows: readonly RecordedRow[]): { readings: number; distinct: number } {
  const times = new Map<string, Set<number>>();
  let readings = 0;
  for (const { device, time, values } of rows) {
    for (const metric of Object.keys(values)) {
      readings++;
      const series = `${device} ${metric}`;
      const seen = times.get(series);
      if (seen === undefined) times.set(series, new Set([time]));
      else seen.add(time);
    }
  }
  let distinct = 0;
  for (const seen of times.values()) distinct += seen.size;
  return { readings, distinct };
}

/** `__proto__` fits the pattern, but would vanish from an object of values. */
function isMetric(name: string): boolean {
  return metricPattern.test(name) && name !== '__proto__';
}

/** A column title as a metric name: `Heart Rate (bpm)` becomes `heart_rate_bpm`. */
function metricName(line: CsvLine, title: string): string {
  if (isMetric(title)) return title;
  const name = title
    .toLowerCase()
    .replace(/[^a-z0-9_.:-]+/g, '_')
    .replace(/^[_.:-]+|_+$/g, '');
  if (!isMetric(name)) throw new RecordingError(`${where(line)}: ${quoted(title)} makes no metric name.`);
  return name;
}

function timeFault(text: string): string {
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) {
    return `${quoted(text)} is too small for a date; if it is the time since the beginning, say --time-unit s or ms.`;
  }
  return `${quoted(text)} is no time (RFC 3339, 2013-07-04 00:00:00, or epoch seconds or milliseconds).`;
}

function where(line: CsvLine): string {
  return `Line ${line.number} (${quoted(line.text)})`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
