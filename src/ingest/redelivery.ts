import type { SettledMessage } from '../domain/commit.ts';
import type { Receipt } from '../domain/message.ts';

/** Most messages remembered; the oldest is forgotten first. */
const rememberedMax = 100_000;

interface Remembered {
  readonly hash: number;
  /** Who waits for it; null once it is settled. */
  waiting: Receipt[] | null;
}

/**
 * Recognises messages that were delivered before: a DUP whose original is unsettled joins its receipt, one that was
 * settled lately is answered at once. What was settled comes back from the commit log after a restart.
 */
export class RedeliveryBook {
  readonly #remembered = new Map<string, Remembered>();

  load(settled: readonly SettledMessage[]): void {
    for (const { client, packetId, hash } of settled) this.#remember(`${packetId} ${client}`, { hash, waiting: null });
  }

  /**
   * `repeated` is the DUP flag, or a QoS 2 packet id that has not been released. Answers `null` when the message was
   * delivered before (`receipt` is, or will be, settled), else the receipt to hand on with the message.
   */
  admit(identity: SettledMessage, repeated: boolean, receipt: Receipt): Receipt | null {
    const key = `${identity.packetId} ${identity.client}`;
    const known = this.#remembered.get(key);
    if (repeated && known?.hash === identity.hash) {
      if (known.waiting) known.waiting.push(receipt);
      else receipt();
      return null;
    }
    const remembered: Remembered = { hash: identity.hash, waiting: [receipt] };
    this.#remember(key, remembered);
    return (failure) => {
      const waiting = remembered.waiting ?? [];
      remembered.waiting = null;
      if (failure && this.#remembered.get(key) === remembered) this.#remembered.delete(key);
      for (const settle of waiting) settle(failure);
    };
  }

  #remember(key: string, remembered: Remembered): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, remembered);
    if (this.#remembered.size <= rememberedMax) return;
    const [oldest] = this.#remembered.keys();
    this.#remembered.delete(oldest);
  }
}
