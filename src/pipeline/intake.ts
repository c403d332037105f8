import { type Fault, InvariantError, RejectedError, TransientError } from '../base/errors.ts';
import { decodeAttributes, decodeStatus } from '../decode/attributes.ts';
import { decodeBare } from '../decode/bare.ts';
import { type DecodedMessage, decodeTelemetry } from '../decode/native.ts';
import { decodeReadings, type PostedReading } from '../decode/readings-json.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { Message, Receipt } from '../domain/message.ts';
import { isDeviceTopic, parseDeviceTopic } from '../domain/topic.ts';
import { clockCorrection, implausible } from './clock-correction.ts';
import { type Entry, type EntryReading, entry, type Outcome } from './entry.ts';
import type { Ledger } from './ledger.ts';
import type { ReceiptClock } from './receipt-clock.ts';
import type { SeriesRegistry } from './series-registry.ts';
import type { Window } from './window.ts';

export interface IntakeParts {
  readonly registry: SeriesRegistry;
  readonly window: Window;
  readonly ledger: Ledger;
  readonly receiptClock: ReceiptClock;
  readonly submit: (entry: Entry) => void;
  /** How far ahead a time may be, ms. */
  readonly futureMax: number;
  /** Receipt time of the newest commit that was recovered, epoch ms. */
  readonly lastCommitAt: number;
}

/** What `POST /readings` answers. */
export interface PostOutcome {
  readonly seq: number;
  readonly stored: number;
  readonly replaced: number;
  readonly identical: number;
  readonly refused: readonly Fault[];
}

/** Room in the window for what a message weighs beside its bytes: objects, columns, the alert overlay. */
const overheadBytes = 256;
/** So far may readings without a time be moved on to make room for one that has its own. */
const nearMs = 1_000;
const dayMs = 86_400_000;

/** Where messages become entries: decoded, judged by the clock, given their series, counted. */
export class Intake {
  readonly #parts: IntakeParts;
  /** By series: the last time of receipt given to a reading without a time, so that two in one millisecond stay two. */
  readonly #stamps = new Map<number, number>();
  /** By device: the time that its last corrected message was moved to. */
  readonly #corrected = new Map<string, number>();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /**
   * Takes over what was recovered: a reading without a time may have been moved ahead of the clock, or the clock was set
   * back over a restart, and the next one must not take its place. A reading more than a day ahead is not followed.
   */
  load(heads: readonly { readonly id: number; readonly time: number | null }[]): void {
    const now = this.#parts.receiptClock.now();
    for (const { id, time } of heads) {
      if (time !== null && time >= now && time - now <= dayMs) this.#stamps.set(id, time);
    }
  }

  /** A message of a broker. The receipt settles once it is on disk; for QoS 0 once it has its place in the window. */
  receive(message: Message, receipt: Receipt): void {
    const { ledger, window } = this.#parts;
    ledger.messages.received++;
    if (!isDeviceTopic(message.topic)) {
      ledger.messages.relayed++;
      receipt();
      return;
    }
    if (message.qos === 0 && !window.open) {
      ledger.messages.shed++;
      receipt();
      return;
    }
    this.#enter(this.#decode(message), message, receipt);
  }

  /** A message that had been settled before, or that joined the receipt of its first delivery. */
  redelivered(): void {
    this.#parts.ledger.messages.received++;
    this.#parts.ledger.messages.redelivered++;
  }

  /**
   * The body of `POST /readings`; resolves after the commit. All or nothing, unless `partial`. Rejects with
   * `RejectedError` (its `errors` say what is wrong where) or `TransientError`.
   */
  async post(
    body: Uint8Array,
    format: 'json' | 'ndjson',
    options: { readonly partial: boolean },
  ): Promise<PostOutcome> {
    const { ledger, registry, window } = this.#parts;
    ledger.messages.received++;
    if (!window.open) {
      ledger.messages.shed++;
      throw new TransientError('the gateway is overloaded; try again');
    }
    const decoded = this.#refusing(() => registry.whole(() => this.#decodePost(body, format, options.partial)));
    const outcome = await new Promise<Outcome>((settle) =>
      this.#submit({ ...decoded, bytes: body.length + overheadBytes }, settle),
    );
    if (outcome.kind === 'quarantined') throw new InvariantError('the body of a request went to the quarantine');
    if (outcome.kind === 'failed') {
      if (outcome.error instanceof RejectedError) ledger.refuse(outcome.error.code);
      else ledger.messages.shed++;
      throw outcome.error;
    }
    ledger.messages.accepted++;
    return { ...outcome, refused: decoded.faults };
  }

