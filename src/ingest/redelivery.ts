import type { SettledMessage } from '../domain/commit.ts';
import type { Receipt } from '../domain/message.ts';

/** Messages of one generation; the newest so many are always remembered, and at most twice as many. */
const generationMax = 50_000;

interface Remembered {
  readonly hash: number;
  /** Tells everybody who waits for it, in order of arrival; null once it is settled. */
  waiting: Receipt | null;
}

/**
 * By client, then by packet id: a number as a key costs a tenth of a string that is made for the purpose. Of what is
 * settled, as most is, nothing but the hash is left.
 */
type Generation = Map<string, Map<number, Remembered | number>>;

/**
 * Recognises messages that were delivered before: a DUP whose original is unsettled joins its receipt, one that was
 * settled lately is answered at once. What was settled comes back from the commit log after a restart.
 *
 * What is old is forgotten a generation at a time, because a `Map` that loses its oldest key for every new one walks
 * over the places of all that it lost before.
 */
export class RedeliveryBook {
  #young: Generation = new Map();
  #youngCount = 0;
  #old: Generation = new Map();

  load(settled: readonly SettledMessage[]): void {
    for (const message of settled) this.#remember(message, message.hash);
  }

  /**
   * `repeated` is the DUP flag, or a QoS 2 packet id that is still open. Answers `null` when the message was
   * delivered before (`receipt` is, or will be, settled), else the receipt to hand on with the message.
   */
  admit(identity: SettledMessage, repeated: boolean, receipt: Receipt): Receipt | null {
    const known = repeated ? this.#find(identity) : undefined;
    if (known === identity.hash) {
      receipt();
      return null;
    }
    if (typeof known === 'object' && known.hash === identity.hash) {
      if (known.waiting) known.waiting = inTurn(known.waiting, receipt);
      else receipt();
      return null;
    }
    const remembered: Remembered = { hash: identity.hash, waiting: receipt };
    this.#remember(identity, remembered);
    return (failure) => {
      const { waiting } = remembered;
      remembered.waiting = null;
      if (failure) this.#forget(identity, remembered);
      else this.#settle(identity, remembered);
      waiting?.(failure);
    };
  }

  /** Whether the same message waits for its receipt. A QoS 2 packet id stands for one message until then (MQTT 4.3.3). */
  isOpen(identity: SettledMessage): boolean {
    const known = this.#find(identity);
    return typeof known === 'object' && known.waiting !== null && known.hash === identity.hash;
  }

  #find({ client, packetId }: SettledMessage): Remembered | number | undefined {
    return this.#young.get(client)?.get(packetId) ?? this.#old.get(client)?.get(packetId);
  }

  #remember({ client, packetId }: SettledMessage, remembered: Remembered | number): void {
    if (this.#youngCount === generationMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCount = 0;
    }
    let messages = this.#young.get(client);
    if (!messages) {
      messages = new Map();
      this.#young.set(client, messages);
    }
    messages.set(packetId, remembered);
    this.#youngCount++;
  }

  #settle({ client, packetId }: SettledMessage, remembered: Remembered): void {
    for (const generation of [this.#young, this.#old]) {
      const messages = generation.get(client);
      if (messages?.get(packetId) === remembered) messages.set(packetId, remembered.hash);
    }
  }

  /** Unless a newer message has its packet id by now. What the packet id stood for before stays forgotten, too. */
  #forget(identity: SettledMessage, remembered: Remembered): void {
    if (this.#find(identity) !== remembered) return;
    this.#young.get(identity.client)?.delete(identity.packetId);
    this.#old.get(identity.client)?.delete(identity.packetId);
  }
}

function inTurn(first: Receipt, second: Receipt): Receipt {
  return (failure) => {
    first(failure);
    second(failure);
  };
}
