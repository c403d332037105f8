import { type Fault, InvariantError, RejectedError, TransientError } from '../base/errors.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { DeviceMessage } from '../decode/decoded.ts';
import type { Message, Receipt } from '../domain/message.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import { anySender, type Sender } from '../domain/principal.ts';
import type { QuarantineEntry, QuarantineRecord } from '../domain/quarantine.ts';
import { type Entry, entry, type Outcome } from './entry.ts';
import type { Ledger } from './ledger.ts';
import { MessageReader, type ReadMessage } from './message-reader.ts';
import { Placement } from './placement.ts';
import type { CommandReplies, DeviceBook, MessageDialects, RetentionTerms } from './ports.ts';
import { PostReader, type ReadPost } from './post-reader.ts';
import type { ReceiptClock } from './receipt-clock.ts';
import type { SeriesRegistry } from './series-registry.ts';
import { openTerms } from './terms-check.ts';
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
  /** Without it every device is welcome and speaks native. */
  readonly devices?: DeviceBook;
  /** Without it everything that is not native is relayed. */
  readonly dialects?: MessageDialects;
  /** Without it everything is kept for ever. */
  readonly retention?: RetentionTerms;
  /** Without it nobody waits for a reply. */
  readonly commands?: CommandReplies;
  /** Sends what a message asks for in return, once the message is on disk. */
  readonly publish?: (message: OutgoingMessage) => void;
}

/** What a request that sends readings answers. */
export interface PostOutcome {
  readonly seq: number;
  readonly stored: number;
  readonly replaced: number;
  readonly identical: number;
  readonly refused: readonly Fault[];
}

export interface BatchOptions {
  /** Whether the good readings are kept when others are refused. */
  readonly partial: boolean;
  readonly sender: Sender;
  /** Size of the body. */
  readonly bytes: number;
  /** What was found wrong while the body was decoded. */
  readonly faults: readonly Fault[];
}

/** Room in the window for what a message weighs beside its bytes: objects, columns, the alert overlay. */
const overheadBytes = 256;

/** So many messages of the quarantine that were taken in are remembered: whoever had read one before may still ask for it. */
const retriedMax = 10_000;

const none: readonly never[] = [];
const anyDevice: DeviceBook = { terms: () => openTerms };
const nativeOnly: MessageDialects = {
  claims: () => false,
  decode: () => {
    throw new RejectedError('topic_invalid', 'only native topics are understood');
  },
  decodePayload: (dialect) => {
    throw new RejectedError('payload_invalid', `payloads in ${dialect} are not understood`);
  },
};
const nobodyWaits: CommandReplies = { reply: () => null };