  #decode(message: Message): Decoded {
    const receivedAt = this.#parts.receiptClock.now();
    try {
      const topic = parseDeviceTopic(message.topic);
      const base = { receivedAt, readings: [], facts: [], kind: 'control' as const };
      switch (topic.kind) {
        case 'telemetry':
          return this.#telemetry(topic.device, topic.metric, message.payload, receivedAt);
        case 'status':
          return { ...base, facts: [{ device: topic.device, at: receivedAt, status: decodeStatus(message.payload) }] };
        case 'attributes':
          return {
            ...base,
            facts: [{ device: topic.device, at: receivedAt, attributes: decodeAttributes(message.payload) }],
          };
        default:
          return base;
      }
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      return { receivedAt, readings: [], facts: [], kind: 'refused', refusal: error };
    }
  }

  #telemetry(device: string, metric: string | null, payload: Uint8Array, receivedAt: number): Decoded {
    if (metric !== null) {
      const readings = [{ metric, time: null, value: decodeBare(payload) }];
      return this.#place(device, { readings, timePointers: [] }, receivedAt);
    }
    const decoded = decodeTelemetry(payload);
    const placed = this.#place(device, decoded, receivedAt);
    this.#parts.ledger.timesTruncated += decoded.truncated;
    return placed;
  }

  /** Times and series for the readings of one device's message. */
  #place(
    device: string,
    { readings: decoded, timePointers }: Pick<DecodedMessage, 'readings' | 'timePointers'>,
    receivedAt: number,
  ): Decoded {
    const correction = this.#correction(device, decoded, timePointers, receivedAt);
    const { registry } = this.#parts;
    const assigned = registry.whole(() => decoded.map(({ metric }) => registry.assign(device, metric)));
    const isTimed = decoded.every(({ time }) => time !== null);
    const stamp = isTimed
      ? 0
      : this.#stamp(
          assigned.filter((_, index) => decoded[index].time === null),
          receivedAt,
        );
    const readings = decoded.map(
      ({ time, value }, index): EntryReading => ({
        series: assigned[index],
        time: time === null ? stamp : this.#timed(assigned[index], time - correction, receivedAt),
        value,
      }),
    );
    const facts: DeviceFact[] = [];
    if (correction > 0) facts.push({ device, at: receivedAt, clockCorrected: 1 });
    return { receivedAt, readings, facts, kind: 'accepted' };
  }

  /** `pointers[i]` is where the time of reading i stands. Throws `time_implausible`. */
  #correction(
    device: string,
    decoded: readonly { readonly time: number | null }[],
    pointers: readonly string[],
    receivedAt: number,
  ): number {
    let newest = Number.NEGATIVE_INFINITY;
    let oldest = Number.POSITIVE_INFINITY;
    let newestPointer: string | undefined;
    let oldestPointer: string | undefined;
    for (let index = 0; index < decoded.length; index++) {
      const { time } = decoded[index];
      if (time === null) continue;
      if (time > newest) {
        newest = time;
        newestPointer = pointers[index];
      }
      if (time < oldest) {
        oldest = time;
        oldestPointer = pointers[index];
      }
    }
    if (newest < oldest) return 0;
    const clockTrusted = this.#isClockTrusted(receivedAt);
    const { futureMax } = this.#parts;
    const facts = { newest, oldest, newestPointer, oldestPointer, receivedAt, futureMax, clockTrusted };
    const correction = clockCorrection(facts);
    if (correction <= 0) return 0;
    this.#parts.ledger.clockCorrected++;
    // A device that empties its buffer sends many messages in one millisecond; each keeps a time of its own.
    const target = Math.max(receivedAt, (this.#corrected.get(device) ?? 0) + 1);
    this.#corrected.set(device, target);
    return newest - target;
  }

  /** A clock that is behind the newest commit is no judge of others. */
  #isClockTrusted(receivedAt: number): boolean {
    return receivedAt >= this.#parts.lastCommitAt;
  }

  /** A reading with a time of its own: one without a time that comes in the same millisecond must not take its place. */
  #timed(series: number, time: number, receivedAt: number): number {
    const isNear = time >= receivedAt && time - receivedAt <= nearMs;
    if (isNear && time > (this.#stamps.get(series) ?? 0)) this.#stamps.set(series, time);
    return time;
  }

  /** One time of receipt for these series, later than any that one of them was given before. */
  #stamp(series: readonly number[], receivedAt: number): number {
    let stamp = receivedAt;
    for (const id of series) stamp = Math.max(stamp, (this.#stamps.get(id) ?? 0) + 1);
    for (const id of series) this.#stamps.set(id, stamp);
    return stamp;
  }

  #enter(decoded: Decoded, message: Message, receipt: Receipt): void {
    const { ledger } = this.#parts;
    const { topic, payload, client, sender } = message;
    const bytes = payload.length + topic.length + overheadBytes;
    const { refusal } = decoded;
    const quarantine = refusal
      ? {
          topic,
          payload,
          client,
          sender,
          receivedAt: decoded.receivedAt,
          reason: refusal.code,
          pointer: refusal.pointer,
          detail: refusal.message,
        }
      : null;
    const { readings, facts, receivedAt } = decoded;
    const parts = { readings, facts, receivedAt, bytes, quarantine, settled: message.identity, message };
    this.#submit(parts, (outcome) => {
      if (outcome.kind === 'failed') {
        ledger.messages.shed++;
        if (message.qos > 0) receipt(outcome.error);
        return;
      }
      if (outcome.kind === 'quarantined') ledger.refuse(outcome.code);
      else if (decoded.kind === 'control') ledger.messages.control++;
      else ledger.messages.accepted++;
      if (message.qos > 0) receipt();
    });
    if (message.qos === 0) receipt();
  }

  #submit(
    parts: Partial<Entry> & { readonly receivedAt: number; readonly bytes: number },
    settle: (outcome: Outcome) => void,
  ): void {
    const { ledger, window, submit } = this.#parts;
    const count = parts.readings?.length ?? 0;
    ledger.readings.decoded += count;
    window.enter(parts.bytes);
    const account = (outcome: Outcome): void => {
      window.leave(1, parts.bytes);
      if (outcome.kind === 'committed') {
        ledger.readings.stored += outcome.stored;
        ledger.readings.replaced += outcome.replaced;
        ledger.readings.identical += outcome.identical;
      } else {
        // Given back or quarantined after all: these readings never came to be.
        ledger.readings.decoded -= count;
      }
      settle(outcome);
    };
    submit(entry({ ...parts, settle: account }));
  }

  #decodePost(body: Uint8Array, format: 'json' | 'ndjson', partial: boolean): PostDecoded {
    const receivedAt = this.#parts.receiptClock.now();
    const decoded = decodeReadings(body, format);
    const faults = [...decoded.faults];
    const clockTrusted = this.#isClockTrusted(receivedAt);
    const posted: PostedReading[] = [];
    const pointers: string[] = [];
    decoded.readings.forEach((reading, index) => {
      const why = reading.time === null ? null : implausible(reading.time, { receivedAt, clockTrusted });
      if (why === null) pointers[posted.push(reading) - 1] = decoded.pointers[index];
      else faults.push({ pointer: `${decoded.pointers[index]}/time`, code: 'time_implausible', detail: why });
    });
    if (faults.length > 0 && !partial) throw refusedReadings(faults);
    // Each device has a clock of its own: one that is ahead says nothing about the others in the same request.
    const corrections = new Map<string, number>();
    for (const [device, own] of Map.groupBy(posted.keys(), (index) => posted[index].device)) {
      const places = own.map((index) => pointers[index]);
      const correction = this.#correction(
        device,
        own.map((index) => posted[index]),
        places,
        receivedAt,
      );
      corrections.set(device, correction);
    }
    const readings: EntryReading[] = [];
    const facts = new Map<string, DeviceFact>();
    posted.forEach((reading, index) => {
      const correction = corrections.get(reading.device) ?? 0;
      try {
        readings.push(this.#placePosted(reading, correction, receivedAt));
        if (correction > 0) facts.set(reading.device, { device: reading.device, at: receivedAt, clockCorrected: 1 });
      } catch (error) {
        if (!(error instanceof RejectedError)) throw error;
        faults.push({ pointer: pointers[index], code: error.code, detail: error.message });
      }
    });
    if (faults.length > 0 && !partial) throw refusedReadings(faults);
    this.#parts.ledger.timesTruncated += decoded.truncated;
    return { receivedAt, readings, facts: [...facts.values()], faults };
  }

  #placePosted({ device, metric, time, value }: PostedReading, correction: number, receivedAt: number): EntryReading {
    const series = this.#parts.registry.assign(device, metric);
    const placed =
      time === null ? this.#stamp([series], receivedAt) : this.#timed(series, time - correction, receivedAt);
    return { series, time: placed, value };
  }

  #refusing<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof RejectedError) this.#parts.ledger.refuse(error.code);
      throw error;
    }
  }
}

interface Decoded {
  readonly receivedAt: number;
  readonly readings: readonly EntryReading[];
  readonly facts: readonly DeviceFact[];
  readonly kind: 'accepted' | 'control' | 'refused';
  readonly refusal?: RejectedError;
}

interface PostDecoded {
  readonly receivedAt: number;
  readonly readings: readonly EntryReading[];
  readonly facts: readonly DeviceFact[];
  readonly faults: readonly Fault[];
}

function refusedReadings(faults: readonly Fault[]): RejectedError {
  const [first] = faults;
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new RejectedError('validation_failed', `nothing was stored: ${first.detail}${rest}`, {
    pointer: first.pointer,
    errors: faults,
  });
}
