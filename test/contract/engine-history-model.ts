import * as fc from 'fast-check';
import { expect } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { CommitResult } from '../../src/domain/commit.ts';
import type { Deletion } from '../../src/domain/deletion.ts';
import { disposition, type Value } from '../../src/domain/reading.ts';
import { type RetentionPlan, type RetentionPolicy, rollupTiers } from '../../src/domain/retention.ts';
import type { Series } from '../../src/domain/series.ts';
import type { Recovered } from '../../src/history/engine.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { Sample } from '../../src/history/reader.ts';
import { HistoryModel, type Looked } from '../support/history-model.ts';
import { type Asked, askAll, askEverything, pagesOf } from '../support/history-questions.ts';
import type { KeptFacts, RigQueries } from '../support/history-rig.ts';
import { commitOf, type Row } from '../support/storage-commits.ts';

export const historySeries: readonly Series[] = [1, 2, 3, 4].map((id) => ({
  id,
  device: id < 4 ? 'wearable-1' : 'pump-1',
  metric: `m${id}`,
}));
const seriesIds = historySeries.map(({ id }) => id);

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const { windowMs } = rollupTiers.minute;
/** Half a day before a window of hours ends, so that what happens crosses that. */
const start = rollupTiers.hour.windowMs * 1_380 - 12 * hour;

/** A time that is found again: windows back from now, and one of few places in a window. */
interface Place {
  readonly back: number;
  readonly minute: number;
  readonly ms: number;
}

export type HistoryStep =
  | {
      readonly kind: 'burst';
      readonly series: readonly number[];
      readonly at: Place;
      readonly step: number;
      readonly values: readonly Value[];
    }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly [number, Place, Value])[] }
  | {
      readonly kind: 'erase';
      readonly series: readonly number[];
      readonly from: Place | null;
      readonly to: Place | null;
      readonly rows: readonly (readonly [number, Place, Value])[];
    }
  | { readonly kind: 'later'; readonly ms: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'work'; readonly steps: number }
  | { readonly kind: 'rollUp'; readonly meanwhile: HistoryStep | null }
  | { readonly kind: 'settle' }
  | { readonly kind: 'retain'; readonly policies: readonly RetentionPolicy[] }
  | { readonly kind: 'kill' | 'reopen' | 'restore' | 'checkpoint' }
  | { readonly kind: 'ask'; readonly seed: number }
  | { readonly kind: 'browse'; readonly seed: number };

const series = fc.constantFrom(...seriesIds);
const place: fc.Arbitrary<Place> = fc.record({
  back: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 4 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 70 }) },
  ),
  minute: fc.constantFrom(0, 1, 59, 60, 61, 180, 359),
  ms: fc.constantFrom(0, 1, 2, 20, 59_999),
});
/** Exact in sums. */
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 14, arbitrary: fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8) },
  { weight: 1, arbitrary: fc.constantFrom<Value>(-0, true, false, 'on', 'öff', '', 123_456.5) },
);
const numbers = fc.array(
  fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8),
  { minLength: 1, maxLength: 90 },
);
const rows: fc.Arbitrary<(readonly [number, Place, Value])[]> = fc.array(fc.tuple(series, place, value), {
  maxLength: 25,
});
const somewhere: fc.Arbitrary<Place | null> = fc.option(place);
const seed = fc.integer({ min: 0, max: 2 ** 31 });

const burst: fc.Arbitrary<HistoryStep> = fc.record({
  kind: fc.constant('burst'),
  // Those of one message share their times.
  series: fc.oneof(
    series.map((id) => [id]),
    fc.subarray([1, 2, 3], { minLength: 2 }),
  ),
  at: place,
  step: fc.constantFrom(1, 7, 1_000, 20_000, minute, 7 * minute, hour),
  values: fc.oneof(
    { weight: 5, arbitrary: numbers },
    { weight: 1, arbitrary: fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }) },
    { weight: 1, arbitrary: fc.array(value, { minLength: 1, maxLength: 60 }) },
  ),
});
const scattered: fc.Arbitrary<HistoryStep> = fc.record({ kind: fc.constant('rows'), rows });
const erase: fc.Arbitrary<HistoryStep> = fc.record({
  kind: fc.constant('erase'),
  series: fc.oneof(
    series.map((id) => [id]),
    fc.constant(seriesIds),
  ),
  from: somewhere,
  to: somewhere,
  rows: fc.oneof({ weight: 3, arbitrary: rows.map(() => []) }, { weight: 1, arbitrary: rows }),
});
const pass: fc.Arbitrary<HistoryStep> = fc.record({
  kind: fc.constant('pass'),
  ms: fc.constantFrom(5_000, 61_000, 61_000, 61_000),
});
const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  raw: fc.constantFrom(null, 6 * hour, 12 * hour, day, 3 * day),
  minute: fc.constantFrom(null, 0, 6 * hour, day, 2 * day, 5 * day),
  hour: fc.constantFrom(null, 0, day, 15 * day, 30 * day),
});

