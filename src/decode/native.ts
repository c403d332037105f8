import { RejectedError } from '../base/errors.ts';
import type { Value } from '../domain/reading.ts';
import { isMetricName, metricNameRule } from '../domain/series.ts';
import { decodeFlat } from './flat-json.ts';
import { decodeText } from './text.ts';
import { decodeTime } from './time.ts';
import { decodeValue } from './value.ts';

/** A reading as the payload has it; `time` is null where the payload names none. */
export interface DecodedReading {
  readonly metric: string;
  readonly time: number | null;
  readonly value: Value;
}

export interface DecodedMessage {
  readonly readings: readonly DecodedReading[];
  /** `timePointers[i]` is where the time of reading i stands, or would stand. */
  readonly timePointers: readonly string[];
  /** Readings whose time was finer than a millisecond and was truncated. */
  readonly truncated: number;
}

/**
 * The native dialect on `devices/{device}/telemetry`: `{"temperature":21.4}`, with `ts` (or `time`), with
 * `{"ts":…,"values":{…}}`, or an array of these. Throws `RejectedError` with a pointer to the first fault.
 */
export function decodeTelemetry(payload: Uint8Array): DecodedMessage {
  return decodeFlat(payload) ?? decodeAny(payload);
}

/** The same for a payload of any shape. */
export function decodeAny(payload: Uint8Array): DecodedMessage {
  const parsed = parseJson(decodeText(payload));
  const readings: DecodedReading[] = [];
  const timePointers: string[] = [];
  let truncated = 0;
  if (Array.isArray(parsed)) {
    for (let index = 0; index < parsed.length; index++) {
      truncated += addSample(parsed[index], `/${index}`, readings, timePointers);
    }
  } else {
    truncated = addSample(parsed, '', readings, timePointers);
  }
  if (readings.length === 0)
    throw new RejectedError('payload_empty', 'the payload holds no reading: every value is null, or there is none');
  return { readings, timePointers, truncated };
}

/** Where the value of reading `index` stands in a payload that `decodeTelemetry` accepted, RFC 6901. */
export function valuePointer(payload: Uint8Array, index: number): string {
  const parsed = parseJson(decodeText(payload));
  const samples: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  let left = index;
  for (const [at, sample] of samples.entries()) {
    if (!isObject(sample)) continue;
    const values = isObject(sample.values) ? sample.values : sample;
    for (const key of Object.keys(values)) {
      const isTime = values === sample && (key === 'ts' || key === 'time');
      if (isTime || values[key] === null || left-- > 0) continue;
      return `${Array.isArray(parsed) ? `/${at}` : ''}${values === sample ? '' : '/values'}/${escapePointer(key)}`;
    }
  }
  return '';
}

/** JSON text to a value of unknown shape. Throws `payload_not_json` with the parser's position. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof RangeError)
      throw new RejectedError('payload_too_deep', 'the payload is nested too deeply', { cause: error });
    const reason = error instanceof Error ? error.message : 'syntax error';
    throw new RejectedError('payload_not_json', `the payload is not JSON: ${reason}`, { cause: error });
  }
}

function addSample(sample: unknown, at: string, readings: DecodedReading[], timePointers: string[]): number {
  if (!isObject(sample)) {
    throw new RejectedError(
      'payload_shape',
      'expected an object such as {"temperature":21.4} or an array of them; a bare value goes to …/telemetry/{metric}',
      {
        pointer: at,
      },
    );
  }
  if (Object.hasOwn(sample, 'ts') && Object.hasOwn(sample, 'time')) {
    throw new RejectedError('payload_shape', 'give either "ts" or "time", not both', { pointer: `${at}/time` });
  }
  const timeKey = Object.hasOwn(sample, 'time') ? 'time' : 'ts';
  const pointer = `${at}/${timeKey}`;
  const time = decodeTime(Object.hasOwn(sample, timeKey) ? sample[timeKey] : null, pointer);
  const before = readings.length;
  if (Object.hasOwn(sample, 'values')) {
    addValues(onlyValues(sample, at), `${at}/values`, time.time, readings);
  } else {
    addValues(sample, at, time.time, readings);
  }
  while (timePointers.length < readings.length) timePointers.push(pointer);
  return time.truncated ? readings.length - before : 0;
}

function onlyValues(sample: Readonly<Record<string, unknown>>, at: string): Readonly<Record<string, unknown>> {
  const stray = Object.keys(sample).find((key) => key !== 'ts' && key !== 'time' && key !== 'values');
  if (stray !== undefined) {
    throw new RejectedError('payload_shape', 'beside "values" only "ts" or "time" may stand', {
      pointer: `${at}/${escapePointer(stray)}`,
    });
  }
  const values = sample.values;
  if (!isObject(values))
    throw new RejectedError('payload_shape', '"values" must be an object of metrics', { pointer: `${at}/values` });
  return values;
}

function addValues(
  values: Readonly<Record<string, unknown>>,
  at: string,
  time: number | null,
  readings: DecodedReading[],
): void {
  const nested = at.endsWith('/values');
  for (const key of Object.keys(values)) {
    if (!nested && (key === 'ts' || key === 'time')) continue;
    const value = values[key];
    const metric = key.includes('/') ? key.replaceAll('/', '.') : key;
    if (!isMetricName(metric) || metric === '__proto__') {
      throw new RejectedError('metric_invalid', `a metric name must be ${metricNameRule}`, {
        pointer: `${at}/${escapePointer(key)}`,
      });
    }
    if (value === null) continue;
    readings.push({
      metric,
      time,
      value:
        typeof value === 'number' && Number.isFinite(value) ? value : decodeValue(value, `${at}/${escapePointer(key)}`),
    });
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A key as an RFC 6901 reference token, bounded in length because it comes from a stranger. */
export function escapePointer(key: string): string {
  const bounded = key.length > 64 ? `${key.slice(0, 64)}…` : key;
  return bounded.replaceAll('~', '~0').replaceAll('/', '~1');
}
