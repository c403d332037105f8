import type { DamagedStretch } from '../../../history/queries.ts';
import type { SnapshotChunks } from './reader-chunks.ts';

/** Most damaged stretches that an answer names. */
const stretchesMax = 1_000;

/** What was found damaged over several snapshots, each chunk once. */
export class DamageList {
  readonly #found = new Map<string, DamagedStretch>();

  add(chunks: SnapshotChunks): void {
    for (const stretch of chunks.damaged) {
      const key = `${stretch.series}/${stretch.firstTime}/${stretch.lastTime}`;
      if (this.#found.size < stretchesMax) this.#found.set(key, stretch);
    }
  }

  list(): readonly DamagedStretch[] {
    return [...this.#found.values()];
  }
}
