import { type Fault, RejectedError } from '../base/errors.ts';
import type { DeviceMessage } from '../decode/decoded.ts';
import { decodeReadings } from '../decode/readings-json.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { Sender } from '../domain/principal.ts';
import type { Reading } from '../domain/reading.ts';
import { implausible } from './clock-correction.ts';
import type { EntryReading } from './entry.ts';
import type { Ledger } from './ledger.ts';
import type { Arrival, Placement } from './placement.ts';
import type { DeviceBook } from './ports.ts';
import type { SeriesRegistry } from './series-registry.ts';
import { checkSender, checkTerms, implausibleValue } from './terms-check.ts';

export interface PostReaderParts {
  readonly registry: SeriesRegistry;
  readonly ledger: Ledger;
  readonly placement: Placement;
  readonly devices: DeviceBook;
}

export interface PostOptions {
  /** Whether the good readings are kept when others are refused. */
  readonly partial: boolean;
  readonly sender: Sender;
}

/** What the body of a request is to the engine. */
export interface ReadPost {
  readonly receivedAt: number;
  readonly readings: readonly EntryReading[];
  readonly facts: readonly DeviceFact[];
  readonly faults: readonly Fault[];
}

/** A reading of a request, with the places of its parts. */
interface Row extends Omit<Reading, 'time'> {
  readonly time: number | null;
  /** Where it stands. */
  readonly at: string;
  readonly deviceAt: string;
  readonly timeAt: string;
  readonly valueAt: string;
}

interface Batch {
  readonly rows: readonly Row[];
  readonly faults: readonly Fault[];
  readonly truncated: number;
}

/** Reads the bodies of requests: many devices at once, every fault named, all or nothing unless `partial`. */
export class PostReader {
  readonly #parts: PostReaderParts;

  constructor(parts: PostReaderParts) {
    this.#parts = parts;
  }

  /** The body of `POST /readings`. Throws `RejectedError` with every fault. */
  body(bytes: Uint8Array, format: 'json' | 'ndjson', options: PostOptions, arrival: Arrival): ReadPost {
    const decoded = decodeReadings(bytes, format);
    const rows = decoded.readings.map((reading, index): Row => {
      const at = decoded.pointers[index];
      return { ...reading, at, deviceAt: `${at}/device`, timeAt: `${at}/time`, valueAt: `${at}/value` };
    });
    return this.#batch({ rows, faults: decoded.faults, truncated: decoded.truncated }, options, arrival);
  }

  /** Messages of several devices that a dialect decoded, and the faults it found. Throws `RejectedError` with every fault. */
  messages(
    devices: readonly DeviceMessage[],
    faults: readonly Fault[],
    options: PostOptions,
    arrival: Arrival,
  ): ReadPost {
    const rows = devices.flatMap(({ device, readings, timePointers, valuePointers }) =>
      readings.map((reading, index): Row => {
        const valueAt = valuePointers?.[index] ?? '';
        return { device, ...reading, at: valueAt, deviceAt: valueAt, timeAt: timePointers[index] ?? '', valueAt };
      }),
    );
    const truncated = devices.reduce((sum, message) => sum + message.truncated, 0);
    return this.#batch({ rows, faults, truncated }, options, arrival);
  }

  #batch(batch: Batch, { partial, sender }: PostOptions, arrival: Arrival): ReadPost {
    const faults = [...batch.faults];
    const rows = batch.rows.filter((row) => {
      const fault = this.#faultOf(row, sender, arrival);
      if (fault) faults.push(fault);
      return fault === null;
    });
    if (faults.length > 0 && !partial) throw refusedReadings(faults);
    const corrections = this.#corrections(rows, arrival);
    const readings: EntryReading[] = [];
    const facts = new Map<string, DeviceFact>();
    for (const row of rows) {
      const { device } = row;
      const correction = corrections.get(device) ?? 0;
      try {
        this.#parts.placement.refuseExpired(device, [row], [row.timeAt], { correction, arrival });
        readings.push(this.#parts.placement.reading(device, row, correction, arrival));
        if (correction > 0) facts.set(device, { device, at: arrival.at, clockCorrected: 1 });
      } catch (error) {
        faults.push(faultOf(error, row.at));
      }
    }
    if (faults.length > 0 && !partial) throw refusedReadings(faults);
    this.#parts.ledger.timesTruncated += batch.truncated;
    return { receivedAt: arrival.at, readings, facts: [...facts.values()], faults };
  }

  #faultOf(
    { device, metric, time, value, deviceAt, timeAt, valueAt }: Row,
    sender: Sender,
    arrival: Arrival,
  ): Fault | null {
    try {
      checkSender(sender, device, deviceAt);
      const terms = this.#parts.devices.terms(device);
      checkTerms(terms, deviceAt);
      const wrongTime =
        time === null
          ? null
          : implausible(time, {
              receivedAt: arrival.at,
              clockTrusted: this.#parts.placement.isClockTrusted(arrival),
            });
      if (wrongTime !== null) throw new RejectedError('time_implausible', wrongTime, { pointer: timeAt });
      const wrongValue = implausibleValue(terms, metric, value);
      if (wrongValue !== null) throw new RejectedError('value_implausible', wrongValue, { pointer: valueAt });
      return null;
    } catch (error) {
      return faultOf(error, '');
    }
  }

  /** Each device has a clock of its own: one that is ahead says nothing about the others in the same request. */
  #corrections(rows: readonly Row[], arrival: Arrival): ReadonlyMap<string, number> {
    const corrections = new Map<string, number>();
    for (const [device, own] of Map.groupBy(rows, (row) => row.device)) {
      const pointers = own.map(({ timeAt }) => timeAt);
      corrections.set(device, this.#parts.placement.correction(device, own, pointers, arrival));
    }
    return corrections;
  }
}

function faultOf(error: unknown, pointer: string): Fault {
  if (!(error instanceof RejectedError)) throw error;
  return { pointer: error.pointer === '' ? pointer : error.pointer, code: error.code, detail: error.message };
}

function refusedReadings(faults: readonly Fault[]): RejectedError {
  const [first] = faults;
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new RejectedError('validation_failed', `nothing was stored: ${first.detail}${rest}`, {
    pointer: first.pointer,
    errors: faults,
  });
}
