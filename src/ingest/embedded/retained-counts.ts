/** Topics that are remembered in all; beyond it the one who began longest ago counts anew. */
const topicsMax = 200_000;

/** How many retained messages each client has set. They are counted by topic, for a newer one takes the place of the old. */
export class RetainedCounts {
  readonly #perClientMax: number;
  readonly #byOwner = new Map<string, Set<string>>();
  #topics = 0;

  /** 0 is no limit. */
  constructor(perClientMax: number) {
    this.#perClientMax = perClientMax;
  }

  /** Whether `owner` may set the retained message of the topic; an empty one takes it away (MQTT 3.1.1 section 3.3.1.3). */
  set(owner: string, topic: string, isEmpty: boolean): boolean {
    if (this.#perClientMax === 0) return true;
    const topics = this.#byOwner.get(owner);
    if (isEmpty) {
      if (topics?.delete(topic)) this.#topics--;
      if (topics?.size === 0) this.#byOwner.delete(owner);
      return true;
    }
    if (topics?.has(topic)) return true;
    if ((topics?.size ?? 0) >= this.#perClientMax) return false;
    if (topics) topics.add(topic);
    else this.#byOwner.set(owner, new Set([topic]));
    this.#topics++;
    this.#forget();
    return true;
  }

  #forget(): void {
    for (const [owner, topics] of this.#byOwner) {
      if (this.#topics <= topicsMax) return;
      this.#topics -= topics.size;
      this.#byOwner.delete(owner);
    }
  }
}