const writing = [
  { weight: 10, arbitrary: burst },
  { weight: 4, arbitrary: scattered },
  { weight: 3, arbitrary: erase },
];
const passing = [
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('later' as const),
      ms: fc.constantFrom(minute, hour, 6 * hour, 6 * hour, day, 4 * day, 20 * day),
    }),
  },
  { weight: 8, arbitrary: pass },
  { weight: 2, arbitrary: fc.constant<HistoryStep>({ kind: 'settle' }) },
];
const restarting = [
  { weight: 3, arbitrary: fc.constantFrom<HistoryStep>({ kind: 'kill' }, { kind: 'kill' }, { kind: 'reopen' }) },
  { weight: 1, arbitrary: fc.constantFrom<HistoryStep>({ kind: 'restore' }, { kind: 'checkpoint' }) },
];
const asking = [
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), seed }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('browse' as const), seed }) },
];

/** All that can happen to a store of which every step can be watched. */
export const anyStep: fc.Arbitrary<HistoryStep> = fc.oneof(
  ...writing,
  ...passing,
  ...restarting,
  ...asking,
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('work' as const), steps: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('rollUp' as const),
      meanwhile: fc.option(fc.oneof(burst, scattered, erase, pass)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('retain' as const),
      policies: fc.array(policy, { minLength: seriesIds.length, maxLength: seriesIds.length }),
    }),
  },
);

/** What happens to any engine through its contract; its work goes on by itself. */
export const outerStep: fc.Arbitrary<HistoryStep> = fc.oneof(...writing, ...passing, ...restarting, ...asking);

/** What a script runs on. What is not waited for may go on while questions are asked. */
export interface HistoryStore {
  readonly reader: RigQueries;
  commit(commit: Commit): Promise<CommitResult> | CommitResult;
  pass(ms: number): Promise<void> | void;
  work(steps: number): Promise<void> | void;
  rollUp(meanwhile: () => void): Promise<void> | void;
  /** Works until nothing is left; `watch` hears of each step. */
  settle(watch: StepWatch): Promise<void> | void;
  retain(plan: RetentionPlan): void;
  kill(): Promise<Recovered> | Recovered;
  reopen(): Promise<Recovered> | Recovered;
  restore(): Promise<Recovered> | Recovered;
  checkpoint(): void;
  /** How far it is purged and summed up, and what is in memory alone; null where nothing is purged. */
  facts(series: number): { readonly kept: KeptFacts; readonly unsealed: readonly number[] } | null;
  /** What has to be so whatever happened, seen from inside; `isSettled`: when nothing is left to be done. */
  inspect?(model: HistoryModel, isSettled: boolean): void;
}

export interface StepWatch {
  /** Readings are about to be summed up. */
  summing(): void;
  /** A step is done. */
  done(): void;
}

/** Plays a script on a store and on the model, and compares. */
export class HistoryScript {
  readonly #store: HistoryStore;
  readonly #model = new HistoryModel();
  readonly #looked = new Map<number, Looked>();
  #seq = 0;
  #at = start + day;

  constructor(store: HistoryStore, options: { readonly isBudgeted?: boolean } = {}) {
    this.#store = store;
    this.#model.isBudgeted = options.isBudgeted ?? false;
  }

