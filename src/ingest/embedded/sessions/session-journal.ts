import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import type { SessionChange, SessionKind } from '../../../domain/session-row.ts';

/** Takes changes to the disk: resolves after the commit that carries them, rejects when that commit failed. */
export type WriteSessions = (changes: readonly SessionChange[]) => Promise<void>;

/** How long a change waits that nobody waits for; what is undone meanwhile never reaches the disk. */
const patienceMs = 20;
const retryMs = 1_000;

type Pending =
  | {
      readonly op: 'put';
      readonly kind: SessionKind;
      readonly client: string;
      readonly key: string;
      /** Asked when the change leaves, so that it says what is true by then. */
      readonly encode: () => Uint8Array;
      /** No earlier change of this row was ever on its way. */
      readonly isNew: boolean;
    }
  | { readonly op: 'delete'; readonly kind: SessionKind; readonly client: string; readonly key: string }
  | { readonly op: 'clear'; readonly client: string };

type Changes = Map<string, Pending>;

/**
 * What is still to be written of the sessions. The last change of a row is the only one that counts. Several writes may
 * be under way: they are committed in order. When one fails, it and all behind it are noted again in their order, which
 * ends in the same state, because each change says what is, not what changes.
 */
export class SessionJournal {
  readonly #write: WriteSessions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #underWay: Changes[] = [];
  #pending: Changes = new Map();
  #next: PromiseWithResolvers<void> | undefined;
  #last: Promise<void> = Promise.resolve();
  #isDue = false;
  #isWaiting = false;
  #isFailing = false;

  constructor(parts: { readonly write: WriteSessions; readonly clock: Clock; readonly log: Log }) {
    this.#write = parts.write;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  put(kind: SessionKind, client: string, key: string, encode: () => Uint8Array, isNew = false): void {
    const name = nameOf(kind, client, key);
    const before = this.#pending.get(name);
    const stillNew = isNew || (before?.op === 'put' && before.isNew);
    this.#pending.set(name, { op: 'put', kind, client, key, encode, isNew: stillNew });
    this.#soon();
  }

  delete(kind: SessionKind, client: string, key: string): void {
    const name = nameOf(kind, client, key);
    const before = this.#pending.get(name);
    if (before?.op === 'put' && before.isNew) {
      this.#pending.delete(name);
      return;
    }
    this.#pending.set(name, { op: 'delete', kind, client, key });
    this.#soon();
  }

  /** Forgets every row of the client but its retained messages. */
  clear(client: string): void {
    forgetClient(this.#pending, client);
    this.#pending.set(nameOf('session', client, 'clear'), { op: 'clear', client });
    this.#soon();
  }

  /** Resolves once everything that was noted until now is on disk; rejects when a commit with a part of it failed. */
  written(): Promise<void> {
    if (this.#pending.size === 0) return this.#last;
    this.#next ??= Promise.withResolvers<void>();
    const { promise } = this.#next;
    if (!this.#isDue) {
      this.#isDue = true;
      queueMicrotask(() => this.#flush());
    }
    return promise;
  }

  #soon(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#clock.after(this.#isFailing ? retryMs : patienceMs, () => {
      this.#isWaiting = false;
      if (this.#pending.size > 0) this.written().catch(() => {});
    });
  }

  #flush(): void {
    this.#isDue = false;
    const settle = this.#next;
    this.#next = undefined;
    if (this.#pending.size === 0) {
      // All of it was undone in the meantime; what came before may still be under way.
      this.#last.then(
        () => settle?.resolve(),
        (error: unknown) => settle?.reject(error),
      );
      return;
    }
    const changes = this.#pending;
    this.#pending = new Map();
    this.#underWay.push(changes);
    const writing = this.#write([...changes.values()].map(changeOf));
    this.#last = writing;
    writing.then(
      () => {
        this.#underWay.splice(this.#underWay.indexOf(changes), 1);
        this.#isFailing = false;
        settle?.resolve();
      },
      (error: unknown) => {
        this.#again(changes, error);
        settle?.reject(error);
      },
    );
    settle?.promise.catch(() => {});
  }

  #again(failed: Changes, error: unknown): void {
    if (!this.#isFailing)
      this.#log.warn({ error: messageOf(error) }, 'MQTT sessions could not be written, trying again');
    this.#isFailing = true;
    const behind = this.#underWay.slice(this.#underWay.indexOf(failed));
    this.#underWay.splice(this.#underWay.indexOf(failed), 1);
    const all: Changes = new Map();
    for (const changes of [...behind, this.#pending]) {
      for (const [name, change] of changes) {
        if (change.op === 'clear') forgetClient(all, change.client);
        // Whether any of it reached the disk is not known, so an undone change is written as a deletion.
        all.set(name, change.op === 'put' ? { ...change, isNew: false } : change);
      }
    }
    this.#pending = all;
    this.#soon();
  }
}

/** Whatever is noted of the client is undone by what comes next. */
function forgetClient(changes: Changes, client: string): void {
  for (const [name, change] of changes) if (change.client === client) changes.delete(name);
}

function nameOf(kind: SessionKind, client: string, key: string): string {
  return `${kind} ${client.length} ${client}${key}`;
}

function changeOf(change: Pending): SessionChange {
  if (change.op !== 'put') return change;
  const { kind, client, key, encode } = change;
  return { op: 'put', row: { kind, client, key, bytes: encode() } };
}
