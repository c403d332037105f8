import { beforeEach, describe, expect, it } from 'vitest';
import { StopStack } from '../../src/base/lifecycle.ts';
import { silentLog } from '../../src/base/log.ts';
import type { CatalogListener } from '../../src/catalog/catalog.ts';
import { frozen } from '../../src/catalog/snapshot.ts';
import type { Registration } from '../../src/domain/registration.ts';
import type { GoneChanges, RetentionPlan, RetentionRule } from '../../src/domain/retention.ts';
import { RetentionBook } from '../../src/history/retention-book.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';
import { followRetention } from '../../src/wiring/retention.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settle } from '../support/pipeline-rig.ts';

const day = 86_400_000;
const noLists = { rules: [], webhooks: [], profiles: [], mappings: [], retention: [] };

/** What the engine was told, as how long each series is kept raw. */
let plans: (number | null)[][];
let clock: FakeClock;
let registry: SeriesRegistry;
let stops: StopStack;
let tags: Record<string, string>;
let listener: CatalogListener | undefined;
let reopened: (() => Promise<void>) | undefined;
let goneListener: ((changes: GoneChanges) => void) | undefined;
let failure: Error | null;
/** Each says of a plan that readings of the first series are gone before a time. */
let answers: ((goneBefore: number) => void)[];
let retention: RetentionBook;
let following: Promise<void>;

beforeEach(() => {
  plans = [];
  clock = new FakeClock();
  registry = new SeriesRegistry({ seriesMax: 100, metricsMax: 100 });
  stops = new StopStack(clock, silentLog);
  tags = {};
  failure = null;
  answers = [];
  registry.assign('a', 'x');
  retention = new RetentionBook({
    defaults: { raw: null, minute: null, hour: null },
    series: registry,
    tagsOf: () => tags,
  });
  const retain = ({ policies, ofSeries }: RetentionPlan): Promise<Float64Array<ArrayBuffer>> => {
    if (failure) return Promise.reject(failure);
    plans.push(Array.from(ofSeries.subarray(1), (index) => policies[index].raw));
    const { promise, resolve } = Promise.withResolvers<Float64Array<ArrayBuffer>>();
    answers.push((goneBefore) => resolve(Float64Array.of(Number.NaN, goneBefore)));
    return promise;
  };
  following = followRetention(
    { clock, log: silentLog, stops },
    {
      catalog: {
        subscribe(given) {
          listener = given;
          return () => {
            listener = undefined;
          };
        },
      },
      memory: {
        engine: {
          open: unasked,
          commit: unasked,
          backup: unasked,
          close: unasked,
          reader: Object.create(null),
          retain,
          onGone(given) {
            goneListener = given;
          },
        },
        retention,
      },
      stream: {
        onReopened(given) {
          reopened = given;
        },
      },
    },
  );
});

function unasked(): never {
  throw new Error('not asked here');
}

function decide(
  before: readonly RetentionRule[],
  after: readonly RetentionRule[],
  registrations: readonly string[] = [],
) {
  const live = new Map<string, Registration>();
  const previous = frozen({ ...noLists, retention: before }, live);
  const snapshot = before === after ? previous : frozen({ ...noLists, retention: after }, live);
  listener?.(snapshot, previous, { registrations, keys: false });
}

const rule: RetentionRule = {
  name: 'r',
  device: '*',
  metric: '*',
  tag: 'room:lab',
  raw: day,
  minute: null,
  hour: null,
};

describe('the engine', () => {
  it('is told at the start, and of rules when they change', () => {
    expect(plans).toEqual([[null]]);
    decide([], [{ ...rule, tag: null }]);
    expect(plans).toEqual([[null], [day]]);
    const unchanged: readonly RetentionRule[] = [];
    decide(unchanged, unchanged);
    expect(plans.length).toBe(2);
  });

  it('has said what is gone before anything is taken in', async () => {
    let isFollowing = false;
    void following.then(() => (isFollowing = true));
    await settle();
    expect(isFollowing).toBe(false);
    answers[0](5 * day);
    await following;
    expect(retention.keptFromOf('a', 'x', 9 * day).gone).toBe(5 * day);
  });

  it('has said so also when rules change before it has answered', async () => {
    let isFollowing = false;
    void following.then(() => (isFollowing = true));
    decide([], [{ ...rule, tag: null }]);
    answers[0](1_000);
    await settle();
    expect(isFollowing).toBe(false);
    answers[1](2_000);
    await following;
    expect(retention.keptFromOf('a', 'x', 0).gone).toBe(2_000);
  });

  it('is told when tags make another rule hold, and not when they do not', () => {
    const rules = [rule];
    decide([], rules);
    tags = { room: 'hall' };
    decide(rules, rules, ['a']);
    tags = { room: 'lab' };
    decide(rules, rules, ['a']);
    expect(plans).toEqual([[null], [null], [day]]);
  });

  it('is told of new series within a minute, and otherwise left alone', () => {
    clock.advance(600_000);
    expect(plans.length).toBe(1);
    registry.assign('a', 'y');
    clock.advance(60_000);
    expect(plans).toEqual([[null], [null, null]]);
  });

  it('is told again when the store was opened anew, or did not take it', async () => {
    void reopened?.();
    expect(plans.length).toBe(2);
    failure = new Error('closed');
    decide([], [{ ...rule, tag: null }]);
    await settle(2);
    failure = null;
    clock.advance(60_000);
    expect(plans.at(-1)).toEqual([day]);
  });

  it('says what is gone, and only the answer to the last plan counts', async () => {
    answers[0](1_000);
    await settle(2);
    expect(retention.keptFrom(clock.now())).toBe(1_000);
    decide([], [{ ...rule, tag: null }]);
    decide([{ ...rule, tag: null }], []);
    const suspected = retention.keptFrom(clock.now());
    expect(suspected).toBeGreaterThan(clock.now() - 2 * day);
    answers[1](2_000);
    await settle(2);
    expect(retention.keptFrom(clock.now())).toBe(suspected);
    answers[2](3_000);
    await settle(2);
    expect(retention.keptFrom(clock.now())).toBe(3_000);
  });

  it('says between two plans what went for room, and what may come again', async () => {
    answers[0](1_000);
    await settle(2);
    goneListener?.({ series: Float64Array.of(1), before: Float64Array.of(5_000) });
    expect(retention.keptFrom(clock.now())).toBe(5_000);
    expect(retention.expired('a', 'x', 4_999, clock.now())).toMatch(/a\/x before 1970-.* were deleted/);
    goneListener?.({ series: Float64Array.of(1), before: Float64Array.of(Number.NaN) });
    expect(retention.keptFrom(clock.now())).toBe(Number.NEGATIVE_INFINITY);
    expect(retention.expired('a', 'x', 4_999, clock.now())).toBeNull();
  });

  it('is told again within a minute when it did not take it just after it was opened anew', async () => {
    failure = new Error('not open yet');
    await reopened?.();
    await settle(2);
    failure = null;
    clock.advance(60_000);
    expect(plans).toEqual([[null], [null]]);
  });

  it('is told nothing after the end', async () => {
    await stops.unwind(1_000);
    registry.assign('a', 'y');
    clock.advance(600_000);
    expect([plans.length, listener]).toEqual([1, undefined]);
  });
});
