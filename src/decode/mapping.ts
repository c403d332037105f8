import { InvariantError, RejectedError } from '../base/errors.ts';
import type { DeviceStatus } from '../domain/device.ts';
import type { MappedMetric, Mapping } from '../domain/mapping.ts';
import { mappingFaults, statusMetric } from '../domain/mapping-faults.ts';
import { textBytesMax, type Value } from '../domain/reading.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../domain/series.ts';
import { compileTopicPattern, fillTemplate, insertedNames, type TopicMatch } from '../domain/topic-pattern.ts';
import { decodeBare } from './bare.ts';
import { type Decoded, type Dialect, type DialectMessage, deviceMessage } from './decoded.ts';
import { foreignDevice, foreignMetric } from './foreign-name.ts';
import { findMembers, memberOf, namesOf, pointerTokens } from './json-pointer.ts';
import { mappedTime } from './mapped-time.ts';
import { type DecodedReading, escapePointer, parseJson } from './native.ts';
import { decodePayload, type PayloadOptions, usualPayloadOptions } from './payload.ts';
import { decodeText } from './text.ts';
import { decodeValue } from './value.ts';

/** So deep an object may be nested of which every member is a metric. */
const depthMax = 32;
/** Most readings of one message. */
const readingsMax = 10_000;

/** A mapping ready for use. */
export interface CompiledMapping {
  readonly name: string;
  /** The dialect of one topic; null where the mapping does not fit the topic. */
  at(topic: string): Dialect | null;
  /** The MQTT filter under which the device may publish because one whole level of the topic is its id; null for none. */
  filter(device: string): string | null;
}

interface CompiledMetric extends MappedMetric {
  readonly tokens: readonly string[];
  readonly table: ReadonlyMap<string, Value>;
}

/** What a mapping makes of messages on one topic. */
interface Place {
  readonly mapping: Mapping;
  readonly payloads: PayloadOptions;
  readonly metrics: readonly CompiledMetric[];
  readonly ignored: ReadonlySet<string>;
  readonly match: TopicMatch;
  readonly device: string;
  /** The name of a bare value. */
  readonly bareMetric: string;
}

/** Where readings gather. */
interface Gathered {
  readonly readings: DecodedReading[];
  readonly pointers: string[];
  status: DeviceStatus | null;
}

/** Throws `InvariantError` for a mapping with faults: `mappingFaults` is asked before one is taken on. */
export function compileMapping(mapping: Mapping, payloads: PayloadOptions = usualPayloadOptions): CompiledMapping {
  const [fault] = mappingFaults(mapping);
  if (fault) throw new InvariantError(`mapping ${mapping.name}: ${fault.pointer} ${fault.detail}`);
  const pattern = compileTopicPattern(mapping.topic);
  const metrics = mapping.metrics.map((metric) => ({
    ...metric,
    tokens: pointerTokens(metric.path),
    table: new Map(Object.entries(metric.values)),
  }));
  const ignored = new Set(mapping.time === null ? mapping.ignore : [...mapping.ignore, mapping.time]);
  const used = insertedNames(mapping.device);
  const wholeName = /^\{([^{}]*)\}$/.exec(mapping.device)?.[1];
  return {
    name: mapping.name,
    at(topic) {
      const match = pattern.match(topic);
      if (!match) return null;
      const after = match.levels.slice(Math.max(-1, ...used.map((name) => pattern.levelOf(name))) + 1);
      const bareMetric = match.parts.get('metric') ?? (after.join('.') || 'value');
      const device = foreignDevice(fillTemplate(mapping.device, match.parts));
      const place = { mapping, payloads, metrics, ignored, match, device, bareMetric };
      return { name: mapping.name, claims: (other) => other === topic, decode: (message) => decode(place, message) };
    },
    filter: (device) => (wholeName === undefined ? null : pattern.filterWith(wholeName, device)),
  };
}

function decode(place: Place, message: DialectMessage): Decoded {
  const { mapping, device } = place;
  try {
    if (!isDeviceId(device)) {
      throw new RejectedError('device_invalid', `the topic names "${device}", and a device id must be ${deviceIdRule}`);
    }
    switch (mapping.format) {
      case 'json':
        return decodeJson(place, message);
      case 'bare':
        return decodeBareValue(place, message);
      default:
        return decodePayload(mapping.format, device, message, place.payloads);
    }
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    const { code, pointer, errors } = error;
    throw new RejectedError(code, `mapping ${mapping.name}: ${error.message}`, { pointer, errors, cause: error });
  }
}

function decodeJson(place: Place, message: DialectMessage): Decoded {
  const { mapping, metrics, device } = place;
  const document = parseJson(decodeText(message.payload));
  const { time, truncated, pointer } = mappedTime(document, mapping);
  const gathered: Gathered = { readings: [], pointers: [], status: null };
  if (metrics.length > 0) {
    for (const metric of metrics) addMetric(place, metric, document, time, gathered);
  } else {
    const prefix = place.match.parts.get('metric');
    addMembers(place, document, '', prefix === undefined ? [] : [prefix], time, gathered);
  }
  const { readings, status } = gathered;
  if (readings.length === 0 && status === null) throw nothingFound(metrics);
  const timePointers = readings.map(() => pointer);
  return oneDevice(device, {
    readings,
    timePointers,
    valuePointers: gathered.pointers,
    truncated: truncated ? readings.length : 0,
    status,
  });
}

