import type { Value } from '../domain/reading.ts';
import type { DecodedReading } from './native.ts';
import type { SparkplugMetric, SparkplugPayload } from './sparkplug-payload.ts';
import type { MetricDefinition } from './sparkplug-session.ts';
import { sparkplugValue } from './sparkplug-value.ts';
import { decodeTime } from './time.ts';

/** Most attributes that one birth may set. */
const attributesMax = 100;

export interface SparkplugContent {
  readonly readings: readonly DecodedReading[];
  readonly timePointers: readonly string[];
  readonly valuePointers: readonly string[];
  readonly truncated: 0;
  readonly attributes: Readonly<Record<string, Value>>;
  /** Metrics that cannot be readings: data sets, templates, bytes, arrays, texts that are too long, floats without a value. */
  readonly skipped: number;
}

/**
 * The values of a payload. Null and transient metrics (which are not to be kept) are passed over, historical ones are
 * readings like any other. Pointers are into the payload as a message. `define` throws for a metric that nobody knows.
 */
export function sparkplugContent(
  payload: SparkplugPayload,
  define: (metric: SparkplugMetric, index: number) => MetricDefinition,
): SparkplugContent {
  const readings: DecodedReading[] = [];
  const timePointers: string[] = [];
  const valuePointers: string[] = [];
  const attributes = new Map<string, Value>();
  let skipped = 0;
  for (const [index, metric] of payload.metrics.entries()) {
    const { use, datatype } = define(metric, index);
    const pointer = `/metrics/${index}`;
    if (metric.isNull || metric.isTransient || isControl(metric)) continue;
    const value =
      use.kind === 'nothing' || metric.value === null ? null : sparkplugValue(datatype, metric.value, pointer);
    if (value === null || use.kind === 'nothing') {
      skipped++;
    } else if (use.kind === 'attribute') {
      if (attributes.size < attributesMax) attributes.set(use.name, value);
    } else {
      const at = metric.timestamp === null ? '/timestamp' : `${pointer}/timestamp`;
      const stamp = metric.timestamp ?? payload.timestamp;
      readings.push({ metric: use.name, value, time: stamp === null ? null : decodeTime(Number(stamp), at).time });
      timePointers.push(at);
      valuePointers.push(pointer);
    }
  }
  return { readings, timePointers, valuePointers, truncated: 0, attributes: Object.fromEntries(attributes), skipped };
}

/** The protocol's own: nothing that was left out. */
function isControl({ name }: SparkplugMetric): boolean {
  return name !== null && (name === 'bdSeq' || /^(Node|Device) Control\//.test(name));
}
