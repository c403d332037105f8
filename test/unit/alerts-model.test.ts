import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { AlertBook } from '../../src/alerts/alert-book.ts';
import { RuleSet } from '../../src/alerts/rule-set.ts';
import { newCell } from '../../src/alerts/standing.ts';
import type { AlertState } from '../../src/domain/alert.ts';
import { compileGlob } from '../../src/domain/glob.ts';
import type { Rule, ThresholdCondition } from '../../src/domain/rule.ts';

interface Step {
  readonly kind: 'read' | 'wait' | 'restart' | 'drop';
  readonly device: number;
  readonly value: number;
  /** Reading time since the reading before of the same device, ms. */
  readonly later: number;
  /** On the receipt clock since the step before, ms. */
  readonly passed: number;
}

/** `[rule, device, firing or resolved, sequence, at, value, startedAt, firedAt, resolvedAt]` */
type Line = readonly [string, number, string, number, number, number, number, number, number | null];

interface Place {
  since: number;
  got: number;
  last: number;
  gap: number;
  first: number;
  fired: number;
  seq: number;
}

/** The semantics once more, as a scan over plain objects, sharing nothing with the code under test. */
class Model {
  readonly lines: Line[] = [];
  private readonly places = new Map<string, Place>();
  private readonly rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
  }

  read(device: number, time: number, value: number, got: number): void {
    for (const rule of this.rules) {
      const { above, below, clearBelow, clearAbove } = rule.condition;
      const bad = above === undefined ? value < (below ?? 0) : value > above;
      const limit = clearBelow ?? clearAbove;
      const good = limit === undefined ? !bad : above === undefined ? value > limit : value < limit;
      const place = this.place(rule, device);
      if (place.fired >= 0) {
        if (good) this.end(rule, device, time, value);
      } else if (!bad) place.since = -1;
      else if (place.since < 0) Object.assign(place, { since: time, got, last: got, gap: 0, first: value });
      else Object.assign(place, { gap: Math.max(place.gap, got - place.last), last: got });
      if (bad && place.fired < 0 && time >= place.since + forMs(rule)) this.start(rule, device, time, value);
    }
  }

  /** When silence fires it; infinite unless pending. */
  deadline(rule: Rule, device: number): number {
    const { since, fired, got, last, gap } = this.place(rule, device);
    return since < 0 || fired >= 0 ? Infinity : Math.max(got + forMs(rule), last + Math.min(2 * gap, forMs(rule)));
  }

  /** Silence goes on until just before `now`. */
  wait(now: number): void {
    for (const rule of this.rules) {
      for (const device of [0, 1]) {
        const deadline = this.deadline(rule, device);
        if (deadline < now) this.start(rule, device, deadline, this.place(rule, device).first);
      }
    }
  }

  restart(): void {
    for (const place of this.places.values()) Object.assign(place, { last: place.got, gap: 0 });
  }

  private start(rule: Rule, device: number, at: number, value: number): void {
    const place = this.place(rule, device);
    place.fired = place.since + forMs(rule);
    this.lines.push([rule.id, device, 'firing', ++place.seq, at, value, place.since, place.fired, null]);
  }

  private end(rule: Rule, device: number, at: number, value: number): void {
    const place = this.place(rule, device);
    const until = Math.max(at, place.fired);
    this.lines.push([rule.id, device, 'resolved', ++place.seq, at, value, place.since, place.fired, until]);
    Object.assign(place, { since: -1, fired: -1 });
  }

  private place(rule: Rule, device: number): Place {
    const key = `${rule.id}/${device}`;
    const place = this.places.get(key) ?? { since: -1, got: 0, last: 0, gap: 0, first: 0, fired: -1, seq: 0 };
    this.places.set(key, place);
    return place;
  }
}

const forMs = (rule: Rule): number => Number.parseInt(rule.for, 10);

const condition: fc.Arbitrary<ThresholdCondition> = fc
  .record({ up: fc.boolean(), at: fc.integer({ min: -2, max: 2 }), apart: fc.option(fc.integer({ min: 0, max: 2 })) })
  .map(({ up, at, apart }) => ({
    type: 'threshold',
    ...(up ? { above: at } : { below: at }),
    ...(apart === null ? {} : up ? { clearBelow: at - apart } : { clearAbove: at + apart }),
  }));

