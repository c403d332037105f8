import { RejectedError } from '../base/errors.ts';
import type { Value } from '../domain/reading.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../domain/series.ts';
import { type Decoded, deviceMessage, nothingDecoded } from './decoded.ts';
import { type DecodedReading, escapePointer, isObject, parseJson } from './native.ts';
import { decodeSenmlCbor } from './senml-cbor.ts';
import { metricOfUnit, splitSenmlName } from './senml-name.ts';
import { decodeText } from './text.ts';
import { decodeValue } from './value.ts';

export interface SenmlOptions {
  readonly format: 'json' | 'cbor';
  /** The device that the topic names; null: the names of the records say. */
  readonly device: string | null;
  /** Time of receipt, epoch ms: what relative times count from. */
  readonly receivedAt: number;
}

/** The version that is understood (RFC 8428 section 4.4). */
const versionMax = 10;
/** A time closer to zero than this many seconds is relative to now (section 4.5.3). */
const relativeBelow = 2 ** 28;

type SenmlRecord = Readonly<Record<string, unknown>>;

/** What the records so far say about those that follow (section 4.1). */
interface Base {
  name: string;
  time: number;
  unit: string;
  value: number;
  sum: number | null;
}

/** Readings of one device as they are gathered. */
interface Gathered {
  readonly readings: DecodedReading[];
  readonly timePointers: string[];
  readonly valuePointers: string[];
  truncated: number;
}

/**
 * A SenML pack (RFC 8428), in JSON or CBOR. Base fields are resolved and relative times counted from the time of receipt;
 * a time of zero is none. Names become device and metric as `splitSenmlName` says. A sum is a reading of its own,
 * `{metric}.sum`; a binary value (`vd`) is kept as its base64url text. Units and update times are understood and not kept:
 * units belong to profiles. Fields that must be understood (their label ends with `_`) refuse the pack, others that are
 * not known are skipped. Throws `RejectedError` with a pointer in which labels go by their JSON names, in CBOR too.
 */
export function decodeSenml(payload: Uint8Array, options: SenmlOptions): Decoded {
  const pack = options.format === 'cbor' ? decodeSenmlCbor(payload) : parseJson(decodeText(payload));
  if (!Array.isArray(pack)) throw new RejectedError('payload_shape', 'a SenML pack is an array of records');
  const base: Base = { name: '', time: 0, unit: '', value: 0, sum: null };
  const devices = new Map<string, Gathered>();
  for (let index = 0; index < pack.length; index++) {
    const record: unknown = pack[index];
    if (!isObject(record)) {
      throw new RejectedError('payload_shape', 'a SenML record is an object', { pointer: `/${index}` });
    }
    addRecord(record, `/${index}`, base, options, devices);
  }
  if (devices.size === 0) throw new RejectedError('payload_empty', 'the pack holds no value');
  return { ...nothingDecoded, devices: [...devices].map(([device, gathered]) => deviceMessage(device, gathered)) };
}

function addRecord(
  record: SenmlRecord,
  at: string,
  base: Base,
  options: SenmlOptions,
  devices: Map<string, Gathered>,
): void {
  checkLabels(record, at);
  rebase(base, record, at);
  const value = valueOf(record, at, base);
  const sum = sumOf(record, at, base, value !== null);
  if (value === null && sum === null) {
    const own = ['n', 'u', 't'].find((label) => record[label] !== undefined);
    if (own === undefined) return;
    throw new RejectedError('payload_invalid', 'the record has neither a value (v, vs, vb, vd) nor a sum (s)', {
      pointer: at,
    });
  }
  const { device, metric } = nameOf(record, at, base, options.device);
  const { time, isTruncated } = timeOf(record, at, base, options.receivedAt);
  const gathered = devices.get(device) ?? { readings: [], timePointers: [], valuePointers: [], truncated: 0 };
  devices.set(device, gathered);
  if (value !== null) add(value.value, metric, `${at}/${value.label}`);
  if (sum !== null) add(sum, `${metric}.sum`, `${at}/s`);

  function add(value: Value, metric: string, pointer: string): void {
    gathered.readings.push({ metric: checkedMetric(metric, at), time, value });
    gathered.timePointers.push(`${at}/t`);
    gathered.valuePointers.push(pointer);
    if (isTruncated) gathered.truncated++;
  }
}

function checkLabels(record: SenmlRecord, at: string): void {
  const unknown = Object.keys(record).find((label) => label.endsWith('_'));
  if (unknown !== undefined) {
    throw new RejectedError('payload_invalid', 'the field must be understood (its label ends with "_") and is not', {
      pointer: `${at}/${escapePointer(unknown)}`,
    });
  }
  const version = numberOf(record, 'bver', at);
  if (version !== null && (!Number.isInteger(version) || version < 1 || version > versionMax)) {
    throw new RejectedError('payload_invalid', `SenML is understood up to version ${versionMax}`, {
      pointer: `${at}/bver`,
    });
  }
  // Known, of no consequence for a reading, but not of any type.
  textOf(record, 'u', at);
  numberOf(record, 'ut', at);
}

