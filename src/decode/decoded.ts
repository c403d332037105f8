import { RejectedError } from '../base/errors.ts';
import type { Command, CommandReply } from '../domain/command.ts';
import type { DeviceStatus } from '../domain/device.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Sender } from '../domain/principal.ts';
import type { Value } from '../domain/reading.ts';
import type { DecodedReading } from './native.ts';

/** A message as a dialect gets to see it. */
export interface DialectMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly sender: Sender;
  /** Time of receipt, epoch ms: what relative times count from. */
  readonly receivedAt: number;
  /**
   * A refused message that is tried again, out of its order: it is understood with what the dialect knows by now, and
   * moves nothing that the dialect remembers.
   */
  readonly again?: boolean;
}

/** What one message says of one device. */
export interface DeviceMessage {
  readonly device: string;
  /**
   * The device through which it speaks by the rules of its dialect: then it is this one that the sender must be, though
   * it may not speak for others. Absent: itself.
   */
  readonly through?: string;
  readonly readings: readonly DecodedReading[];
  /** `timePointers[i]` is where the time of reading i stands, or would stand. */
  readonly timePointers: readonly string[];
  /** `valuePointers[i]` is where the value of reading i stands; absent where the dialect does not say. */
  readonly valuePointers?: readonly string[];
  /** Readings whose time was finer than a millisecond and was truncated. */
  readonly truncated: number;
  readonly status: DeviceStatus | null;
  readonly attributes: Readonly<Record<string, Value>> | null;
}

/** What a message says, whatever its dialect. With nothing in it the message was understood and calls for nothing. */
export interface Decoded {
  readonly devices: readonly DeviceMessage[];
  readonly replies: readonly CommandReply[];
  /** Owed in return, to be published once the message is on disk: a Sparkplug rebirth request, for example. */
  readonly requests: readonly OutgoingMessage[];
}

export const nothingDecoded: Decoded = { devices: [], replies: [], requests: [] };

/** What a message says of one device that has nothing else to say. */
export function deviceMessage(device: string, parts: Partial<Omit<DeviceMessage, 'device'>>): DeviceMessage {
  return { device, readings: [], timePointers: [], truncated: 0, status: null, attributes: null, ...parts };
}

/** A refusal after which its sender is asked for something, so that the next message can be understood. */
export class RejectedAsking extends RejectedError {
  readonly requests: readonly OutgoingMessage[];

  constructor(
    code: string,
    message: string,
    options: { pointer?: string; requests: readonly OutgoingMessage[]; cause?: unknown },
  ) {
    super(code, message, options);
    this.requests = options.requests;
  }
}

/**
 * A way of writing readings on topics of its own. Deterministic: what it answers follows from the messages it was shown,
 * in their order, and from nothing else.
 */
export interface Dialect {
  readonly name: string;
  /** Whether messages on the topic are this dialect's. Asked for every message that is not native, so it must be quick. */
  claims(topic: string): boolean;
  /** Throws `RejectedError` with a pointer to the first fault. */
  decode(message: DialectMessage): Decoded;
  /**
   * A command as the device understands it; null for a device that the dialect does not know. Throws `RejectedError` for
   * a command that makes no sense to it. `at`: epoch ms.
   */
  encode?(command: Command, at: number): OutgoingMessage | null;
  /**
   * Takes in a retained message of before the start, so that what follows is understood; nothing else comes of it.
   * Throws `RejectedError`.
   */
  prime?(message: Pick<OutgoingMessage, 'topic' | 'payload'>): void;
}
