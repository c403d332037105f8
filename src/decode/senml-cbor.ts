import { RejectedError } from '../base/errors.ts';
import { decodeCbor } from './cbor.ts';

/** RFC 8428 table 4: the integers that stand for labels in CBOR. */
const labels: ReadonlyMap<unknown, string> = new Map([
  [-6, 'bs'],
  [-5, 'bv'],
  [-4, 'bu'],
  [-3, 'bt'],
  [-2, 'bn'],
  [-1, 'bver'],
  [0, 'n'],
  [1, 'u'],
  [2, 'v'],
  [3, 'vs'],
  [4, 'vb'],
  [5, 's'],
  [6, 't'],
  [7, 'ut'],
  [8, 'vd'],
]);

/**
 * A SenML pack in CBOR in the shape that the same pack has in JSON: labels by name, numbers as numbers, binary values in
 * base64url. Integers beyond 2^53 become the nearest 64-bit float. Throws `RejectedError`.
 */
export function decodeSenmlCbor(payload: Uint8Array): unknown {
  const pack = decodeCbor(payload);
  return Array.isArray(pack) ? pack.map((record: unknown, index) => asObject(record, `/${index}`)) : pack;
}

function asObject(record: unknown, at: string): unknown {
  if (!(record instanceof Map)) return record;
  const fields: Record<string, unknown> = {};
  for (const [key, value] of record as ReadonlyMap<unknown, unknown>) {
    const label = labels.get(key) ?? key;
    if (typeof label !== 'string' || label === '__proto__') {
      throw new RejectedError('payload_invalid', `${shownKey(key)} is no SenML label in CBOR`, { pointer: at });
    }
    if (Object.hasOwn(fields, label)) {
      throw new RejectedError('payload_invalid', `"${label}" is there twice, by name and by number`, {
        pointer: `${at}/${label}`,
      });
    }
    fields[label] = asJson(value);
  }
  return fields;
}

function shownKey(key: unknown): string {
  return typeof key === 'number' || typeof key === 'bigint' ? String(key) : `a key of type ${typeof key}`;
}

function asJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : value;
}