const rules: fc.Arbitrary<readonly Rule[]> = fc
  .array(fc.record({ condition, forMs: fc.constantFrom(0, 1, 3, 7) }), { minLength: 1, maxLength: 3 })
  .map((drafts) =>
    drafts.map(({ condition, forMs }, index) => rule({ id: `rule${index}`, condition, for: `${forMs}ms` })),
  );

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('read', 'read', 'read', 'read', 'read', 'wait', 'restart', 'drop'),
  device: fc.integer({ min: 0, max: 1 }),
  value: fc.integer({ min: -4, max: 4 }),
  later: fc.integer({ min: 1, max: 4 }),
  passed: fc.integer({ min: 0, max: 4 }),
});

test('the book makes the transitions of the model, over restarts, dropped drafts and silence', () => {
  fc.assert(
    fc.property(rules, fc.array(step, { maxLength: 80 }), (rules, steps) => {
      const model = new Model(rules);
      const run = new Run(rules);
      const times = [0, 0];
      let now = 0;
      for (const { kind, device, value, later, passed } of steps) {
        now += passed;
        model.wait(now);
        run.wait(now);
        if (kind === 'restart') {
          model.restart();
          run.restart();
        } else if (kind === 'drop') {
          run.drop(device, times[device] + later, value, now);
        } else if (kind === 'read') {
          times[device] += later;
          model.read(device, times[device], value, now);
          run.read(device, times[device], value, now);
        }
        expect(run.openCount()).toBe([...run.states.values()].filter((state) => state.alert).length);
      }
      expect(bySeries(run.lines)).toEqual(bySeries(model.lines));
      const deadlines = rules.flatMap((rule) => [0, 1].map((device) => model.deadline(rule, device)));
      expect(run.nextDeadline() ?? Infinity).toBe(Math.min(...deadlines));
    }),
    { numRuns: 2_000 },
  );
});

test('many readings in one draft make the transitions that one draft a reading makes', () => {
  const reading = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: -4, max: 4 }));
  fc.assert(
    fc.property(
      rules,
      fc.array(reading, { maxLength: 60 }),
      fc.integer({ min: 1, max: 60 }),
      (rules, readings, size) => {
        const [single, batched] = [new Run(rules), new Run(rules)];
        for (const [index, [device, value]] of readings.entries()) single.read(device, index + 1, value, 0);
        for (let from = 0; from < readings.length; from += size) {
          batched.commit((draft) => {
            for (const [offset, [device, value]] of readings.slice(from, from + size).entries()) {
              draft.read(series(device), from + offset + 1, value, 0);
            }
          });
        }
        expect(batched.lines).toEqual(single.lines);
        expect(batched.remembered()).toEqual(single.remembered());
      },
    ),
  );
});

test('the rules found for a series are exactly those whose globs match it', () => {
  const glob = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'a*', '?b', '*'), { minLength: 1, maxLength: 2 })
    .map((names) => names.join(','));
  const name = fc.constantFrom('a', 'b', 'ab', 'bb', 'c');
  fc.assert(
    fc.property(fc.array(fc.tuple(glob, glob)), name, name, (globs, device, metric) => {
      const all = globs.map(([device, metric], index) => rule({ id: `r${index}`, device, metric }));
      const found = new RuleSet(all, newCell).watches({ id: 1, device, metric }).map((watch) => watch.rule.rule.id);
      const expected = all.filter((rule) => compileGlob(rule.device)(device) && compileGlob(rule.metric)(metric));
      expect(found).toEqual(expected.map((rule) => rule.id).sort());
    }),
  );
});

test('a series number that comes again for another series brings none of the rules of the first', () => {
  const run = new Run([rule({ device: 'd0' })]);
  run.book.begin().read({ id: 7, device: 'd0', metric: 'm' }, 1, 5, 1);
  const draft = run.book.begin();
  draft.read({ id: 7, device: 'd1', metric: 'm' }, 1, 5, 1);
  expect(draft.transitions).toEqual([]);
});

test('79.9 and 80.1 in turn for an hour fire once when the alert clears below 75', () => {
  const run = new Run([rule({ condition: { type: 'threshold', above: 80, clearBelow: 75 } })]);
  for (let second = 0; second < 3_600; second++)
    run.read(0, second * 1_000, second % 2 === 0 ? 79.9 : 80.1, second * 1_000);
  expect(run.lines).toHaveLength(1);
});