  async play(steps: readonly HistoryStep[]): Promise<void> {
    await this.#commit([], { newSeries: historySeries });
    for (const step of steps) await this.#step(step);
    await this.#settle();
    await askAll(this.#asked());
    for (const question of [1, 2, 3]) await askEverything(this.#asked(), seededRandom(question));
    this.#restarted(await this.#store.kill());
    await askAll(this.#asked());
  }

  async #step(step: HistoryStep): Promise<void> {
    const store = this.#store;
    switch (step.kind) {
      case 'burst':
      case 'rows':
      case 'erase':
        await this.#write(step);
        break;
      case 'later':
        this.#at += step.ms;
        await this.#commit([]);
        break;
      case 'pass':
        await store.pass(step.ms);
        break;
      case 'work':
        for (let turn = 0; turn < step.steps; turn++) {
          await store.work(1);
          this.#follow();
        }
        break;
      case 'rollUp':
        this.#look();
        await store.rollUp(() => this.#meanwhile(step.meanwhile));
        this.#follow(true);
        break;
      case 'settle':
        await this.#settle();
        await askAll(this.#asked());
        break;
      case 'retain':
        this.#retain(step.policies);
        break;
      case 'kill':
      case 'reopen':
      case 'restore':
        this.#restarted(await store[step.kind]());
        break;
      case 'checkpoint':
        store.checkpoint();
        break;
      case 'ask':
        await askEverything(this.#asked(), seededRandom(step.seed));
        break;
      default:
        await this.#browse(seededRandom(step.seed));
    }
    this.#follow();
  }

  /** Of a store whose commits are done at once. */
  #meanwhile(step: HistoryStep | null): void {
    if (step?.kind === 'pass') {
      void this.#store.pass(step.ms);
      void this.#store.work(1);
      this.#follow();
    } else if (step?.kind === 'burst' || step?.kind === 'rows' || step?.kind === 'erase') {
      const commit = this.#commitOf(step);
      const result = this.#store.commit(commit.commit);
      if (!(result instanceof Promise)) this.#check(commit, result);
    }
  }

  async #settle(): Promise<void> {
    let isSumming = false;
    await this.#store.settle({
      summing: () => {
        isSumming = true;
        this.#look();
      },
      done: () => {
        this.#follow(isSumming);
        isSumming = false;
      },
    });
    this.#follow();
    this.#store.inspect?.(this.#model, true);
  }

  /** What is summed up next is what there is now. */
  #look(): void {
    for (const id of seriesIds) {
      const facts = this.#store.facts(id);
      if (facts) this.#looked.set(id, this.#model.look(id, facts.unsealed));
    }
  }

  #follow(wasSummedUp = false): void {
    for (const id of seriesIds) {
      const facts = this.#store.facts(id);
      const looked = wasSummedUp ? (this.#looked.get(id) ?? null) : null;
      if (facts) this.#model.follow(id, facts.kept, facts.unsealed, looked);
    }
    this.#store.inspect?.(this.#model, false);
  }

