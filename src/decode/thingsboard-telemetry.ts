import { RejectedError } from '../base/errors.ts';
import { isMetricName, metricNameRule } from '../domain/series.ts';
import { type DeviceMessage, deviceMessage } from './decoded.ts';
import { type DecodedReading, escapePointer, isObject } from './native.ts';
import { decodeTime } from './time.ts';
import { decodeValue } from './value.ts';

interface Gathered {
  readonly readings: DecodedReading[];
  readonly timePointers: string[];
  readonly valuePointers: string[];
  truncated: number;
}

/**
 * Telemetry of one device as ThingsBoard has it: `{"temperature":21.4}`, `{"ts":1790000000000,"values":{…}}`, or an array
 * of these. `ts` (epoch ms) is a time only beside an object `values`; in a plain object every member is a metric. null is
 * skipped. Throws `RejectedError`, its pointer beginning with `at`.
 */
export function decodeThingsboardTelemetry(device: string, telemetry: unknown, at: string): DeviceMessage {
  const gathered: Gathered = { readings: [], timePointers: [], valuePointers: [], truncated: 0 };
  if (Array.isArray(telemetry)) {
    for (let index = 0; index < telemetry.length; index++) addSample(telemetry[index], `${at}/${index}`, gathered);
  } else {
    addSample(telemetry, at, gathered);
  }
  return deviceMessage(device, gathered);
}

function addSample(sample: unknown, at: string, gathered: Gathered): void {
  if (!isObject(sample)) {
    throw new RejectedError(
      'payload_shape',
      'telemetry is an object such as {"temperature":21.4} or {"ts":1790000000000,"values":{"temperature":21.4}}, or an array of these',
      { pointer: at },
    );
  }
  const timePointer = `${at}/ts`;
  if (!isObject(sample.values) || !Object.hasOwn(sample, 'ts')) {
    addValues(sample, at, { time: null, truncated: false }, timePointer, gathered);
    return;
  }
  if (typeof sample.ts !== 'number') {
    throw new RejectedError('time_invalid', '"ts" is a number of milliseconds since 1970', { pointer: timePointer });
  }
  addValues(sample.values, `${at}/values`, decodeTime(sample.ts, timePointer), timePointer, gathered);
}

function addValues(
  values: Readonly<Record<string, unknown>>,
  at: string,
  { time, truncated }: ReturnType<typeof decodeTime>,
  timePointer: string,
  gathered: Gathered,
): void {
  for (const key of Object.keys(values)) {
    const pointer = `${at}/${escapePointer(key)}`;
    const metric = key.includes('/') ? key.replaceAll('/', '.') : key;
    if (!isMetricName(metric)) {
      throw new RejectedError('metric_invalid', `a metric name must be ${metricNameRule}`, { pointer });
    }
    if (values[key] === null) continue;
    gathered.readings.push({ metric, time, value: decodeValue(values[key], pointer) });
    gathered.timePointers.push(timePointer);
    gathered.valuePointers.push(pointer);
    if (truncated) gathered.truncated++;
  }
}
