import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { RejectedError } from '../base/errors.ts';

/*
 * The payload of Sparkplug B 3.0 (section 6.4.1, Google Protocol Buffers), by its published field numbers. Read are the
 * parts that carry a single value; of data sets, templates, metadata and property sets it is noted that they are there.
 */

export interface SparkplugPayload {
  /** Epoch ms; null where there is none. */
  readonly timestamp: bigint | null;
  readonly metrics: readonly SparkplugMetric[];
  /** 0 … 255; null where there is none. */
  readonly seq: bigint | null;
}

export interface SparkplugMetric {
  readonly name: string | null;
  readonly alias: bigint | null;
  /** Epoch ms; null where there is none. */
  readonly timestamp: bigint | null;
  /** One of `datatype`; null where there is none. */
  readonly datatype: number | null;
  readonly isTransient: boolean;
  readonly isNull: boolean;
  readonly value: WireValue | null;
}

/** A value as the wire has it: how it is to be understood, the datatype says. */
export type WireValue =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'long'; readonly value: bigint }
  | { readonly kind: 'float' | 'double'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  /** Bytes, a data set, a template or an extension. */
  | { readonly kind: 'other' };

type Mutable<T> = { -readonly [name in keyof T]: T[name] };

const payloadField = { timestamp: 1, metrics: 2, seq: 3 } as const;
const metricField = {
  name: 1,
  alias: 2,
  timestamp: 3,
  datatype: 4,
  isTransient: 6,
  isNull: 7,
  int: 10,
  long: 11,
  float: 12,
  double: 13,
  boolean: 14,
  string: 15,
  bytes: 16,
  dataSet: 17,
  template: 18,
  extension: 19,
} as const;

/** Throws `payload_empty` and `payload_invalid`. */
export function readSparkplug(bytes: Uint8Array): SparkplugPayload {
  if (bytes.length === 0) throw new RejectedError('payload_empty', 'the payload is empty');
  try {
    return readPayload(new BinaryReader(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it ends too early';
    throw new RejectedError('payload_invalid', `the payload is no Sparkplug B payload: ${reason}`, { cause: error });
  }
}

/** The bytes of a payload that holds metrics with a name; what is null is left out. */
export function writeSparkplug({ timestamp, metrics, seq }: SparkplugPayload): Uint8Array {
  const writer = new BinaryWriter();
  if (timestamp !== null) writer.tag(payloadField.timestamp, WireType.Varint).uint64(timestamp);
  for (const metric of metrics) {
    writer.tag(payloadField.metrics, WireType.LengthDelimited).fork();
    writeMetric(metric, writer);
    writer.join();
  }
  if (seq !== null) writer.tag(payloadField.seq, WireType.Varint).uint64(seq);
  return writer.finish();
}

function readPayload(reader: BinaryReader): SparkplugPayload {
  const payload: Mutable<SparkplugPayload> & { readonly metrics: SparkplugMetric[] } = {
    timestamp: null,
    metrics: [],
    seq: null,
  };
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === payloadField.timestamp && wire === WireType.Varint) payload.timestamp = BigInt(reader.uint64());
    else if (field === payloadField.seq && wire === WireType.Varint) payload.seq = BigInt(reader.uint64());
    else if (field === payloadField.metrics && wire === WireType.LengthDelimited) {
      payload.metrics.push(readMetric(new BinaryReader(reader.bytes())));
    } else reader.skip(wire, field);
  }
  return payload;
}

function readMetric(reader: BinaryReader): SparkplugMetric {
  const metric: Mutable<SparkplugMetric> = {
    name: null,
    alias: null,
    timestamp: null,
    datatype: null,
    isTransient: false,
    isNull: false,
    value: null,
  };
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    switch (field) {
      case metricField.name:
        metric.name = reader.string(true);
        break;
      case metricField.alias:
        metric.alias = BigInt(reader.uint64());
        break;
      case metricField.timestamp:
        metric.timestamp = BigInt(reader.uint64());
        break;
      case metricField.datatype:
        metric.datatype = reader.uint32();
        break;
      case metricField.isTransient:
        metric.isTransient = reader.bool();
        break;
      case metricField.isNull:
        metric.isNull = reader.bool();
        break;
      default:
        metric.value = readValue(field, wire, reader) ?? metric.value;
    }
  }
  return metric;
}

function readValue(field: number, wire: WireType, reader: BinaryReader): WireValue | null {
  switch (field) {
    case metricField.int:
      return { kind: 'int', value: reader.uint32() };
    case metricField.long:
      return { kind: 'long', value: BigInt(reader.uint64()) };
    case metricField.float:
      return { kind: 'float', value: reader.float() };
    case metricField.double:
      return { kind: 'double', value: reader.double() };
    case metricField.boolean:
      return { kind: 'boolean', value: reader.bool() };
    case metricField.string:
      return { kind: 'string', value: reader.string(true) };
    case metricField.bytes:
    case metricField.dataSet:
    case metricField.template:
    case metricField.extension:
      reader.skip(wire, field);
      return { kind: 'other' };
    default:
      reader.skip(wire, field);
      return null;
  }
}

function writeMetric(metric: SparkplugMetric, writer: BinaryWriter): void {
  const { name, alias, timestamp, datatype, isTransient, isNull, value } = metric;
  if (name !== null) writer.tag(metricField.name, WireType.LengthDelimited).string(name);
  if (alias !== null) writer.tag(metricField.alias, WireType.Varint).uint64(alias);
  if (timestamp !== null) writer.tag(metricField.timestamp, WireType.Varint).uint64(timestamp);
  if (datatype !== null) writer.tag(metricField.datatype, WireType.Varint).uint32(datatype);
  if (isTransient) writer.tag(metricField.isTransient, WireType.Varint).bool(true);
  if (isNull) writer.tag(metricField.isNull, WireType.Varint).bool(true);
  if (value !== null) writeValue(value, writer);
}

function writeValue(value: WireValue, writer: BinaryWriter): void {
  switch (value.kind) {
    case 'int':
      writer.tag(metricField.int, WireType.Varint).uint32(value.value);
      break;
    case 'long':
      writer.tag(metricField.long, WireType.Varint).uint64(value.value);
      break;
    case 'float':
      writer.tag(metricField.float, WireType.Bit32).float(value.value);
      break;
    case 'double':
      writer.tag(metricField.double, WireType.Bit64).double(value.value);
      break;
    case 'boolean':
      writer.tag(metricField.boolean, WireType.Varint).bool(value.value);
      break;
    case 'string':
      writer.tag(metricField.string, WireType.LengthDelimited).string(value.value);
      break;
    case 'other':
      writer.tag(metricField.bytes, WireType.LengthDelimited).bytes(new Uint8Array());
  }
}