test('a draft says which series a rule watches, with the rules it was given last', () => {
  const draft = new Run([rule({ device: 'd0' })]).book.begin();
  expect([draft.watches(series(0)), draft.watches(series(1))]).toEqual([true, false]);
  draft.setRules([rule({ device: 'd1' })], 1);
  expect([draft.watches(series(0)), draft.watches(series(1))]).toEqual([false, true]);
});

test('readings, silence and new rules in one draft build on each other', () => {
  const run = new Run([rule({ for: '5ms' })]);
  run.commit((draft) => {
    draft.read(series(0), 1, 3, 1);
    draft.setRules([rule({ for: '9ms' })], 2);
    draft.expire(9);
    expect(draft.transitions).toEqual([]);
    draft.expire(10);
    draft.read(series(0), 20, 4, 20);
    draft.setRules([], 30);
  });
  expect(run.lines).toEqual([
    ['rule0', 0, 'firing', 1, 10, 3, 1, 10, null],
    ['rule0', 0, 'resolved', 2, 30, 3, 1, 10, 30],
  ]);
});

test('applying a draft that began before another was applied is refused', () => {
  const run = new Run([rule({})]);
  const stale = run.book.begin();
  run.read(0, 1, 5, 1);
  expect(() => stale.apply()).toThrow('over a newer state');
});

/** A book with a store beside it, as the pipeline and the engine would keep them. */
class Run {
  readonly lines: Line[] = [];
  readonly states = new Map<string, AlertState>();
  book: AlertBook;
  private readonly rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    this.book = new AlertBook({ newId: (prefix) => prefix });
    this.book.load(rules, []);
  }

  commit(change: (draft: ReturnType<AlertBook['begin']>) => void): void {
    const draft = this.book.begin();
    change(draft);
    for (const state of draft.states) this.states.set(`${state.ruleId}/${state.device}`, state);
    for (const { alert, type, sequence, at } of draft.transitions) {
      const device = Number(alert.device.slice(1));
      const { value, startedAt, firedAt, resolvedAt } = alert;
      this.lines.push([alert.rule.id, device, type.slice(6), sequence, at, value, startedAt, firedAt, resolvedAt]);
    }
    draft.apply();
  }

  read(device: number, time: number, value: number, receivedAt: number): void {
    this.commit((draft) => draft.read(series(device), time, value, receivedAt));
  }

  drop(device: number, time: number, value: number, receivedAt: number): void {
    const draft = this.book.begin();
    draft.read(series(device), time, value, receivedAt);
    draft.expire(receivedAt + 5);
  }

  wait(now: number): void {
    for (let next = this.book.nextDeadline(); next !== null && next < now; next = this.book.nextDeadline()) {
      const deadline = next;
      this.commit((draft) => draft.expire(deadline));
    }
  }

  restart(): void {
    this.book = new AlertBook({ newId: (prefix) => prefix });
    this.book.load(this.rules, [...this.states.values()]);
  }

  /** What is stored, without the breaches that left nothing behind. */
  remembered(): readonly AlertState[] {
    const states = [...this.states.values()].filter(({ phase, sequence }) => phase !== 'inactive' || sequence > 0);
    return states.sort((a, b) => (a.ruleId + a.device < b.ruleId + b.device ? -1 : 1));
  }

  nextDeadline(): number | null {
    return this.book.nextDeadline();
  }

  openCount(): number {
    return [...this.book.openAlerts()].length;
  }
}

function series(device: number): { id: number; device: string; metric: string } {
  return { id: device + 1, device: `d${device}`, metric: 'm' };
}

function rule(parts: Partial<Rule>): Rule {
  return {
    id: 'rule0',
    name: 'a rule',
    device: '*',
    metric: '*',
    condition: { type: 'threshold', above: 0 },
    for: '0s',
    severity: 'warning',
    enabled: true,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    ...parts,
  };
}

function bySeries(lines: readonly Line[]): Record<string, readonly Line[]> {
  return Object.groupBy(lines, ([rule, device]) => `${rule}/${device}`) as Record<string, readonly Line[]>;
}