/** Where messages become entries: counted, let into the window, answered when they are on disk. */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #placement: Placement;
  readonly #reader: MessageReader;
  readonly #posts: PostReader;
  /** Messages of the quarantine that are tried again, or were with success, by id; the oldest is forgotten first. */
  readonly #retries = new Map<number, Promise<PostOutcome>>();

  constructor(parts: IntakeParts) {
    const { registry, ledger, devices = anyDevice, dialects = nativeOnly, commands = nobodyWaits } = parts;
    this.#parts = parts;
    this.#placement = new Placement(parts);
    const placement = this.#placement;
    this.#reader = new MessageReader({ registry, ledger, placement, devices, dialects, commands });
    this.#posts = new PostReader({ registry, ledger, placement, devices });
  }

  /** Takes over the newest time of every series that was recovered. */
  load(heads: readonly { readonly id: number; readonly time: number | null }[]): void {
    this.#placement.load(heads, this.#parts.receiptClock.now());
  }

  /** Readings were deleted; what is the newest of each of their series now. */
  deleted(newest: readonly { readonly series: number; readonly time: number | null }[]): void {
    this.#placement.deleted(newest, this.#parts.receiptClock.now());
  }

  /** A message of a broker. The receipt settles once it is on disk; for QoS 0 once it has its place in the window. */
  receive(message: Message, receipt: Receipt): void {
    const { ledger, window } = this.#parts;
    ledger.messages.received++;
    if (!this.#reader.claims(message.topic)) {
      ledger.messages.relayed++;
      receipt();
      return;
    }
    if (message.qos === 0 && window.overflowing) {
      ledger.messages.shed++;
      receipt();
      return;
    }
    const arrival = { at: this.#parts.receiptClock.now(), again: false };
    this.#enter(this.#reader.read(message, arrival), message, receipt);
  }

  /** A message that had been settled before, or that joined the receipt of its first delivery. */
  redelivered(): void {
    this.#parts.ledger.messages.received++;
    this.#parts.ledger.messages.redelivered++;
  }

  /** A QoS 0 message that a broker dropped, because its device is above its rate. */
  shed(): void {
    this.#parts.ledger.messages.received++;
    this.#parts.ledger.messages.shed++;
  }

  /** A message that a broker acknowledged and dropped, because its sender may not send it. */
  refused(code: ErrorCode): void {
    this.#parts.ledger.messages.received++;
    this.#parts.ledger.refuse(code);
  }

  /**
   * The body of `POST /readings`; resolves after the commit. All or nothing, unless `partial`. Rejects with
   * `RejectedError` (its `errors` say what is wrong where) or `TransientError`.
   */
  async post(
    body: Uint8Array,
    format: 'json' | 'ndjson',
    { partial, sender = anySender }: { readonly partial: boolean; readonly sender?: Sender },
  ): Promise<PostOutcome> {
    return this.#posted(body.length, () => this.#posts.body(body, format, { partial, sender }, this.#arrival()));
  }

  /** As `post`, for a body that a dialect decoded. What the messages say beside readings is not taken. */
  async postBatch(
    devices: readonly DeviceMessage[],
    { partial, sender, bytes, faults }: BatchOptions,
  ): Promise<PostOutcome> {
    return this.#posted(bytes, () => this.#posts.messages(devices, faults, { partial, sender }, this.#arrival()));
  }

  /**
   * A message of the quarantine, tried again as if it came when it came; its row goes with the commit of its readings.
   * What it says of its device's state is passed over, for newer may be known. Whoever asks for the same message at the
   * same time, or later with a record read before, gets the same answer: readings without a time would else be stored
   * twice. Rejects with `RejectedError` when it is still wrong, and with `TransientError`.
   */
  retry(record: QuarantineRecord): Promise<PostOutcome> {
    const { id } = record;
    const known = this.#retries.get(id);
    if (known) {
      this.redelivered();
      return known;
    }
    const outcome = this.#retry(record);
    this.#retries.set(id, outcome);
    outcome.catch(() => this.#retries.delete(id));
    if (this.#retries.size > retriedMax) {
      const [oldest] = this.#retries.keys();
      this.#retries.delete(oldest);
    }
    return outcome;
  }

  async #retry(record: QuarantineRecord): Promise<PostOutcome> {
    const { ledger } = this.#parts;
    this.#receiveRequest();
    const read = this.#refusing(() => this.#readAgain(record));
    const outcome = await this.#commit({
      readings: read.readings,
      changes: { ...read.changes, quarantineRemoved: [record.id] },
      receivedAt: this.#parts.receiptClock.now(),
      bytes: record.payload.length + record.topic.length + overheadBytes,
    });
    if (read.kind === 'control') ledger.messages.control++;
    else ledger.messages.accepted++;
    this.#publish(read);
    return { ...outcome, refused: [] };
  }

  #arrival(): { readonly at: number; readonly again: false } {
    return { at: this.#parts.receiptClock.now(), again: false };
  }

  #readAgain(record: QuarantineRecord): ReadMessage {
    if (!this.#reader.claims(record.topic)) {
      throw new RejectedError('topic_invalid', 'no dialect and no mapping understands the topic of this message');
    }
    const read = this.#reader.read(record, { at: record.receivedAt, again: true });
    if (read.refusal) throw read.refusal;
    return read;
  }

  async #posted(bytes: number, read: () => ReadPost): Promise<PostOutcome> {
    const { ledger, registry } = this.#parts;
    this.#receiveRequest();
    const { faults, ...decoded } = this.#refusing(() => registry.whole(read));
    const outcome = await this.#commit({ ...decoded, bytes: bytes + overheadBytes });
    ledger.messages.accepted++;
    return { ...outcome, refused: faults };
  }

  #receiveRequest(): void {
    const { ledger, window } = this.#parts;
    ledger.messages.received++;
    if (window.open) return;
    ledger.messages.shed++;
    throw new TransientError('the gateway is overloaded; try again');
  }

  /** Resolves once it is on disk. */
  async #commit(
    parts: Partial<Entry> & { readonly receivedAt: number; readonly bytes: number },
  ): Promise<Omit<PostOutcome, 'refused'>> {
    const { ledger } = this.#parts;
    const outcome = await new Promise<Outcome>((settle) => this.#submit(parts, settle));
    if (outcome.kind === 'quarantined') throw new InvariantError('a request went to the quarantine');
    if (outcome.kind === 'failed') {
      if (outcome.error instanceof RejectedError) ledger.refuse(outcome.error.code);
      else ledger.messages.shed++;
      throw outcome.error;
    }
    const { seq, stored, replaced, identical } = outcome;
    return { seq, stored, replaced, identical };
  }

  #enter(read: ReadMessage, message: Message, receipt: Receipt): void {
    const { topic, payload } = message;
    const { refusal, readings, facts, changes, receivedAt } = read;
    const bytes = payload.length + topic.length + overheadBytes;
    const quarantine = refusal ? quarantined(message, refusal, receivedAt) : null;
    const settle = (outcome: Outcome): void => {
      this.#account(outcome, readings.length, bytes);
      this.#answer(outcome, read, message.qos > 0 ? receipt : null);
    };
    // Field by field and once: at a high rate most of what the collector has to do is what messages leave behind.
    this.#admit({
      readings,
      facts,
      settled: message.identity,
      quarantine,
      attempt: null,
      rules: null,
      removedWebhooks: none,
      changes,
      receivedAt,
      bytes,
      message,
      settle,
    });
    if (message.qos === 0) receipt();
  }

  #answer(outcome: Outcome, read: ReadMessage, receipt: Receipt | null): void {
    const { messages } = this.#parts.ledger;
    if (outcome.kind === 'failed') {
      messages.shed++;
      receipt?.(outcome.error);
      return;
    }
    if (outcome.kind === 'quarantined') this.#parts.ledger.refuse(outcome.code);
    else if (read.kind === 'control') messages.control++;
    else messages.accepted++;
    receipt?.();
    this.#publish(read);
  }

  #publish({ requests }: ReadMessage): void {
    for (const request of requests) this.#parts.publish?.(request);
  }

  #submit(
    parts: Partial<Entry> & { readonly receivedAt: number; readonly bytes: number },
    settle: (outcome: Outcome) => void,
  ): void {
    const count = parts.readings?.length ?? 0;
    const accountAndSettle = (outcome: Outcome): void => {
      this.#account(outcome, count, parts.bytes);
      settle(outcome);
    };
    this.#admit(entry({ ...parts, settle: accountAndSettle }));
  }

  /** Into the window and on. */
  #admit(entered: Entry): void {
    const { ledger, window, submit } = this.#parts;
    ledger.readings.decoded += entered.readings.length;
    window.enter(entered.bytes);
    submit(entered);
  }

  #account(outcome: Outcome, count: number, bytes: number): void {
    const { ledger, window } = this.#parts;
    window.leave(1, bytes);
    if (outcome.kind === 'committed') {
      ledger.readings.stored += outcome.stored;
      ledger.readings.replaced += outcome.replaced;
      ledger.readings.identical += outcome.identical;
    } else {
      // Given back or quarantined after all: these readings never came to be.
      ledger.readings.decoded -= count;
    }
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

function quarantined(message: Message, refusal: RejectedError, receivedAt: number): QuarantineEntry {
  const { topic, payload, client, sender } = message;
  return {
    topic,
    // A copy: it crosses to another thread, and would take the whole chunk along in which it came.
    payload: new Uint8Array(payload),
    client,
    sender,
    receivedAt,
    reason: refusal.code,
    pointer: refusal.pointer,
    detail: refusal.message,
  };
}