  #retain(policies: readonly RetentionPolicy[]): void {
    const ofSeries = new Uint16Array(seriesIds.length + 1);
    for (const [index, id] of seriesIds.entries()) ofSeries[id] = index;
    this.#store.retain({ policies, ofSeries });
    this.#model.retain(new Map(seriesIds.map((id, index) => [id, policies[index]])));
  }

  async #write(step: Extract<HistoryStep, { kind: 'burst' | 'rows' | 'erase' }>): Promise<void> {
    const commit = this.#commitOf(step);
    this.#check(commit, await this.#store.commit(commit.commit));
  }

  async #commit(rows: readonly Row[], parts: Partial<Commit> = {}): Promise<void> {
    const commit = this.#commitWith(rows, parts);
    this.#check(commit, await this.#store.commit(commit.commit));
  }

  #commitOf(step: Extract<HistoryStep, { kind: 'burst' | 'rows' | 'erase' }>): Written {
    switch (step.kind) {
      case 'burst': {
        const begin = this.#time(step.at);
        const ofSeries = (id: number): Row[] =>
          step.values.map((what, index) => [id, begin + index * step.step, what] as const);
        return this.#commitWith(step.series.flatMap(ofSeries));
      }
      case 'rows':
        return this.#commitWith(this.#rows(step.rows));
      default: {
        const from = step.from ? this.#time(step.from) : Number.MIN_SAFE_INTEGER;
        const to = step.to ? this.#time(step.to) : Number.MAX_SAFE_INTEGER;
        const [begin, end] = [Math.min(from, to), Math.max(from, to)];
        const deletions = step.series.map((id) => ({ series: id, from: begin, to: end }));
        return this.#commitWith(this.#rows(step.rows), { deletions });
      }
    }
  }

  #commitWith(rows: readonly Row[], parts: Partial<Commit> = {}): Written {
    const seq = ++this.#seq;
    return { commit: commitOf(seq, rows, { at: this.#at, ...parts }), rows, deletions: parts.deletions ?? [] };
  }

  #rows(of: readonly (readonly [number, Place, Value])[]): Row[] {
    return of.map(([id, at, what]) => [id, this.#time(at), what]);
  }

  #time({ back, minute: minutes, ms }: Place): number {
    return Math.floor(this.#at / windowMs) * windowMs - back * windowMs + minutes * minute + ms;
  }

  #check({ commit, rows, deletions }: Written, { dispositions, deleted }: CommitResult): void {
    const model = this.#model;
    const erased = model.erase(deletions, commit.seq);
    for (const deletion of deletions) {
      const facts = this.#store.facts(deletion.series);
      if (facts) model.reopen(deletion, facts.kept.rawFrom);
    }
    const afterErasing = new Map(seriesIds.map((id) => [id, model.of(id).newest()]));
    const expected = model.write(commit.seq, commit.at, rows, dispositions);
    const found = dispositions ? [...dispositions].slice(0, rows.length) : rows.map(() => disposition.stored);
    expect(found, 'dispositions').toEqual(expected);
    if (deletions.length === 0) {
      expect(deleted).toBeNull();
    } else {
      expect(deleted?.readings).toBeGreaterThanOrEqual(erased.surely);
      expect(deleted?.readings).toBeLessThanOrEqual(erased.surely + erased.perhaps);
      for (const { series: id, time, value: what } of deleted?.newest ?? []) {
        this.#checkNewest(
          id,
          time === null || what === null ? null : { time, value: what },
          afterErasing.get(id) ?? null,
        );
      }
    }
    this.#follow();
  }

  /** Of a series of which nothing is kept, the newest known may be one that was purged. */
  #checkNewest(id: number, found: Sample | null, kept: Sample | null): void {
    const { forgotten } = this.#model.of(id);
    if (kept === null && found !== null) {
      expect({ id, time: found.time, isKnown: forgotten.has(found.time) }).toEqual({
        id,
        time: found.time,
        isKnown: true,
      });
      return;
    }
    expect({ id, ...found }).toEqual({ id, ...kept });
  }

  #restarted({ seq, series: heads, lastCommitAt }: Recovered): void {
    expect({ seq, lastCommitAt }).toEqual({ seq: this.#seq, lastCommitAt: this.#at });
    for (const { id, time, value: what } of heads) {
      const found = time === null || what === null ? null : { time, value: what };
      this.#checkNewest(id, found, this.#model.of(id).newest());
    }
  }

  #asked(): Asked {
    const time = (random: Random): number => {
      const back = Math.floor(random.next() * (random.next() < 0.7 ? 5 : 70));
      const minutes = [0, 1, 59, 60, 61, 180, 359, 360][Math.floor(random.next() * 8)];
      return this.#time({ back, minute: minutes, ms: [0, 0, 1, 2, 20, 59_999][Math.floor(random.next() * 6)] });
    };
    return { reader: this.#store.reader, model: this.#model, series: seriesIds, time };
  }

  /** Reads page by page while the store works: what was there all the time is told once, and nothing else but what came or went. */
  async #browse(random: Random): Promise<void> {
    const { reader, model } = { reader: this.#store.reader, model: this.#model };
    const ranges = seriesIds.map((id) => ({ series: id, from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }));
    const order = random.next() < 0.5 ? 'asc' : 'desc';
    const limit = 1 + Math.floor(random.next() * 60);
    const before = seriesIds.map((id) => model.of(id).samples());
    const found = await pagesOf(reader, ranges, order, limit, () => {
      if (random.next() < 0.3) void this.#store.pass(61_000);
      void this.#store.work(1);
      this.#follow();
      if (random.next() > 0.2) return;
      this.#look();
      void this.#store.rollUp(() => undefined);
      this.#follow(true);
    });
    for (const [index, id] of seriesIds.entries()) {
      const told = order === 'asc' ? found[index] : found[index].toReversed();
      const after = model.of(id).kept;
      // Nothing was written meanwhile, but something may have been purged.
      const times = told.map(({ time }) => time);
      expect(new Set(times).size, `series ${id} is told once`).toBe(times.length);
      expect(told.filter(({ time }) => after.has(time))).toEqual(before[index].filter(({ time }) => after.has(time)));
      const known = new Set(before[index].map(({ time }) => time));
      expect(times.filter((time) => !known.has(time))).toEqual([]);
    }
  }
}

interface Written {
  readonly commit: Commit;
  readonly rows: readonly Row[];
  readonly deletions: readonly Deletion[];
}
