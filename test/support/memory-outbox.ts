import type { Attempt, Delivery, DeliveryRecord } from '../../src/domain/delivery.ts';
import { comparePositions, type DeliveryStore, type PendingQuery } from '../../src/webhooks/ports.ts';

/**
 * The outbox as the engine keeps it, in memory: commits of deliveries, and attempts that change them. It outlives the
 * couriers of a test; `connect` gives each its own door, which a crash can shut.
 */
export class MemoryOutbox {
  readonly #records = new Map<string, DeliveryRecord>();
  readonly #waiting = new Set<{ readonly holds: () => boolean; readonly resolve: () => void }>();
  readonly attempts: Attempt[] = [];
  /** How many pages were read. */
  pages = 0;
  /** The next so many calls of `record` reject. */
  failingRecords = 0;
  /** The next so many calls of `pending` reject. */
  failingPages = 0;
  #seq = 0;

  /** One commit; returns the records for `Courier.accept`. */
  commit(deliveries: readonly Delivery[]): DeliveryRecord[] {
    this.#seq++;
    const records = deliveries.map(
      (delivery): DeliveryRecord => ({ ...delivery, seq: this.#seq, state: 'pending', attempts: 0, nextAttemptAt: 0 }),
    );
    for (const record of records) this.#records.set(record.id, record);
    return records;
  }

  cancel(webhookId: string): void {
    for (const record of this.#records.values()) {
      if (record.webhookId === webhookId && record.state === 'pending') {
        this.#records.set(record.id, { ...record, state: 'cancelled', nextAttemptAt: null });
      }
    }
  }

  delivery(id: string): DeliveryRecord | undefined {
    return this.#records.get(id);
  }

  count(state: DeliveryRecord['state']): number {
    return [...this.#records.values()].filter((record) => record.state === state).length;
  }

  /** Resolves once `holds` is true; asked after every recorded attempt. */
  async until(holds: () => boolean): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      this.#waiting.add({ holds, resolve });
    });
  }

  /** Resolves once `count` attempts in all are recorded and their courier has heard of it. */
  async recorded(count: number): Promise<void> {
    await this.until(() => this.attempts.length >= count);
    await settled();
  }

  connect(): { readonly store: DeliveryStore; readonly crash: () => void } {
    let alive = true;
    const never = new Promise<never>(() => {});
    const store: DeliveryStore = {
      pending: async (query) => {
        if (!alive) return await never;
        const page = this.#pending(query);
        // A real store answers later, and commits go on meanwhile.
        for (let turn = 0; turn < 4; turn++) await settled();
        return page;
      },
      record: async (attempt) => (alive ? this.#record(attempt) : await never),
    };
    return {
      store,
      crash: () => {
        alive = false;
      },
    };
  }

  #pending({ webhookId, after, limit }: PendingQuery): DeliveryRecord[] {
    this.pages++;
    if (this.failingPages > 0) {
      this.failingPages--;
      throw new Error('the store is closed for a moment');
    }
    return [...this.#records.values()]
      .filter((record) => record.webhookId === webhookId && record.state === 'pending')
      .filter((record) => !after || comparePositions(record, after) > 0)
      .sort(comparePositions)
      .slice(0, limit);
  }

  #record(attempt: Attempt): void {
    if (this.failingRecords > 0) {
      this.failingRecords--;
      for (const waiting of this.#waiting) this.#ask(waiting);
      throw new Error('the commit failed');
    }
    const record = this.#records.get(attempt.deliveryId);
    if (!record) throw new Error(`an attempt of ${attempt.deliveryId}, which was never committed`);
    this.attempts.push(attempt);
    this.#records.set(record.id, {
      ...record,
      state: attempt.outcome === 'retry' ? 'pending' : attempt.outcome,
      attempts: attempt.number,
      nextAttemptAt: attempt.nextAttemptAt,
    });
    for (const waiting of this.#waiting) this.#ask(waiting);
  }

  #ask(waiting: { readonly holds: () => boolean; readonly resolve: () => void }): void {
    if (!waiting.holds()) return;
    this.#waiting.delete(waiting);
    waiting.resolve();
  }
}

/** Lets every promise that can go on go on. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
