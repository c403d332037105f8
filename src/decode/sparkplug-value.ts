import { RejectedError } from '../base/errors.ts';
import type { Json } from '../domain/command.ts';
import { textBytesMax, type Value } from '../domain/reading.ts';
import type { WireValue } from './sparkplug-payload.ts';
import { decodeValue } from './value.ts';

/** Sparkplug B 3.0 section 6.4.16; those above 15 hold no single value. */
export const datatype = {
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  uint8: 5,
  uint16: 6,
  uint32: 7,
  uint64: 8,
  float: 9,
  double: 10,
  boolean: 11,
  string: 12,
  dateTime: 13,
  text: 14,
  uuid: 15,
} as const;

/** Whether readings can be of the type; data sets, templates, bytes and arrays cannot. */
export function isSingle(type: number): boolean {
  return type >= datatype.int8 && type <= datatype.uuid;
}

/**
 * A value by its datatype. 64-bit integers become the nearest 64-bit float, a 32-bit float the shortest decimal that
 * stands for it, a date and time its epoch ms. null for what cannot be a reading though it is well-formed: a float that is
 * not finite, a text that is too long. Throws `payload_invalid` when the wire does not have what the type says.
 */
export function sparkplugValue(type: number, wire: WireValue, pointer: string): Value | null {
  switch (type) {
    case datatype.int8:
      return (integer(type, wire, pointer) << 24) >> 24;
    case datatype.int16:
      return (integer(type, wire, pointer) << 16) >> 16;
    case datatype.int32:
      return integer(type, wire, pointer) | 0;
    case datatype.int64:
      return Number(BigInt.asIntN(64, long(type, wire, pointer)));
    case datatype.uint8:
    case datatype.uint16:
    case datatype.uint32:
      return integer(type, wire, pointer) >>> 0;
    case datatype.uint64:
    case datatype.dateTime:
      return Number(long(type, wire, pointer));
    case datatype.float:
    case datatype.double:
      return float(type, wire, pointer);
    case datatype.boolean:
      if (wire.kind === 'boolean') return wire.value;
      throw mismatch(type, wire, pointer);
    default:
      if (wire.kind !== 'string') throw mismatch(type, wire, pointer);
      return Buffer.byteLength(wire.value) > textBytesMax ? null : decodeValue(wire.value, pointer);
  }
}

/** What a command wants a metric to be, as the wire has it. Throws `validation_failed`. */
export function wireValue(type: number, value: Json, pointer: string): WireValue {
  if (type === datatype.boolean && typeof value === 'boolean') return { kind: 'boolean', value };
  if ((type === datatype.float || type === datatype.double) && typeof value === 'number') {
    return { kind: type === datatype.float ? 'float' : 'double', value };
  }
  const isText = type === datatype.string || type === datatype.text || type === datatype.uuid;
  if (isText && typeof value === 'string') return { kind: 'string', value };
  const range = ranges.get(type);
  if (range && typeof value === 'number' && Number.isSafeInteger(value) && value >= range[0] && value <= range[1]) {
    const isLong = type === datatype.int64 || type === datatype.uint64 || type === datatype.dateTime;
    return isLong ? { kind: 'long', value: BigInt.asUintN(64, BigInt(value)) } : { kind: 'int', value: value >>> 0 };
  }
  throw new RejectedError('validation_failed', `the metric is of the datatype ${nameOf(type)}, and this value is not`, {
    pointer,
  });
}

const ranges: ReadonlyMap<number, readonly [number, number]> = new Map<number, readonly [number, number]>([
  [datatype.int8, [-(2 ** 7), 2 ** 7 - 1]],
  [datatype.int16, [-(2 ** 15), 2 ** 15 - 1]],
  [datatype.int32, [-(2 ** 31), 2 ** 31 - 1]],
  [datatype.int64, [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
  [datatype.uint8, [0, 2 ** 8 - 1]],
  [datatype.uint16, [0, 2 ** 16 - 1]],
  [datatype.uint32, [0, 2 ** 32 - 1]],
  [datatype.uint64, [0, Number.MAX_SAFE_INTEGER]],
  [datatype.dateTime, [0, Number.MAX_SAFE_INTEGER]],
]);

/** The low 32 bits: negative integers come in two's complement of 8, 16 or 32 bits, as the sender's language has it. */
function integer(type: number, wire: WireValue, pointer: string): number {
  if (wire.kind === 'int') return wire.value;
  if (wire.kind === 'long') return Number(BigInt.asUintN(32, wire.value));
  throw mismatch(type, wire, pointer);
}

function long(type: number, wire: WireValue, pointer: string): bigint {
  if (wire.kind === 'long') return wire.value;
  if (wire.kind === 'int') return BigInt(wire.value);
  throw mismatch(type, wire, pointer);
}

function float(type: number, wire: WireValue, pointer: string): number | null {
  if (wire.kind !== 'float' && wire.kind !== 'double') throw mismatch(type, wire, pointer);
  if (!Number.isFinite(wire.value)) return null;
  return wire.kind === 'float' ? shortest(wire.value) : wire.value;
}

/** 21.4 rather than 21.399999618530273: no 32-bit float needs more than nine digits. */
function shortest(value: number): number {
  // Whose sign would be lost.
  if (value === 0) return value;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

function mismatch(type: number, wire: WireValue, pointer: string): RejectedError {
  return new RejectedError('payload_invalid', `the value is a ${wire.kind}, and its datatype is ${nameOf(type)}`, {
    pointer,
  });
}

function nameOf(type: number): string {
  return Object.entries(datatype).find(([, number]) => number === type)?.[0] ?? String(type);
}
