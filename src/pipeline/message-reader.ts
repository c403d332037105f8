import { RejectedError } from '../base/errors.ts';
import { decodeAttributes, decodeStatus } from '../decode/attributes.ts';
import { decodeBare } from '../decode/bare.ts';
import { decodeCommandReply } from '../decode/command-reply.ts';
import { type Decoded, type DeviceMessage, type DialectMessage, RejectedAsking } from '../decode/decoded.ts';
import { type DecodedReading, decodeTelemetry, valuePointer } from '../decode/native.ts';
import type { Command, CommandReply } from '../domain/command.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { Message } from '../domain/message.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Sender } from '../domain/principal.ts';
import { type DeviceTopic, isDeviceTopic } from '../domain/topic.ts';
import type { EntryChanges, EntryReading } from './entry.ts';
import { KnownTopics } from './known-topics.ts';
import type { Ledger } from './ledger.ts';
import type { Arrival, Placement } from './placement.ts';
import type { CommandReplies, DeviceBook, DeviceTerms, MessageDialects } from './ports.ts';
import type { SeriesRegistry } from './series-registry.ts';
import { checkSender, checkTerms, implausibleReading } from './terms-check.ts';

export interface MessageReaderParts {
  readonly registry: SeriesRegistry;
  readonly ledger: Ledger;
  readonly placement: Placement;
  readonly devices: DeviceBook;
  readonly dialects: MessageDialects;
  readonly commands: CommandReplies;
}

/** What a message is to the engine. */
export interface ReadMessage {
  /** Time of receipt, epoch ms. */
  readonly receivedAt: number;
  readonly readings: readonly EntryReading[];
  readonly facts: readonly DeviceFact[];
  readonly changes: EntryChanges | null;
  /** To be published once it is on disk. */
  readonly requests: readonly OutgoingMessage[];
  readonly kind: 'accepted' | 'control' | 'refused';
  readonly refusal: RejectedError | null;
}

type ReadableMessage = Pick<Message, 'topic' | 'payload' | 'sender'>;

const none: readonly never[] = [];

/** Reads messages: decoded, held against what people decided, given their place. Never throws for a message's sake. */
export class MessageReader {
  readonly #parts: MessageReaderParts;
  readonly #topics = new KnownTopics();

  constructor(parts: MessageReaderParts) {
    this.#parts = parts;
  }

  /** Whether the message is anybody's here; the others are relayed. */
  claims(topic: string): boolean {
    return isDeviceTopic(topic) || this.#parts.dialects.claims(topic);
  }

  read(message: ReadableMessage, arrival: Arrival): ReadMessage {
    try {
      return isDeviceTopic(message.topic) ? this.#native(message, arrival) : this.#foreign(message, arrival);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      const requests = error instanceof RejectedAsking ? error.requests : none;
      return {
        receivedAt: arrival.at,
        readings: none,
        facts: none,
        changes: null,
        requests,
        kind: 'refused',
        refusal: error,
      };
    }
  }

  #native(message: ReadableMessage, arrival: Arrival): ReadMessage {
    const topic = this.#topics.parse(message.topic);
    const { device } = topic;
    const terms = this.#terms(device, message.sender);
    switch (topic.kind) {
      case 'telemetry':
        return this.#telemetry(topic, terms, message, arrival);
      case 'status': {
        const status = decodeStatus(message.payload);
        return control(arrival, [{ device, at: arrival.at, status, cause: 'reported' }]);
      }
      case 'attributes':
        return control(arrival, [{ device, at: arrival.at, attributes: decodeAttributes(message.payload) }]);
      case 'reply': {
        const reply = decodeCommandReply(device, topic.command, message.payload);
        return control(arrival, none, this.#replied([reply], arrival));
      }
      default:
        return control(arrival, none);
    }
  }

