import { join } from 'node:path';
import type { Commit, CommitResult } from '../../src/domain/commit.ts';
import type { Engine, Recovered } from '../../src/history/engine.ts';
import type { MakeEngine } from '../contract/engine-exam.ts';
import type { HistoryStore } from '../contract/engine-history-model.ts';
import { FakeClock } from './fake-clock.ts';
import type { RigQueries } from './history-rig.ts';
import { untilStats } from './storage-commits.ts';
import { tempFolder } from './temp-folder.ts';

/** An engine through its contract alone. What it does by itself it does whenever it likes, so nothing is purged. */
export class EngineStore implements HistoryStore {
  readonly #make: MakeEngine;
  readonly #clock = new FakeClock();
  #folder = tempFolder();
  #engine: Engine;

  constructor(make: MakeEngine) {
    this.#make = make;
    this.#engine = this.#made();
  }

  get reader(): RigQueries {
    return this.#engine.reader;
  }

  open(): Promise<Recovered> {
    return this.#engine.open();
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.#engine.commit(commit);
  }

  async pass(ms: number): Promise<void> {
    this.#clock.advance(ms);
    await this.#engine.reader.stats();
  }

  async work(): Promise<void> {
    await this.#engine.reader.stats();
  }

  rollUp(): void {
    this.#clock.advance(5_000);
  }

  async settle(): Promise<void> {
    this.#clock.advance(120_000);
    await untilStats(this.#engine, ({ headReadings }) => headReadings === 0);
  }

  retain(): void {
    throw new Error('how long readings are kept is told to an engine whose steps can be watched');
  }

  kill(): Promise<Recovered> {
    return this.reopen();
  }

  async reopen(): Promise<Recovered> {
    await this.#engine.close();
    return this.#engine.open();
  }

  async restore(): Promise<Recovered> {
    const copy = tempFolder();
    await this.#engine.backup(join(copy.path, 'pulsegate.db'));
    await this.close();
    this.#folder = copy;
    this.#engine = this.#made();
    return this.#engine.open();
  }

  checkpoint(): void {
    this.#clock.advance(30_000);
  }

  facts(): null {
    return null;
  }

  async close(): Promise<void> {
    await this.#engine.close();
    this.#folder.remove();
  }

  #made(): Engine {
    return this.#make({
      dir: this.#folder.path,
      clock: this.#clock,
      sealAfterMs: 60_000,
      sealCount: 16,
      resumeWindow: { ms: 3 * 86_400_000, bytes: 1 << 16 },
      quarantineBytesMax: 10_000,
    });
  }
}