function rebase(base: Base, record: SenmlRecord, at: string): void {
  base.name = textOf(record, 'bn', at) ?? base.name;
  base.time = numberOf(record, 'bt', at) ?? base.time;
  base.unit = textOf(record, 'bu', at) ?? base.unit;
  base.value = numberOf(record, 'bv', at) ?? base.value;
  base.sum = numberOf(record, 'bs', at) ?? base.sum;
}

function valueOf(
  record: SenmlRecord,
  at: string,
  base: Base,
): { readonly label: string; readonly value: Value } | null {
  const [label, second] = ['v', 'vs', 'vb', 'vd'].filter((name) => record[name] !== undefined);
  if (label === undefined) return null;
  if (second !== undefined) {
    throw new RejectedError('payload_invalid', `a record has one value; "${label}" and "${second}" are two`, {
      pointer: `${at}/${second}`,
    });
  }
  const pointer = `${at}/${label}`;
  if (label === 'v') return { label, value: decodeValue((numberOf(record, 'v', at) ?? 0) + base.value, pointer) };
  if (label === 'vb') {
    if (typeof record.vb === 'boolean') return { label, value: record.vb };
    throw new RejectedError('value_invalid', '"vb" is true or false', { pointer });
  }
  const text = textOf(record, label, at) ?? '';
  if (label === 'vd' && !/^[A-Za-z0-9_-]*={0,2}$/.test(text)) {
    throw new RejectedError('value_invalid', '"vd" is binary data in base64url', { pointer });
  }
  return { label, value: decodeValue(text, pointer) };
}

/** Sum and base sum are added; either one missing counts as zero. A base sum says nothing of records without a value. */
function sumOf(record: SenmlRecord, at: string, base: Base, hasValue: boolean): Value | null {
  const sum = numberOf(record, 's', at);
  if (sum === null && (base.sum === null || !hasValue)) return null;
  return decodeValue((sum ?? 0) + (base.sum ?? 0), `${at}/s`);
}

function nameOf(
  record: SenmlRecord,
  at: string,
  base: Base,
  topicDevice: string | null,
): { readonly device: string; readonly metric: string } {
  const name = base.name + (textOf(record, 'n', at) ?? '');
  const { device, metric } = splitSenmlName(name, topicDevice);
  if (device === null || !isDeviceId(device)) {
    throw new RejectedError(
      'device_invalid',
      `the name says no device; begin it with one and "/", or with a device URN. A device id must be ${deviceIdRule}`,
      { pointer: `${at}/n` },
    );
  }
  return { device, metric: metric === '' ? metricOfUnit(textOf(record, 'u', at) ?? base.unit) : metric };
}

function checkedMetric(metric: string, at: string): string {
  if (isMetricName(metric)) return metric;
  throw new RejectedError('metric_invalid', `a metric name must be ${metricNameRule}`, { pointer: `${at}/n` });
}

function timeOf(
  record: SenmlRecord,
  at: string,
  base: Base,
  receivedAt: number,
): { readonly time: number | null; readonly isTruncated: boolean } {
  const seconds = base.time + (numberOf(record, 't', at) ?? 0);
  if (seconds === 0) return { time: null, isTruncated: false };
  if (Math.abs(seconds) >= 1e11) {
    throw new RejectedError('time_invalid', `SenML times are seconds; ${seconds} looks like milliseconds`, {
      pointer: `${at}/t`,
    });
  }
  // To the microsecond, which is what a 64-bit float holds of the seconds of these centuries.
  const microseconds = Math.round(seconds * 1e6);
  const time = Math.floor(microseconds / 1_000);
  const isTruncated = time * 1_000 !== microseconds;
  return { time: Math.abs(seconds) < relativeBelow ? receivedAt + time : time, isTruncated };
}

function numberOf(record: SenmlRecord, label: string, at: string): number | null {
  const value = record[label];
  if (value === undefined) return null;
  const pointer = `${at}/${label}`;
  if (typeof value !== 'number') throw new RejectedError('payload_invalid', `"${label}" is a number`, { pointer });
  if (Number.isFinite(value)) return value;
  throw new RejectedError('value_not_finite', `"${label}" is beyond the range of a 64-bit float`, { pointer });
}

function textOf(record: SenmlRecord, label: string, at: string): string | null {
  const value = record[label];
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  throw new RejectedError('payload_invalid', `"${label}" is a text`, { pointer: `${at}/${label}` });
}
