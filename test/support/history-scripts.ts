import type { RetentionPolicy } from '../../src/domain/retention.ts';
import type { HistoryStep } from '../contract/engine-history-model.ts';

const hour = 3_600_000;
const day = 24 * hour;
const forever: RetentionPolicy = { raw: null, minute: null, hour: null };

function policies(ofFirst: RetentionPolicy): HistoryStep {
  return { kind: 'retain', policies: [ofFirst, forever, forever, forever] };
}

function row(back: number, minute: number, value: number): HistoryStep {
  return { kind: 'rows', rows: [[1, { back, minute, ms: 2 }, value]] };
}

function burst(back: number, step: number, values: readonly number[]): HistoryStep {
  return { kind: 'burst', series: [1], at: { back, minute: 1, ms: 2 }, step, values };
}

const settle: HistoryStep = { kind: 'settle' };
const later = (ms: number): HistoryStep => ({ kind: 'later', ms });
const pass: HistoryStep = { kind: 'pass', ms: 61_000 };
const eraseAll: HistoryStep = { kind: 'erase', series: [1], from: null, to: null, rows: [] };
const asks: HistoryStep[] = [5, 10, 12, 21].map((seed) => ({ kind: 'ask', seed }));
const often = Array.from({ length: 64 }, (_, index) => index % 8);

/** Scripts that were answered wrongly once, by what went wrong. They are played before the random ones. */
export const knownScripts: readonly (readonly HistoryStep[])[] = [
  // A deletion without ends made the oldest reading older than any number the row of a series can tell.
  [
    eraseAll,
    row(8, 1, 1),
    policies({ raw: 6 * hour, minute: null, hour: null }),
    settle,
    eraseAll,
    row(6, 1, 2),
    settle,
  ],
  // Hours were made of nothing where the minutes begin within the window of hours.
  [
    policies({ raw: 12 * hour, minute: 5 * day, hour: null }),
    row(3, 59, 1),
    settle,
    policies({ raw: 3 * day, minute: 6 * hour, hour: 15 * day }),
    settle,
    ...asks,
  ],
  // A window that was touched was gone on with before it was made anew.
  [
    policies({ raw: day, minute: 6 * hour, hour: 30 * day }),
    burst(52, 1, [-1]),
    pass,
    { kind: 'work', steps: 1 },
    later(6 * hour),
    { kind: 'rollUp', meanwhile: { kind: 'rows', rows: [[1, { back: 34, minute: 359, ms: 59_999 }, 0.875]] } },
    row(0, 1, 0.375),
    settle,
    ...asks,
  ],
  // A late reading of purged time, not yet sealed, took the place of the one that was asked for.
  [
    policies({ raw: 6 * hour, minute: 0, hour: null }),
    row(38, 0, 0.625),
    settle,
    {
      kind: 'rows',
      rows: [
        [1, { back: 1, minute: 0, ms: 1 }, 0],
        [1, { back: 2, minute: 61, ms: 0 }, 0.875],
      ],
    },
    ...asks,
  ],
  // What was deleted hid how far back the readings reach that came after it.
  [
    row(1, 0, -0.375),
    later(4 * day),
    pass,
    { kind: 'work', steps: 1 },
    later(day),
    policies({ raw: 3 * day, minute: 5 * day, hour: null }),
    { kind: 'erase', series: [1], from: null, to: { back: 0, minute: 359, ms: 0 }, rows: [] },
    {
      kind: 'rows',
      rows: [
        [1, { back: 26, minute: 1, ms: 2 }, -0.125],
        [1, { back: 0, minute: 359, ms: 1 }, 0.125],
      ],
    },
    { kind: 'reopen' },
    settle,
  ],
  // A late reading of purged time made a rollup tell of readings that nobody had summed up.
  [
    policies({ raw: 6 * hour, minute: 0, hour: 0 }),
    burst(6, 1_000, [1]),
    burst(0, 1_000, [2]),
    settle,
    policies(forever),
    later(day),
    burst(5, hour, [3, 4, 5]),
    burst(3, 1, often),
    burst(0, 1_000, [9]),
    settle,
    row(9, 1, 7),
    settle,
    { kind: 'ask', seed: 0 },
    ...asks,
  ],
  // The first reading of a bucket was one that had come too late for its time, as a number, and another one as a reading.
  [
    policies({ raw: 6 * hour, minute: null, hour: null }),
    row(2, 1, 0),
    settle,
    burst(2, 1, [0.125, 0]),
    settle,
    ...asks,
  ],
  // A reading that was purged and then deleted was the newest again after a start.
  [
    policies({ raw: 6 * hour, minute: null, hour: null }),
    burst(0, 1, [0]),
    later(20 * day),
    settle,
    burst(0, 1, [1]),
    { kind: 'erase', series: [1], from: { back: 0, minute: 0, ms: 0 }, to: null, rows: [] },
    eraseAll,
    { kind: 'kill' },
  ],
  // Hours that nobody wanted any more were told of readings that had been corrected, and then purged before they were made anew.
  [
    {
      kind: 'retain',
      policies: [forever, { raw: 12 * hour, minute: 6 * hour, hour: day }, forever, forever],
    },
    { kind: 'burst', series: [1, 2], at: { back: 3, minute: 0, ms: 0 }, step: 1, values: [0] },
    { kind: 'rows', rows: [[1, { back: 0, minute: 0, ms: 0 }, 0]] },
    { kind: 'kill' },
    { kind: 'work', steps: 1 },
    { kind: 'rows', rows: [[2, { back: 3, minute: 0, ms: 0 }, 0.125]] },
    later(day),
    { kind: 'rollUp', meanwhile: { kind: 'rows', rows: [] } },
    {
      kind: 'rows',
      rows: [
        [1, { back: 0, minute: 0, ms: 0 }, 0],
        [1, { back: 0, minute: 60, ms: 0 }, 0.625],
      ],
    },
    { kind: 'work', steps: 4 },
    { kind: 'ask', seed: 8 },
  ],
];
