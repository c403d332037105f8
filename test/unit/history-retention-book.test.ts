import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RetentionPolicy, type RetentionRule, rawCutoff } from '../../src/domain/retention.ts';
import { RetentionBook } from '../../src/history/retention-book.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';

const day = 86_400_000;
const forever: RetentionPolicy = { raw: null, minute: null, hour: null };
const noon = Date.UTC(2026, 8, 21, 12);

function rule(name: string, parts: Partial<RetentionRule>): RetentionRule {
  return { name, device: '*', metric: '*', tag: null, raw: null, minute: null, hour: null, ...parts };
}

function bookOf(defaults = forever) {
  const series = new SeriesRegistry({ seriesMax: 200_000, metricsMax: 500 });
  const tags = new Map<string, Record<string, string>>();
  const book = new RetentionBook({ defaults, series, tagsOf: (device) => tags.get(device) });
  return { book, series, tags };
}

/** What the plan says of a series, as its `raw`. */
function planned({ book, series }: ReturnType<typeof bookOf>): Record<string, number | null> {
  const { policies, ofSeries } = book.plan();
  const raws: Record<string, number | null> = {};
  for (let id = 1; id <= series.size; id++) {
    const { device, metric } = series.series(id);
    raws[`${device}/${metric}`] = policies[ofSeries[id]].raw;
  }
  return raws;
}

