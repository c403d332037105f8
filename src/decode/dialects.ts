import { RejectedError } from '../base/errors.ts';
import type { Command } from '../domain/command.ts';
import type { Mapping } from '../domain/mapping.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { PayloadDialect } from '../domain/profile.ts';
import { shown } from '../domain/topic.ts';
import type { Decoded, Dialect, DialectMessage } from './decoded.ts';
import { MappedTopics } from './mapped-topics.ts';
import { decodePayload, type PayloadOptions, usualPayloadOptions } from './payload.ts';

/** So many topics are remembered with their dialect before the memory starts anew … */
const rememberedMax = 10_000;
/** … and none that is longer than this, so that a stranger cannot fill it. */
const rememberedLengthMax = 256;

/** Which dialect a message is written in, and what it says. Native topics are not asked about here. */
export class Dialects {
  readonly #dialects: readonly Dialect[];
  readonly #payloads: PayloadOptions;
  #mappings: MappedTopics;
  /** By topic; null for topics that belong to nobody. */
  #remembered = new Map<string, Dialect | null>();
  #heard: (device: string) => void = () => {};

  /** Mappings are asked before `dialects`, in their order: they are the user's own word. Throws `InvariantError` for a mapping with faults. */
  constructor({
    mappings,
    dialects,
    payloads = usualPayloadOptions,
  }: {
    readonly mappings: readonly Mapping[];
    readonly dialects: readonly Dialect[];
    readonly payloads?: PayloadOptions;
  }) {
    this.#dialects = dialects;
    this.#payloads = payloads;
    this.#mappings = new MappedTopics(mappings, payloads);
  }

  /** From the next message on these mappings hold. */
  setMappings(mappings: readonly Mapping[]): void {
    this.#mappings = new MappedTopics(mappings, this.#payloads);
    this.#remembered = new Map();
  }

  /**
   * Is told of every device that a message spoke of, or came from: only once it has spoken is it known how a command
   * reaches it, and by then it has long connected and subscribed. Called for each message, so it must be quick.
   */
  onHeard(listener: (device: string) => void): void {
    this.#heard = listener;
  }

  /** Whether any dialect understands messages on the topic; the others are relayed untouched. */
  claims(topic: string): boolean {
    return this.#of(topic) !== null;
  }

  /** Throws `RejectedError`, also `topic_invalid` for a topic that nobody claims. */
  decode(message: DialectMessage): Decoded {
    const dialect = this.#of(message.topic);
    if (!dialect) {
      throw new RejectedError('topic_invalid', `no dialect and no mapping understands "${shown(message.topic)}"`);
    }
    const decoded = dialect.decode(message);
    const { sender, again } = message;
    if (again) return decoded;
    for (const { device } of decoded.devices) this.#heard(device);
    if (sender.device !== null && decoded.devices.length === 0) this.#heard(sender.device);
    return decoded;
  }

  /** A payload on `devices/{device}/telemetry` in the dialect of the device's profile. Throws `RejectedError`. */
  decodePayload(dialect: PayloadDialect, device: string, message: DialectMessage): Decoded {
    return decodePayload(dialect, device, message, this.#payloads);
  }

  /**
   * A command as a foreign device understands it; null for one that speaks native. Throws `RejectedError` for a command
   * that makes no sense to its device. `at`: epoch ms.
   */
  encode(command: Command, at: number): OutgoingMessage | null {
    for (const dialect of this.#dialects) {
      const encoded = dialect.encode?.(command, at);
      if (encoded) return encoded;
    }
    return null;
  }

  /** MQTT filters under which a device may publish because a mapping says that a whole topic level is its id. */
  mappedFilters(device: string): readonly string[] {
    return this.#mappings.filters(device);
  }

  /** Shows the dialects what the broker kept over a restart, before the first message. What cannot be read is passed over. */
  prime(messages: Iterable<Pick<OutgoingMessage, 'topic' | 'payload'>>): void {
    for (const message of messages) {
      try {
        this.#of(message.topic)?.prime?.(message);
      } catch (error) {
        // It was refused when it came, and lies in the quarantine.
        if (!(error instanceof RejectedError)) throw error;
      }
    }
  }

  #of(topic: string): Dialect | null {
    const known = this.#remembered.get(topic);
    if (known !== undefined) return known;
    const found = this.#mappings.find(topic) ?? this.#dialects.find((dialect) => dialect.claims(topic)) ?? null;
    if (topic.length <= rememberedLengthMax) {
      if (this.#remembered.size >= rememberedMax) this.#remembered = new Map();
      this.#remembered.set(topic, found);
    }
    return found;
  }
}
