import type { SessionChange, SessionRow } from '../../../src/domain/session-row.ts';

/** Rows as the engine keeps them: applied in order, in the order in which they were first put, and a turn later. */
export class SessionDisk {
  readonly #rows = new Map<string, SessionRow>();
  #isDead = false;
  /** Commits with changes in them. */
  commits = 0;

  get rows(): readonly SessionRow[] {
    return [...this.#rows.values()];
  }

  readonly write = async (changes: readonly SessionChange[]): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    // The process is gone: whatever is still done in its name reaches no disk.
    if (this.#isDead) return;
    this.commits++;
    for (const change of changes) this.#apply(change);
  };

  /** What a kill leaves: nothing is written any more by whoever has this one, and `successor` begins with its rows. */
  kill(): SessionDisk {
    this.#isDead = true;
    const successor = new SessionDisk();
    for (const [name, row] of this.#rows) successor.#rows.set(name, row);
    return successor;
  }

  #apply(change: SessionChange): void {
    if (change.op === 'put') this.#rows.set(nameOf(change.row), change.row);
    else if (change.op === 'delete') this.#rows.delete(nameOf(change));
    else {
      for (const [name, row] of this.#rows) {
        if (row.client === change.client && row.kind !== 'retained') this.#rows.delete(name);
      }
    }
  }
}

function nameOf({ kind, client, key }: Pick<SessionRow, 'kind' | 'client' | 'key'>): string {
  return JSON.stringify([kind, client, key]);
}
