import { decimalBytesMax, writeTriple, writeWhole } from './decimal.ts';
import { writeRows } from './row-loop.ts';
import type { RowWriter } from './row-writer.ts';
import { senmlUnit } from './senml-unit.ts';
import { encoded } from './value-text.ts';

const [point, zero, minus] = [0x2e, 0x30, 0x2d];
const value = {
  number: encoded(',"v":'),
  boolean: encoded(',"vb":'),
  text: encoded(',"vs":'),
  quote: JSON.stringify,
} as const;

/**
 * Records of RFC 8428 with commas between. Each is complete, without base fields, so that packs can be cut and joined
 * anywhere. The name is `device/metric`; times are seconds; units are those of the SenML registry, where it has them.
 */
export const senmlWriter: RowWriter = {
  separated: 'page',
  write(columns, begin, end, { device, metric, unit }, out) {
    const registered = unit === null ? null : senmlUnit(unit);
    const u = registered === null ? '' : `"u":${JSON.stringify(registered)},`;
    const time = new SecondsWriter(encoded(`{"n":${JSON.stringify(`${device}/${metric}`)},${u}"t":`));
    writeRows({ ...value, time, tail: encoded('},') }, columns, { begin, end }, out);
  },
};

/** Seconds since the epoch to the millisecond, without zeros at the end. */
class SecondsWriter {
  readonly bytesMax: number;
  readonly #lead: Uint8Array;

  constructor(lead: Uint8Array) {
    this.#lead = lead;
    this.bytesMax = lead.length + decimalBytesMax;
  }

  write(bytes: Uint8Array, at: number, time: number): number {
    const lead = this.#lead;
    for (let index = 0; index < lead.length; index++) bytes[at + index] = lead[index];
    let next = at + lead.length;
    if (time < 0) bytes[next++] = minus;
    const magnitude = Math.abs(time);
    const seconds = Math.floor(magnitude / 1_000);
    const rest = magnitude - seconds * 1_000;
    next = writeWhole(bytes, next, seconds);
    if (rest === 0) return next;
    bytes[next] = point;
    next = writeTriple(bytes, next + 1, rest);
    while (bytes[next - 1] === zero) next--;
    return next;
  }
}
