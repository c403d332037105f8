import type { Receipt } from '../../domain/message.ts';

interface Owed {
  /** Of a PUBACK that is written here, or 0. */
  readonly packetId: number;
  /** Has somebody else write the answer. */
  readonly answer: Receipt | null;
  isSettled: boolean;
  failure: Error | undefined;
}

export interface AnswerParts {
  /** Writes PUBACKs that became due in the same turn. */
  readonly write: (bytes: Buffer) => void;
  /** A PUBACK is not to be had: its message was not taken. */
  readonly fail: (error: Error) => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

/**
 * The answers that are owed to one client. They leave in the order in which its messages came, whichever is settled first
 * ([MQTT-4.6.0-2], [MQTT-4.6.0-3]), whether aedes writes them or the express lane.
 */
export class AnswersInOrder {
  readonly #parts: AnswerParts;
  #owed: Owed[] = [];
  /** Before this index everything has been answered. */
  #next = 0;
  /** Packet ids of PUBACKs that leave at the end of this turn. */
  #due: number[] = [];
  #since = 0;
  #moved = false;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  get open(): number {
    return this.#owed.length - this.#next;
  }

  /** How long, in ms, nothing was answered though something is owed; as exact as it is often asked. */
  stalledFor(now: number): number {
    if (this.#moved) this.#since = now;
    this.#moved = false;
    return this.open === 0 ? 0 : now - this.#since;
  }

  /** A PUBACK that is written here once the receipt is settled and its turn has come. */
  expect(packetId: number): Receipt {
    return this.#add({ packetId, answer: null, isSettled: false, failure: undefined });
  }

  /** An answer that `answer` gives once the receipt is settled and its turn has come. */
  expectFrom(answer: Receipt): Receipt {
    return this.#add({ packetId: 0, answer, isSettled: false, failure: undefined });
  }

  #add(owed: Owed): Receipt {
    if (this.#owed.length === 0) {
      this.#since = this.#parts.now();
      this.#moved = false;
    }
    this.#owed.push(owed);
    return (failure) => {
      owed.isSettled = true;
      owed.failure = failure;
      if (this.#owed[this.#next] === owed) this.#answer();
    };
  }

  #answer(): void {
    while (this.#next < this.#owed.length && this.#owed[this.#next].isSettled) {
      const { packetId, answer, failure } = this.#owed[this.#next++];
      if (answer) {
        this.#flush();
        answer(failure);
      } else if (failure) this.#parts.fail(failure);
      else if (this.#due.push(packetId) === 1) queueMicrotask(() => this.#flush());
    }
    this.#moved = true;
    this.#compact();
  }

  #compact(): void {
    if (this.#next === this.#owed.length) {
      this.#owed = [];
      this.#next = 0;
    } else if (this.#next >= 1_024) {
      this.#owed.splice(0, this.#next);
      this.#next = 0;
    }
  }

  #flush(): void {
    const due = this.#due;
    if (due.length === 0) return;
    this.#due = [];
    const bytes = Buffer.allocUnsafe(due.length * 4);
    let at = 0;
    for (const packetId of due) {
      // MQTT 3.1.1 section 3.4.
      bytes[at++] = 0x40;
      bytes[at++] = 0x02;
      bytes[at++] = packetId >> 8;
      bytes[at++] = packetId & 0xff;
    }
    this.#parts.write(bytes);
  }
}
