import { type Fault, RejectedError } from '../base/errors.ts';
import type { Reading } from '../domain/reading.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../domain/series.ts';
import { escapePointer, isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';
import { decodeTime } from './time.ts';
import { decodeValue } from './value.ts';

export type PostedReading = Omit<Reading, 'time'> & { readonly time: number | null };

export interface PostedReadings {
  readonly readings: readonly PostedReading[];
  /** `pointers[i]` is where reading i stood in the body. */
  readonly pointers: readonly string[];
  /** What is wrong with the others, each once. */
  readonly faults: readonly Fault[];
  readonly truncated: number;
}

/** Most faults that one answer lists. */
const faultsMax = 100;

/**
 * The body of `POST /readings`: a JSON array or a single one, or one a line (NDJSON), of
 * `{"device","metric","time","value"}`.
 * Faults of single readings are collected; throws `RejectedError` only where the body as a whole cannot be read.
 */
export function decodeReadings(body: Uint8Array, format: 'json' | 'ndjson'): PostedReadings {
  const text = decodeText(body);
  return format === 'json' ? decodeArray(parseJson(text)) : decodeLines(text);
}

function decodeArray(parsed: unknown): PostedReadings {
  if (isObject(parsed)) return collect([{ pointer: '', read: () => parsed }]);
  if (!Array.isArray(parsed))
    throw new RejectedError(
      'payload_shape',
      'the body must be a JSON array of readings or a single one, or NDJSON as application/x-ndjson',
    );
  return collect(parsed.map((value: unknown, index) => ({ pointer: `/${index}`, read: () => value })));
}

function decodeLines(text: string): PostedReadings {
  const lines = text.split('\n');
  return collect(
    lines.flatMap((line, index) => (line.trim() === '' ? [] : [{ pointer: `/${index}`, read: () => parseJson(line) }])),
  );
}

function collect(rows: readonly { readonly pointer: string; readonly read: () => unknown }[]): PostedReadings {
  const readings: PostedReading[] = [];
  const pointers: string[] = [];
  const faults: Fault[] = [];
  let truncated = 0;
  for (const { pointer, read } of rows) {
    try {
      const { reading, wasTruncated } = decodeRow(read(), pointer);
      readings.push(reading);
      pointers.push(pointer);
      if (wasTruncated) truncated++;
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      if (faults.length < faultsMax)
        faults.push({
          pointer: error.pointer === '' ? pointer : error.pointer,
          code: error.code,
          detail: error.message,
        });
    }
  }
  if (rows.length === 0) throw new RejectedError('payload_empty', 'the body holds no reading');
  return { readings, pointers, faults, truncated };
}

function decodeRow(row: unknown, pointer: string): { reading: PostedReading; wasTruncated: boolean } {
  if (!isObject(row))
    throw new RejectedError('payload_shape', 'a reading is an object {"device","metric","time","value"}', { pointer });
  const { device, metric, time, value } = row;
  if (typeof device !== 'string' || !isDeviceId(device))
    throw new RejectedError('device_invalid', `a device id must be ${deviceIdRule}`, { pointer: `${pointer}/device` });
  if (typeof metric !== 'string' || !isMetricName(metric) || metric === '__proto__') {
    throw new RejectedError('metric_invalid', `a metric name must be ${metricNameRule}`, {
      pointer: `${pointer}/metric`,
    });
  }
  const stray = Object.keys(row).find(
    (key) => key !== 'device' && key !== 'metric' && key !== 'time' && key !== 'value',
  );
  if (stray !== undefined)
    throw new RejectedError('payload_shape', 'a reading has the members device, metric, time and value', {
      pointer: `${pointer}/${escapePointer(stray)}`,
    });
  const decoded = decodeTime(time, `${pointer}/time`);
  return {
    reading: { device, metric, time: decoded.time, value: decodeValue(value, `${pointer}/value`) },
    wasTruncated: decoded.truncated,
  };
}
