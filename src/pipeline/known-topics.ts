import { type DeviceTopic, parseDeviceTopic } from '../domain/topic.ts';

/** So many are remembered; then it begins anew, which costs less than keeping track of which is the oldest. */
const knownMax = 20_000;

/** What native topics ask for, so that a topic is taken apart once and not for every message. */
export class KnownTopics {
  readonly #known = new Map<string, DeviceTopic>();
  #lastTopic = '';
  #last: DeviceTopic | undefined;

  /** As `parseDeviceTopic`, which see for what it throws. */
  parse(topic: string): DeviceTopic {
    // A chunk of a socket mostly holds messages of one topic.
    if (this.#last !== undefined && topic === this.#lastTopic) return this.#last;
    const parsed = this.#known.get(topic) ?? this.#learn(topic);
    this.#lastTopic = topic;
    this.#last = parsed;
    return parsed;
  }

  #learn(topic: string): DeviceTopic {
    const parsed = parseDeviceTopic(topic);
    // A command has a topic of its own, which comes once.
    if (parsed.kind === 'reply' || parsed.kind === 'notice') return parsed;
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(topic, parsed);
    return parsed;
  }
}