function decodeBareValue(place: Place, message: DialectMessage): Decoded {
  const { metrics, device, bareMetric } = place;
  const value = decodeBare(message.payload);
  const gathered: Gathered = { readings: [], pointers: [], status: null };
  if (metrics.length === 0) add(bareMetric, value, null, '', gathered);
  // What stands in the table is the text as it was written: `on` is a boolean only where the table does not know it.
  const text = decodeText(message.payload).trim();
  for (const metric of metrics) addValue(place, metric, metric.table.has(text) ? text : value, '', [], null, gathered);
  const { readings, pointers, status } = gathered;
  return oneDevice(device, { readings, timePointers: readings.map(() => ''), valuePointers: pointers, status });
}

function oneDevice(device: string, parts: Parameters<typeof deviceMessage>[1]): Decoded {
  return { devices: [deviceMessage(device, parts)], replies: [], requests: [] };
}

function nothingFound(metrics: readonly CompiledMetric[]): RejectedError {
  const [first] = metrics;
  return first
    ? new RejectedError('mapping_mismatch', `the payload has none of its members, ${first.path} for example`, {
        pointer: first.path,
      })
    : new RejectedError('mapping_mismatch', 'the payload has no member that is a number, true, false or a short text');
}

function addMetric(
  place: Place,
  metric: CompiledMetric,
  document: unknown,
  time: number | null,
  gathered: Gathered,
): void {
  for (const { value, pointer, stars } of findMembers(document, metric.tokens)) {
    if (value !== null) addValue(place, metric, value, pointer, stars, time, gathered);
  }
}

/** One member, as the mapping wants it. */
function addValue(
  { match }: Place,
  metric: CompiledMetric,
  value: unknown,
  pointer: string,
  stars: readonly string[],
  time: number | null,
  gathered: Gathered,
): void {
  const mapped = mappedValue(metric, value, pointer);
  if (metric.metric === statusMetric) {
    gathered.status = mappedStatus(mapped, pointer);
    return;
  }
  const name = fillTemplate(metric.metric, new Map([...match.parts, ['*', stars.join('.')]]));
  add(name, mapped, time, pointer, gathered);
}

function mappedValue({ table, scale, offset }: CompiledMetric, value: unknown, pointer: string): Value {
  if (typeof value === 'object') {
    throw new RejectedError('mapping_mismatch', 'the member is an object or an array; the path must go on', {
      pointer,
    });
  }
  const decoded = decodeValue(value, pointer);
  const known = table.get(String(decoded));
  if (known !== undefined) return known;
  if (scale === 1 && offset === 0) return decoded;
  const number = typeof decoded === 'string' && /^[+-]?\d+(\.\d+)?$/.test(decoded) ? Number(decoded) : decoded;
  if (typeof number !== 'number') {
    throw new RejectedError('mapping_mismatch', 'only a number can be scaled', { pointer });
  }
  return decodeValue(number * scale + offset, pointer);
}

function mappedStatus(value: Value, pointer: string): DeviceStatus {
  const text = String(value).toLowerCase();
  if (text === 'true' || text === 'online') return 'online';
  if (text === 'false' || text === 'offline') return 'offline';
  throw new RejectedError(
    'mapping_mismatch',
    `"${text.slice(0, 40)}" is no status; name what it stands for in "values"`,
    {
      pointer,
    },
  );
}

/** Every member is a metric, nested names joined with dots. Texts that are too long for a reading are passed over. */
function addMembers(
  place: Place,
  value: unknown,
  pointer: string,
  names: readonly string[],
  time: number | null,
  gathered: Gathered,
): void {
  if (value === null || place.ignored.has(pointer)) return;
  if (typeof value === 'object') {
    if (names.length > depthMax) {
      throw new RejectedError('payload_too_deep', `an object is nested over ${depthMax} levels deep`, { pointer });
    }
    for (const name of namesOf(value)) {
      const at = `${pointer}/${escapePointer(name)}`;
      addMembers(place, memberOf(value, name), at, [...names, name], time, gathered);
    }
    return;
  }
  if (typeof value === 'string' && Buffer.byteLength(value) > textBytesMax) return;
  if (names.length === 0) {
    throw new RejectedError('mapping_mismatch', 'the payload is a bare value: say so with the format "bare"', {
      pointer,
    });
  }
  add(names.join('.'), decodeValue(value, pointer), time, pointer, gathered);
}

function add(name: string, value: Value, time: number | null, pointer: string, { readings, pointers }: Gathered): void {
  const metric = foreignMetric(name);
  if (!isMetricName(metric)) {
    throw new RejectedError('metric_invalid', `a metric name must be ${metricNameRule}`, { pointer });
  }
  if (readings.length === readingsMax) {
    throw new RejectedError('payload_shape', `a message holds at most ${readingsMax} readings`, { pointer });
  }
  readings.push({ metric, time, value });
  pointers.push(pointer);
}
