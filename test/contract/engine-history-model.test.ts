import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { EngineStore } from '../support/history-engine-store.ts';
import { RigStore } from '../support/history-rig-store.ts';
import { knownScripts } from '../support/history-scripts.ts';
import { anyStep, HistoryScript, outerStep } from './engine-history-model.ts';

/**
 * Everything that can happen to history, in any order, beside plain lists. What fails is printed with its seed and as the
 * shortest script. By itself a run plays always the same scripts, so that what fails was changed and is not found by
 * chance; `PULSEGATE_MODEL_SECONDS=600` looks for so long, with other scripts each time; `PULSEGATE_MODEL_SEED` repeats
 * such a run.
 */
const seconds = Number(process.env.PULSEGATE_MODEL_SECONDS ?? 0);
const seed = process.env.PULSEGATE_MODEL_SEED ?? (seconds > 0 ? undefined : '1');
const scripts = fc.array(anyStep, { minLength: 5, maxLength: 60, size: 'max' });
/** Readings in a full chunk: with two there is always something sealed, late or in the way. */
const sealCounts = [16, 2];

describe('history', () => {
  it(
    'says the same as plain lists, whatever is written, deleted, sealed, merged, summed up, purged, killed and asked in whatever order',
    async () => {
      await fc.assert(
        fc.asyncProperty(scripts, fc.constantFrom(...sealCounts), async (steps, sealCount) => {
          const store = new RigStore({ sealCount });
          try {
            await new HistoryScript(store).play(steps);
          } finally {
            store.rig.close();
          }
        }),
        {
          numRuns: seconds > 0 ? 1_000_000 : 110,
          examples: knownScripts.flatMap((script) => sealCounts.map((count) => [[...script], count] as const)),
          // Looking for the shortest script ends, too.
          interruptAfterTimeLimit: (seconds > 0 ? seconds : 100) * 1_000,
          ...(seed === undefined ? {} : { seed: Number(seed) }),
        },
      );
    },
    seconds * 1_000 + 120_000,
  );

  it('says the same when the oldest readings go for want of room', async () => {
    let purged = 0;
    const budgeted = fc.tuple(
      fc.array(anyStep, { minLength: 10, maxLength: 50, size: 'max' }),
      fc.constantFrom(1, 180_000, 220_000, 260_000),
    );
    await fc.assert(
      fc.asyncProperty(budgeted, async ([steps, bytesMax]) => {
        const store = new RigStore({ bytesMax });
        try {
          await new HistoryScript(store, { isBudgeted: true }).play(steps);
          purged += store.rig.writer.kept().purgedReadings;
        } finally {
          store.rig.close();
        }
      }),
      { numRuns: 30, interruptAfterTimeLimit: 60_000, ...(seed === undefined ? {} : { seed: Number(seed) }) },
    );
    expect(purged).toBeGreaterThan(0);
  });

  it('says the same when the engine works beside the questions, in threads of its own', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(outerStep, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
        const store = new EngineStore((options) => createSqliteEngine({ ...options, log: silentLog }));
        try {
          await store.open();
          await new HistoryScript(store).play(steps);
        } finally {
          await store.close();
        }
      }),
      { numRuns: 5, interruptAfterTimeLimit: 60_000, ...(seed === undefined ? {} : { seed: Number(seed) }) },
    );
  });
});
