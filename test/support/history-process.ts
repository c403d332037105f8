import { writeSync } from 'node:fs';
import { argv } from 'node:process';
import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from './fake-clock.ts';
import { historyLoad, historyLoadPlan } from './history-load.ts';

/**
 * A process that commits a load to the store in a folder, on a clock that runs ahead, so that between any two commits
 * something is sealed, merged, summed up, purged, deleted or checkpointed, until it is killed: `history-process.ts DIR
 * SEED`. Writes a line for every acknowledged commit before it begins the next.
 */
const [, , dir = '', seed = '0'] = argv;
const clock = new FakeClock();
const engine = createSqliteEngine({
  dir,
  clock,
  log: silentLog,
  sealAfterMs: 60_000,
  sealCount: 32,
  resumeWindow: { ms: 86_400_000, bytes: 1 << 18 },
});

let { seq } = await engine.open();
await engine.retain(historyLoadPlan);
for (;;) {
  await engine.commit(historyLoad(Number(seed), seq + 1));
  seq++;
  // Synchronous: a line that was written survives a kill.
  writeSync(1, `ack ${seq}\n`);
  clock.advance(15_000);
}
