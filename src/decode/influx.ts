import { type Fault, RejectedError } from '../base/errors.ts';
import { ownText } from '../base/own-text.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../domain/series.ts';
import { type Decoded, type DeviceMessage, deviceMessage, nothingDecoded } from './decoded.ts';
import { foreignMetric } from './foreign-name.ts';
import { type LinePoint, LineReader, type LineTag } from './line-protocol.ts';
import type { DecodedReading } from './native.ts';
import { decodeText } from './text.ts';

/** Units of timestamps: those of the API of InfluxDB 2, and minutes and hours, which that of InfluxDB 1 has, too. */
export type InfluxPrecision = 'ns' | 'us' | 'ms' | 's' | 'm' | 'h';

export interface InfluxOptions {
  readonly precision: InfluxPrecision;
  /** The device that the topic names: it wins over every tag. null: the tags say. */
  readonly device: string | null;
  /** The device of lines without a tag that names one; null: such lines are refused. */
  readonly fallback: string | null;
  /** Absent: `usualInfluxTags`. */
  readonly tags?: InfluxTags;
}

/** What tags mean; those that are in neither list are left aside. */
export interface InfluxTags {
  /** Tags that name the device, the first that a line has. */
  readonly device: readonly string[];
  /** Tags whose values are part of the metric, in this order: what tells the cores, interfaces and disks of one device apart. */
  readonly metric: readonly string[];
}

/** As they are in the configuration that nobody changed. */
export const usualInfluxTags: InfluxTags = {
  device: ['device', 'device_id', 'id', 'host'],
  metric: ['cpu', 'interface', 'path', 'name', 'sensor'],
};

export interface InfluxBatch {
  /** What the good lines say. */
  readonly devices: readonly DeviceMessage[];
  /** What is wrong with the others: one fault a line, the first `faultsMax`, in order. */
  readonly faults: readonly Fault[];
  /** Lines that are wrong in all. */
  readonly refused: number;
}

/** Most faults that one answer lists. */
const faultsMax = 100;

interface Gathered {
  readonly readings: DecodedReading[];
  readonly timePointers: string[];
  readonly valuePointers: string[];
  truncated: number;
}

/**
 * InfluxDB line protocol to readings. The device is a tag (`tags.device`) unless the topic names it; the metric is
 * `measurement.field`, or the measurement alone for a field named `value`; values of `tags.metric` stand behind the
 * measurement, as in `cpu.cpu0.usage_idle`; `/` becomes `.`. Other tags are left aside, so lines that differ in them
 * alone are one series, and at the same time the later line replaces the earlier. Integers
 * beyond 2^53 become the nearest 64-bit float; times finer than a millisecond are truncated and counted. Throws
 * `RejectedError` for the first fault, its pointer a place in the text: `/line/3/column/17`.
 */
export function decodeInflux(payload: Uint8Array, options: InfluxOptions): Decoded {
  const lines = new LineReader(decodeText(payload));
  const devices = new Map<string, Gathered>();
  for (let point = lines.next(); point !== null; point = lines.next()) addPoint(point, options, devices);
  if (devices.size === 0) throw new RejectedError('payload_empty', 'the payload holds no line');
  return { ...nothingDecoded, devices: deviceMessages(devices) };
}

/** The same, but a line that is wrong is left out and told. Throws only where there is no line at all, or no text. */
export function decodeInfluxBatch(payload: Uint8Array, options: InfluxOptions): InfluxBatch {
  const lines = new LineReader(decodeText(payload));
  const devices = new Map<string, Gathered>();
  const faults: Fault[] = [];
  let refused = 0;
  for (;;) {
    try {
      const point = lines.next();
      if (point === null) break;
      addPoint(point, options, devices);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      refused++;
      if (faults.length < faultsMax) {
        faults.push({ pointer: error.pointer, code: error.code, detail: error.message });
      }
      lines.skipLine();
    }
  }
  if (devices.size === 0 && refused === 0) throw new RejectedError('payload_empty', 'the body holds no line');
  return { devices: deviceMessages(devices), faults, refused };
}

function deviceMessages(devices: ReadonlyMap<string, Gathered>): readonly DeviceMessage[] {
  return [...devices].map(([device, gathered]) => deviceMessage(device, gathered));
}

