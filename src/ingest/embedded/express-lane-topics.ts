import { PacketRefusedError } from './packet-scanner.ts';

/** What MQTT clients are subscribed to, those included whose session outlives their connection. */
export interface SubscribedTopics {
  /** Another number whenever an answer of `matches` may have changed. */
  readonly version: number;
  matches(topic: string): boolean;
}

interface KnownTopic {
  readonly bytes: Uint8Array;
  readonly topic: string;
  isExpress: boolean;
  /** Of the subscriptions when `isExpress` was found. */
  version: number;
}

/** A device publishes on very few topics. */
const knownMax = 8;
/** Deeper topics are left to aedes, which has a bound of its own. */
const levelsMax = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The topics of one connection, so that a topic is decoded and looked up once and afterwards only compared. */
export class ExpressTopics {
  readonly #subscribed: SubscribedTopics;
  readonly #known: KnownTopic[] = [];
  #last = 0;
  #replaced = 0;

  constructor(subscribed: SubscribedTopics) {
    this.#subscribed = subscribed;
  }

  /** The topic, or null when it is for aedes. Throws `PacketRefusedError` for what is no topic. */
  find(bytes: Buffer, start: number, end: number): string | null {
    const known = this.#recall(bytes, start, end) ?? this.#learn(bytes, start, end);
    const { version } = this.#subscribed;
    if (known.version !== version) {
      known.isExpress = isOrdinary(known.topic) && !this.#subscribed.matches(known.topic);
      known.version = version;
    }
    return known.isExpress ? known.topic : null;
  }

  #recall(bytes: Buffer, start: number, end: number): KnownTopic | undefined {
    const count = this.#known.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#last + step) % count;
      const known = this.#known[index];
      if (!isSame(known.bytes, bytes, start, end)) continue;
      this.#last = index;
      return known;
    }
    return undefined;
  }

  #learn(bytes: Buffer, start: number, end: number): KnownTopic {
    const own = Uint8Array.prototype.slice.call(bytes, start, end);
    const known = { bytes: own, topic: decodeTopic(own), isExpress: false, version: Number.NaN };
    this.#last = this.#known.length < knownMax ? this.#known.length : this.#replaced++ % knownMax;
    this.#known[this.#last] = known;
    return known;
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  // Topics differ at the end more often than at the beginning.
  for (let index = known.length - 1; index >= 0; index--) {
    if (known[index] !== bytes[start + index]) return false;
  }
  return true;
}

/** MQTT 3.1.1 sections 1.5.3, 3.3.2.1 and 4.7.3: UTF-8, not empty, no NUL, no wildcard. */
function decodeTopic(bytes: Uint8Array): string {
  let topic: string;
  try {
    topic = decoder.decode(bytes);
  } catch (error) {
    throw new PacketRefusedError('the topic of a PUBLISH is not UTF-8', { cause: error });
  }
  if (topic === '') throw new PacketRefusedError('the topic of a PUBLISH is empty');
  if (topic.includes('\0')) throw new PacketRefusedError('the topic of a PUBLISH holds a NUL');
  if (topic.includes('#') || topic.includes('+')) {
    throw new PacketRefusedError('the topic of a PUBLISH holds a wildcard');
  }
  return topic;
}

function isOrdinary(topic: string): boolean {
  return !topic.startsWith('$') && topic.split('/', levelsMax + 1).length <= levelsMax;
}