  #telemetry(
    { device, metric }: Extract<DeviceTopic, { kind: 'telemetry' }>,
    terms: DeviceTerms,
    message: ReadableMessage,
    arrival: Arrival,
  ): ReadMessage {
    const { payload } = message;
    if (metric !== null) {
      const readings = [{ metric, time: null, value: decodeBare(payload) }];
      this.#checkRanges(terms, readings, () => '');
      return this.#placed(device, readings, none, arrival);
    }
    if (terms.dialect !== 'native') {
      const decoded = this.#parts.dialects.decodePayload(terms.dialect, device, dialectMessage(message, arrival));
      return this.#decoded(decoded, message.sender, arrival);
    }
    const decoded = decodeTelemetry(payload);
    this.#checkRanges(terms, decoded.readings, (index) => valuePointer(payload, index));
    const placed = this.#placed(device, decoded.readings, decoded.timePointers, arrival);
    this.#parts.ledger.timesTruncated += decoded.truncated;
    return placed;
  }

  #placed(
    device: string,
    readings: readonly DecodedReading[],
    timePointers: readonly string[],
    arrival: Arrival,
  ): ReadMessage {
    const placed = this.#parts.placement.message(device, readings, timePointers, arrival);
    return {
      receivedAt: arrival.at,
      readings: placed.readings,
      facts: placed.corrected ? [{ device, at: arrival.at, clockCorrected: 1 }] : none,
      changes: null,
      requests: none,
      kind: 'accepted',
      refusal: null,
    };
  }

  #foreign(message: ReadableMessage, arrival: Arrival): ReadMessage {
    return this.#decoded(this.#parts.dialects.decode(dialectMessage(message, arrival)), message.sender, arrival);
  }

  /** A message of a dialect, of one device or of several: all of it is taken, or none. */
  #decoded(decoded: Decoded, sender: Sender, arrival: Arrival): ReadMessage {
    for (const of of decoded.devices) this.#checkDevice(of, sender);
    for (const { device } of decoded.replies) this.#terms(device, sender);
    const readings: EntryReading[] = [];
    const facts: DeviceFact[] = [];
    let truncated = 0;
    this.#parts.registry.whole(() => {
      for (const of of decoded.devices) {
        const placed = this.#parts.placement.message(of.device, of.readings, of.timePointers, arrival);
        for (const reading of placed.readings) readings.push(reading);
        facts.push(...factsOf(of, placed.corrected, arrival));
        truncated += of.truncated;
      }
    });
    this.#parts.ledger.timesTruncated += truncated;
    return {
      receivedAt: arrival.at,
      readings,
      facts,
      changes: this.#replied(decoded.replies, arrival),
      requests: decoded.requests,
      kind: readings.length > 0 ? 'accepted' : 'control',
      refusal: null,
    };
  }

  #checkDevice({ device, through, readings, valuePointers }: DeviceMessage, sender: Sender): void {
    this.#checkRanges(this.#terms(device, sender, through), readings, (index) => valuePointers?.[index] ?? '');
  }

  /** The terms of a device for which the sender may speak and whose messages are taken. */
  #terms(device: string, sender: Sender, through = device): DeviceTerms {
    checkSender(sender, through);
    const terms = this.#parts.devices.terms(device);
    checkTerms(terms);
    return terms;
  }

  #checkRanges(terms: DeviceTerms, readings: readonly DecodedReading[], pointerOf: (index: number) => string): void {
    const found = implausibleReading(terms, readings);
    if (found) throw new RejectedError('value_implausible', found.detail, { pointer: pointerOf(found.index) });
  }

  #replied(replies: readonly CommandReply[], arrival: Arrival): EntryChanges | null {
    const commands = replies.flatMap((reply): readonly Command[] => {
      const command = this.#parts.commands.reply(reply, arrival.at);
      return command ? [command] : [];
    });
    return commands.length === 0 ? null : { commands };
  }
}

function dialectMessage({ topic, payload, sender }: ReadableMessage, { at, again }: Arrival): DialectMessage {
  return { topic, payload, sender, receivedAt: at, again };
}

function factsOf(of: DeviceMessage, corrected: boolean, { at }: Arrival): readonly DeviceFact[] {
  const { device, status, attributes } = of;
  if (status === null && attributes === null && !corrected) return none;
  return [
    {
      device,
      at,
      ...(status === null ? {} : { status, cause: 'reported' as const }),
      ...(attributes === null ? {} : { attributes }),
      ...(corrected ? { clockCorrected: 1 } : {}),
    },
  ];
}

function control({ at }: Arrival, facts: readonly DeviceFact[], changes: EntryChanges | null = null): ReadMessage {
  return { receivedAt: at, readings: none, facts, changes, requests: none, kind: 'control', refusal: null };
}