/** All of a line or nothing of it. */
function addPoint(point: LinePoint, options: InfluxOptions, devices: Map<string, Gathered>): void {
  const { device, tag } = deviceOf(point, options);
  const prefix = metricPrefix(point, options.tags ?? usualInfluxTags, tag);
  const { time, isTruncated } = timeOf(point, options.precision);
  const metrics = point.fields.map(({ key, pointer }) => metricOf(prefix, key, pointer));
  const gathered = devices.get(device) ?? { readings: [], timePointers: [], valuePointers: [], truncated: 0 };
  if (gathered.readings.length === 0) devices.set(ownText(device), gathered);
  for (const [index, { value, pointer }] of point.fields.entries()) {
    gathered.readings.push({ metric: metrics[index], time, value });
    gathered.timePointers.push(point.timestampPointer);
    gathered.valuePointers.push(pointer);
    if (isTruncated) gathered.truncated++;
  }
}

/** The device, and the tag that named it. */
function deviceOf(point: LinePoint, options: InfluxOptions): { readonly device: string; readonly tag: LineTag | null } {
  if (options.device !== null) return { device: options.device, tag: null };
  const { device: deviceTags } = options.tags ?? usualInfluxTags;
  for (const name of deviceTags) {
    const tag = point.tags.find(({ key }) => key === name);
    if (!tag) continue;
    if (isDeviceId(tag.value)) return { device: tag.value, tag };
    throw new RejectedError('device_invalid', `the tag ${name} names the device, so it must be ${deviceIdRule}`, {
      pointer: tag.pointer,
    });
  }
  if (options.fallback !== null) return { device: options.fallback, tag: null };
  throw new RejectedError('device_invalid', `the line names no device; add one of the tags ${deviceTags.join(', ')}`, {
    pointer: point.pointer,
  });
}

/** The measurement with the values of the tags that are part of the metric, but for the one that named the device. */
function metricPrefix({ measurement, tags }: LinePoint, { metric }: InfluxTags, used: LineTag | null): string {
  let prefix = measurement;
  for (const name of metric) {
    const tag = tags.find(({ key }) => key === name);
    // A path begins with a slash, and that of the root is nothing else.
    if (tag && tag !== used) prefix += `.${foreignMetric(tag.value.replace(/^\//, ''))}`;
  }
  return prefix;
}

function metricOf(prefix: string, field: string, pointer: string): string {
  const name = field === 'value' ? prefix : `${prefix}.${field}`;
  const metric = name.includes('/') ? name.replaceAll('/', '.') : name;
  if (isMetricName(metric)) return metric;
  throw new RejectedError(
    'metric_invalid',
    `measurement and field make a metric name, which must be ${metricNameRule}`,
    { pointer },
  );
}

/** Digits below the millisecond, or the factor to milliseconds. */
const scales: Readonly<Record<InfluxPrecision, { readonly cut: number; readonly factor: number }>> = {
  ns: { cut: 6, factor: 1 },
  us: { cut: 3, factor: 1 },
  ms: { cut: 0, factor: 1 },
  s: { cut: 0, factor: 1_000 },
  m: { cut: 0, factor: 60_000 },
  h: { cut: 0, factor: 3_600_000 },
};

function timeOf(
  { timestamp, timestampPointer: pointer }: LinePoint,
  precision: InfluxPrecision,
): { readonly time: number | null; readonly isTruncated: boolean } {
  if (timestamp === null) return { time: null, isTruncated: false };
  if (!/^-?\d{1,19}$/.test(timestamp)) {
    throw new RejectedError('time_invalid', `"${timestamp.slice(0, 40)}" is no timestamp, which is a whole number`, {
      pointer,
    });
  }
  const { cut, factor } = scales[precision];
  // By digits: nanoseconds of these years are beyond what a number holds exactly.
  const time = cut === 0 ? Number(timestamp) * factor : Number(timestamp.slice(0, -cut));
  // Of a few digits behind a minus sign nothing but the sign is left, which is no number.
  if (!(time >= 1e11 && time <= 8.64e15)) {
    throw new RejectedError(
      'time_invalid',
      `${timestamp} is not a plausible time in ${precision}; is the precision another one?`,
      { pointer },
    );
  }
  return { time, isTruncated: cut > 0 && /[1-9]/.test(timestamp.slice(-cut)) };
}
