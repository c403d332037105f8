import type { DeviceFact, DeviceRecord, DeviceStatus, StatusChange } from '../domain/device.ts';

/**
 * The status of every device as the store has it, to tell a change from what is only said again. What was recovered is
 * unconfirmed: the next fact about it is kept though it says the same, because nobody knows whether it still holds.
 */
export class StatusBook {
  readonly #known = new Map<string, DeviceStatus>();
  readonly #unconfirmed = new Set<string>();

  load(records: readonly DeviceRecord[]): void {
    for (const { device, status } of records) {
      if (status === null) continue;
      this.#known.set(device, status);
      this.#unconfirmed.add(device);
    }
  }

  /** What a commit would make of it; nothing changes before `apply`. */
  begin(): StatusDraft {
    return new StatusDraft(this.#known, this.#unconfirmed);
  }
}

/** One commit's facts, in order. */
export class StatusDraft {
  readonly #known: Map<string, DeviceStatus>;
  readonly #unconfirmed: Set<string>;
  /** The last fact about the status of each device; null for a device that is forgotten. */
  readonly #last = new Map<string, DeviceFact | null>();

  constructor(known: Map<string, DeviceStatus>, unconfirmed: Set<string>) {
    this.#known = known;
    this.#unconfirmed = unconfirmed;
  }

  /** False for what connections and silence tell of a status that is known already: it is not worth a row. */
  admit(fact: DeviceFact): boolean {
    const { device, status, cause } = fact;
    if (status === undefined) return true;
    const isOwnWord = cause === undefined || cause === 'reported';
    if (!isOwnWord && this.#status(device) === status && !this.#isUnconfirmed(device)) return false;
    this.#last.set(device, fact);
    return true;
  }

  forget(device: string): void {
    this.#last.set(device, null);
  }

  /** Devices whose status is another after the commit than before; what comes and goes within it is none. */
  changes(): readonly StatusChange[] {
    const changes: StatusChange[] = [];
    for (const [device, fact] of this.#last) {
      const previous = this.#known.get(device) ?? null;
      if (!fact?.status || fact.status === previous) continue;
      changes.push({ device, status: fact.status, cause: fact.cause ?? 'reported', at: fact.at, previous });
    }
    return changes;
  }

  apply(): void {
    for (const [device, fact] of this.#last) {
      this.#unconfirmed.delete(device);
      if (fact?.status) this.#known.set(device, fact.status);
      else this.#known.delete(device);
    }
  }

  #status(device: string): DeviceStatus | null {
    const last = this.#last.get(device);
    if (last !== undefined) return last?.status ?? null;
    return this.#known.get(device) ?? null;
  }

  #isUnconfirmed(device: string): boolean {
    return this.#unconfirmed.has(device) && !this.#last.has(device);
  }
}
