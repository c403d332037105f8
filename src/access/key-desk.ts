import type { Clock } from '../base/clock.ts';
import { RejectedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { KeyRecord } from '../domain/key.ts';
import { isExpired, isOfNoUse, newKey } from './keys.ts';

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
 * again because its last key went; both would happen by accident and be noticed late. Requests take turns: each is judged
 * by the keys that the one before it left.
 */
export class KeyDesk {
  readonly #parts: KeyDeskParts;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: KeyDeskParts) {
    this.#parts = parts;
  }

  list(): readonly KeyRecord[] {
    return this.#parts.store.keys();
  }

  /**
   * The key in the answer is kept nowhere. `conflict`: the first key must be able to make the others; `validation_failed`:
   * a key for MQTT that may do nothing there.
   */
  create(draft: KeyDecision): Promise<{ readonly key: string; readonly record: KeyRecord }> {
    return this.#inTurn(() => this.#create(draft));
  }

  /** Replaces the fields given. Rejects as `create` does, and with `not_found`. */
  update(id: string, patch: Partial<KeyDecision>): Promise<KeyRecord> {
    return this.#inTurn(() => this.#update(id, patch));
  }

  /** `conflict` for the last key that can make others, without `force`; `not_found`. */
  remove(id: string, options: { readonly force: boolean }): Promise<void> {
    return this.#inTurn(() => this.#remove(id, options));
  }

  async #create(draft: KeyDecision): Promise<{ readonly key: string; readonly record: KeyRecord }> {
    const { store, random, clock } = this.#parts;
    refuseUseless(draft);
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

  async #update(id: string, patch: Partial<KeyDecision>): Promise<KeyRecord> {
    const { store } = this.#parts;
    const changed = store.keys().map((key) => (key.id === id ? { ...key, ...patch } : key));
    const before = this.#found(id);
    // A name can be changed whatever the key may do.
    if (patch.scopes || patch.mqtt) refuseUseless({ ...before, ...patch });
    if (this.#canMakeKeys(store.keys()) && !this.#canMakeKeys(changed))
      throw lastOne('without it nobody could make another');
    await store.updateKey(id, patch);
    return this.#found(id);
  }

  async #remove(id: string, { force }: { readonly force: boolean }): Promise<void> {
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

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

export interface KeyDeskParts {
  readonly store: KeyStore;
  /** Whether the configuration has a key of its own (`access.adminKey`), which may do everything. */
  readonly hasAdminKey: boolean;
  readonly random: Random;
  readonly clock: Clock;
}

function refuseUseless(decision: Pick<KeyDecision, 'scopes' | 'mqtt'>): void {
  if (!isOfNoUse(decision)) return;
  throw new RejectedError(
    'validation_failed',
    'a key with the scope "mqtt" may do there only what its filters say, and it has none; give it some in "mqtt" (--publish, --subscribe), "#" for everything',
    { pointer: '/mqtt' },
  );
}

function lastOne(why: string): RejectedError {
  return new RejectedError('conflict', `this is the last key with the scope "admin"; ${why}`);
}