describe('RetentionBook', () => {
  it('lets the first rule hold that matches device, metric and tag, and the default where none does', () => {
    const world = bookOf({ raw: 90 * day, minute: null, hour: null });
    const { book, series, tags } = world;
    for (const device of ['pump-1', 'pump-2', 'lamp-1']) {
      for (const metric of ['vibration', 'power']) series.assign(device, metric);
    }
    tags.set('pump-2', { site: 'north-2' });
    book.setRules([
      rule('north', { tag: 'site:north*', metric: 'vib*', raw: 1 * day }),
      rule('pumps', { device: 'pump-*', raw: 7 * day }),
      rule('never reached', { device: 'pump-1', raw: 2 * day }),
    ]);
    expect(planned(world)).toEqual({
      'pump-1/vibration': 7 * day,
      'pump-1/power': 7 * day,
      'pump-2/vibration': 1 * day,
      'pump-2/power': 7 * day,
      'lamp-1/vibration': 90 * day,
      'lamp-1/power': 90 * day,
    });
    expect(book.policyOf('pump-2', 'vibration').rule?.name).toBe('north');
    expect(book.policyOf('lamp-1', 'power')).toEqual({
      policy: { raw: 90 * day, minute: null, hour: null },
      rule: null,
    });
  });

  it('resolves only what came since, and all of it when the rules change', () => {
    const world = bookOf();
    const { book, series } = world;
    series.assign('a', 'x');
    book.setRules([rule('one', { device: 'a', raw: day }), rule('two', { device: 'b', raw: 2 * day })]);
    expect(book.hasNewSeries).toBe(true);
    expect(planned(world)).toEqual({ 'a/x': day });
    expect(book.hasNewSeries).toBe(false);
    series.assign('b', 'x');
    expect(book.hasNewSeries).toBe(true);
    expect(planned(world)).toEqual({ 'a/x': day, 'b/x': 2 * day });
    book.setRules([]);
    expect(planned(world)).toEqual({ 'a/x': null, 'b/x': null });
  });

  it('says whether other tags change a policy', () => {
    const world = bookOf();
    const { book, series, tags } = world;
    series.assign('a', 'x');
    book.setRules([rule('lab', { tag: 'room:lab', raw: day })]);
    expect(planned(world)).toEqual({ 'a/x': null });
    tags.set('a', { room: 'lab' });
    expect(book.registrationsChanged(['a', 'nobody'], noon)).toBe(true);
    expect(planned(world)).toEqual({ 'a/x': day });
    tags.set('a', { room: 'lab', floor: '2' });
    expect(book.registrationsChanged(['a'], noon)).toBe(false);
    tags.delete('a');
    expect(book.registrationsChanged(['a'], noon)).toBe(true);
    expect(planned(world)).toEqual({ 'a/x': null });
  });

  it('hands out a plan that later series do not reach into', () => {
    const { book, series } = bookOf();
    series.assign('a', 'x');
    const { ofSeries } = book.plan();
    series.assign('a', 'y');
    book.plan();
    expect(ofSeries.length).toBe(2);
  });

  it('keeps everything for ever without a bound, which costs one comparison', () => {
    const { book } = bookOf();
    book.setRules([rule('rollups only', { minute: day })]);
    expect(book.keptFrom(noon)).toBe(Number.NEGATIVE_INFINITY);
    expect(book.expired('a', 'x', 0, noon)).toBeNull();
    expect(book.longestRaw).toBeNull();
  });

  it('refuses by the same boundary by which the engine deletes, and says how to change it', () => {
    const { book } = bookOf({ raw: 30 * day, minute: null, hour: null });
    const cutoff = rawCutoff({ raw: 30 * day, minute: null, hour: null }, noon);
    expect(book.expired('a', 'x', cutoff, noon)).toBeNull();
    expect(book.expired('a', 'x', cutoff - 1, noon)).toMatch(/kept for 30d by default \(storage\.keepRaw\)/);
    book.setRules([rule('short', { metric: 'x', raw: day })]);
    expect(book.expired('a', 'x', noon - 2 * day, noon)).toMatch(
      /for 1d by the rule "short".*PUT \/api\/v1\/retention/,
    );
    expect(book.expired('a', 'y', noon - 2 * day, noon)).toBeNull();
    expect(book.longestRaw).toBe(30 * day);
  });

  it('refuses the same of a series whether it is in a plan yet or not', () => {
    const world = bookOf({ raw: 30 * day, minute: null, hour: null });
    const { book, series, tags } = world;
    for (const device of ['a', 'b', 'c']) series.assign(device, 'x');
    tags.set('b', { room: 'lab' });
    book.setRules([rule('lab', { tag: 'room:lab', raw: day }), rule('kept', { device: 'c', raw: null })]);
    const refused = (): readonly boolean[] =>
      ['a', 'b', 'c', 'd'].flatMap((device) =>
        [2, 40].map((days) => book.expired(device, 'x', noon - days * day, noon) !== null),
      );
    const expected = [false, true, true, true, false, false, false, true];
    expect(refused()).toEqual(expected);
    book.plan();
    expect(refused()).toEqual(expected);
    tags.delete('b');
    book.registrationsChanged(['b'], noon);
    book.plan();
    book.setGone(new Float64Array(0));
    expect(refused()).toEqual(expected.with(2, false));
  });

  it('refuses what would come among readings that were deleted by a shorter rule, or for room, whatever holds now', () => {
    const { book, series } = bookOf();
    for (const metric of ['x', 'y']) series.assign('a', metric);
    book.plan();
    book.setGone(Float64Array.of(Number.NaN, noon - 7 * day));
    expect(book.keptFrom(noon)).toBe(noon - 7 * day);
    expect(book.expired('a', 'x', noon - 7 * day, noon)).toBeNull();
    expect(book.expired('a', 'x', noon - 7 * day - 1, noon)).toMatch(/^readings of a\/x before 2026-09-14T12:00/);
    expect(book.expired('a', 'y', 0, noon)).toBeNull();
    expect(book.expired('b', 'x', 0, noon)).toBeNull();
    expect(book.keptFromOf('a', 'x', noon)).toEqual({ policy: Number.NEGATIVE_INFINITY, gone: noon - 7 * day });
    book.setRules([rule('shorter', { raw: 2 * day })]);
    expect(book.expired('a', 'x', noon - 3 * day, noon)).toMatch(/kept for 2d by the rule "shorter"/);
    book.setGone(new Float64Array(0));
    book.setRules([]);
    expect(book.keptFrom(noon)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('takes what a rule would have deleted for gone when it is taken back, until the engine says what is', () => {
    const { book, series, tags } = bookOf();
    for (const device of ['a', 'b']) series.assign(device, 'x');
    tags.set('b', { room: 'lab' });
    book.setRules([rule('lab', { tag: 'room:lab', raw: day }), rule('all', { raw: 3 * day })]);
    book.plan();
    const refused = (): readonly boolean[] =>
      ['a', 'b'].flatMap((device) => [2, 4].map((days) => book.expired(device, 'x', noon - days * day, noon) !== null));
    expect(refused()).toEqual([false, true, true, true]);
    tags.delete('b');
    book.registrationsChanged(['b'], noon);
    expect(refused()).toEqual([false, true, true, true]);
    book.setRules([], noon);
    expect(refused()).toEqual([false, true, true, true]);
    book.plan();
    book.setGone(Float64Array.of(Number.NaN, noon - 3 * day, Number.NaN));
    expect(refused()).toEqual([false, true, false, false]);
  });

  it('never lets a reading pass that its own policy would refuse, at any time in any order', () => {
    const keep = fc.option(fc.integer({ min: day / 4, max: 400 * day }), { nil: null });
    fc.assert(
      fc.property(
        fc.array(keep, { maxLength: 4 }),
        fc.array(fc.integer({ min: noon - 2 * day, max: noon + 2 * day }), { minLength: 1, maxLength: 8 }),
        (raws, nows) => {
          const { book } = bookOf();
          const rules = raws.map((raw, index) => rule(`r${index}`, { device: `d${index}`, raw }));
          book.setRules(rules);
          for (const now of nows) {
            const expected = Math.max(Number.NEGATIVE_INFINITY, ...rules.map((one) => rawCutoff(one, now)));
            expect(book.keptFrom(now)).toBe(expected);
          }
        },
      ),
    );
  });
});
