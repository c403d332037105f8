import type { Receipt } from '../../domain/message.ts';
import type { AnswersInOrder } from './express-lane-answers.ts';
import { ExpressTopics, type SubscribedTopics } from './express-lane-topics.ts';
import { PacketRefusedError } from './packet-scanner.ts';

/** A PUBLISH that takes the express lane: QoS 0 or 1, not retained, to a topic that no MQTT client asked for. */
export interface ExpressPublish {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  /** Undefined for QoS 0. */
  readonly messageId: number | undefined;
  readonly dup: boolean;
}

export interface ExpressLaneParts {
  readonly subscribed: SubscribedTopics;
  readonly answers: AnswersInOrder;
  /** The same that aedes asks before it answers; the receipt makes the PUBACK. */
  readonly publish: (publish: ExpressPublish, receipt: Receipt) => void;
  /** A message could not be taken: the connection ends, as it does when aedes is told so. */
  readonly fail: (error: Error) => void;
}

/**
 * Takes PUBLISH packets from the socket straight to where messages go, past aedes, whose parser, queues and streams cost
 * more than storing them. What it takes nobody else on MQTT would have seen: no subscriber matches the topic and nothing
 * is retained.
 */
export class ExpressLane {
  readonly #parts: ExpressLaneParts;
  readonly #topics: ExpressTopics;
  readonly #unanswered: Receipt;

  constructor(parts: ExpressLaneParts) {
    this.#parts = parts;
    this.#topics = new ExpressTopics(parts.subscribed);
    this.#unanswered = (failure) => {
      if (failure) parts.fail(failure);
    };
  }

  /** Whether a packet with this first byte may be one for the lane: PUBLISH, QoS 0 or 1, not retained. */
  static claims(first: number): boolean {
    // 0011 dqqr (MQTT 3.1.1 section 3.3.1): d repeated, qq quality of service, r retained.
    return (first & 0xf5) === 0x30;
  }

  /** A whole PUBLISH that `claims` is true of; answers whether it was taken. Throws `PacketRefusedError`. */
  take(bytes: Buffer, first: number, start: number, end: number): boolean {
    const topicStart = start + 2;
    const topicEnd = topicStart + ((bytes[start] << 8) | bytes[start + 1]);
    const isAnswered = (first & 0x02) !== 0;
    const payloadStart = isAnswered ? topicEnd + 2 : topicEnd;
    if (end < topicStart || payloadStart > end) throw new PacketRefusedError('a PUBLISH is shorter than what it holds');
    const topic = this.#topics.find(bytes, topicStart, topicEnd);
    if (topic === null) return false;
    const payload = bytes.subarray(payloadStart, end);
    const { publish, answers } = this.#parts;
    const dup = (first & 0x08) !== 0;
    if (!isAnswered) {
      publish({ topic, payload, qos: 0, messageId: undefined, dup }, this.#unanswered);
      return true;
    }
    const messageId = (bytes[topicEnd] << 8) | bytes[topicEnd + 1];
    // [MQTT-2.3.1-1]
    if (messageId === 0) throw new PacketRefusedError('a PUBLISH has the packet id 0');
    publish({ topic, payload, qos: 1, messageId, dup }, answers.expect(messageId));
    return true;
  }
}
