import type { Clock } from '../base/clock.ts';
import { RejectedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { KeyRecord } from '../domain/key.ts';
import { isExpired, newKey } from './keys.ts';

/** Where the records of keys are kept; changes resolve once they are durable, `not_found` and `conflict` reject. */
export interface KeyStore {
  keys(): readonly KeyRecord[];
  addKey(record: KeyRecord): Promise<void>;
  updateKey(id: string, patch: Partial<KeyDecision>): Promise<unknown>;
  removeKey(id: string): Promise<void>;
}

/** What a person decides about a key. */
export type KeyDecision = Pick<KeyRecord, 'name' | 'scopes' | 'mqtt' | 'expiresAt'>;

/**
 * Makes, changes and removes keys. It never leaves a gateway whose keys cannot make another one, nor one that is open
 * again because its last key went; both would happen by accident and be noticed late.
 */
export class KeyDesk {
  readonly #parts: KeyDeskParts;

  constructor(parts: KeyDeskParts) {
    this.#parts = parts;
  }

  list(): readonly KeyRecord[] {
    return this.#parts.store.keys();
  }

  /** The key in the answer is kept nowhere. `conflict`: the first key must be able to make the others. */
  async create(draft: KeyDecision): Promise<{ readonly key: string; readonly record: KeyRecord }> {
    const { store, random, clock } = this.#parts;
    const made = newKey(random, { ...draft, createdAt: new Date(clock.now()).toISOString() });
    if (!this.#canMakeKeys([...store.keys(), made.record])) {
      throw new RejectedError(
        'conflict',
        'the first key must have the scope "admin" and not have expired, or nobody could make another',
      );
    }
    await store.addKey(made.record);
    return made;
  }

  async update(id: string, patch: Partial<KeyDecision>): Promise<KeyRecord> {
    const { store } = this.#parts;
    const changed = store.keys().map((key) => (key.id === id ? { ...key, ...patch } : key));
    this.#found(id);
    if (this.#canMakeKeys(store.keys()) && !this.#canMakeKeys(changed))
      throw lastOne('without it nobody could make another');
    await store.updateKey(id, patch);
    return this.#found(id);
  }

  async remove(id: string, { force }: { readonly force: boolean }): Promise<void> {
    const { store } = this.#parts;
    this.#found(id);
    const others = store.keys().filter((key) => key.id !== id);
    if (!force && this.#canMakeKeys(store.keys()) && !this.#canMakeKeys(others)) {
      throw lastOne(
        'without any key the gateway is open to everybody on its machine. ?force=true (--force) if that is meant',
      );
    }
    await store.removeKey(id);
  }

  /** Whether one of the keys, or the one of the configuration, may make others now. */
  #canMakeKeys(keys: readonly KeyRecord[]): boolean {
    const now = this.#parts.clock.now();
    return this.#parts.hasAdminKey || keys.some((key) => key.scopes.includes('admin') && !isExpired(key, now));
  }

  #found(id: string): KeyRecord {
    const key = this.#parts.store.keys().find((key) => key.id === id);
    if (!key) throw new RejectedError('not_found', `there is no key "${id}"; GET /api/v1/keys lists them`);
    return key;
  }
}

export interface KeyDeskParts {
  readonly store: KeyStore;
  /** Whether the configuration has a key of its own (`access.adminKey`), which may do everything. */
  readonly hasAdminKey: boolean;
  readonly random: Random;
  readonly clock: Clock;
}

function lastOne(why: string): RejectedError {
  return new RejectedError('conflict', `this is the last key with the scope "admin"; ${why}`);
}
