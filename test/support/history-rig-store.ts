import { expect } from 'vitest';
import type { Commit, CommitResult } from '../../src/domain/commit.ts';
import type { RetentionPlan } from '../../src/domain/retention.ts';
import type { Recovered } from '../../src/history/engine.ts';
import type { WriterOptions } from '../../src/storage/sqlite/writer.ts';
import { historySeries, type HistoryStore, type StepWatch } from '../contract/engine-history-model.ts';
import type { HistoryModel } from './history-model.ts';
import { HistoryRig, type KeptFacts, type RigQueries } from './history-rig.ts';

const options: WriterOptions = {
  sealAfterMs: 60_000,
  sealCount: 16,
  resumeWindow: { ms: 3 * 86_400_000, bytes: 1 << 16 },
  quarantineBytesMax: 10_000,
  bytesMax: 0,
  alertsKeptMs: null,
  deliveriesKeptMs: null,
  reserveBytes: 0,
};

/** The engine without its threads as what a script runs on: every step is watched, and files are looked into. */
export class RigStore implements HistoryStore {
  readonly rig: HistoryRig;
  readonly reader: RigQueries;

  /** `bytesMax`: the budget of the store; 0: none. `sealCount`: readings in a full chunk. */
  constructor({ bytesMax = 0, sealCount = options.sealCount } = {}) {
    this.rig = new HistoryRig({ ...options, bytesMax, sealCount });
    this.reader = this.rig.reader;
  }

  commit(commit: Commit): CommitResult {
    return this.rig.commit(commit);
  }

  pass(ms: number): void {
    this.rig.pass(ms);
  }

  work(steps: number): void {
    for (let step = 0; step < steps; step++) this.rig.work();
  }

  rollUp(meanwhile: () => void): void {
    this.rig.rollUp(meanwhile);
  }

  retain(plan: RetentionPlan): void {
    this.rig.retain(plan);
  }

  settle(watch: StepWatch): void {
    const work = (): boolean => {
      const isMore = this.rig.work();
      watch.done();
      return isMore;
    };
    const rollUp = (): boolean => {
      watch.summing();
      const isMore = this.rig.rollUp();
      watch.done();
      return isMore;
    };
    // Purging asks for sums, and sums let purging go on.
    for (let round = 0; round < 6; round++) {
      this.rig.pass(61_000);
      this.#until(work);
      this.#until(rollUp);
    }
    this.rig.pass(5_000);
    this.#until(work);
    this.rig.checkpoint();
  }

  kill(): Recovered {
    this.rig.kill();
    return this.rig.recovered;
  }

  reopen(): Recovered {
    this.rig.reopen();
    return this.rig.recovered;
  }

  restore(): Recovered {
    this.rig.restore();
    return this.rig.recovered;
  }

  checkpoint(): void {
    this.rig.checkpoint();
  }

  facts(series: number): { readonly kept: KeptFacts; readonly unsealed: readonly number[] } {
    return { kept: this.rig.facts(series), unsealed: this.rig.unsealed(series) };
  }

  inspect(model: HistoryModel, isSettled: boolean): void {
    expect(this.rig.overlaps(), 'chunks in order that overlap').toBe(0);
    if (!isSettled) return;
    expect(this.rig.rows('erasure'), 'deletions that are not done').toBe(0);
    expect(this.rig.findings(), 'what the doctor finds').toEqual([]);
    for (const { id } of historySeries) {
      const { kept, forgotten } = model.of(id);
      const strange = [...this.rig.chunkTimes(id)].filter((time) => !kept.has(time) && !forgotten.has(time));
      expect(strange, `deleted readings in the chunks of series ${id}`).toEqual([]);
    }
  }

  /** Work that never ends is a fault. */
  #until(isMore: () => boolean): void {
    let turns = 0;
    while (isMore()) if (++turns > 20_000) throw new Error('there is always something left to do');
  }
}
