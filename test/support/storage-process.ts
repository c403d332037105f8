import { writeSync } from 'node:fs';
import { argv } from 'node:process';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { CommitFailedError } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { loadCommit } from './storage-load.ts';
import { allReadings } from './storage-commits.ts';

/**
 * A process that commits a load to the store in a folder until it is killed: `storage-process.ts DIR SEED`. Writes a
 * line for every acknowledged commit, before it begins the next: `ack SEQ`. When a commit fails it writes `failed
 * OUTCOME REASON`, waits for a line on its input, opens the store anew, and writes `reopened SEQ READINGS`.
 */
const [, , dir = '', seed = '0'] = argv;

const engine = createSqliteEngine({
  dir,
  clock: systemClock,
  log: silentLog,
  sealCount: 64,
  resumeWindow: { ms: 30_000, bytes: 1 << 20 },
});

/** Synchronous: a line that was written survives a kill, one that was not tells of nothing. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

let { seq } = await engine.open();
for (;;) {
  try {
    await engine.commit(loadCommit(Number(seed), seq + 1));
    seq++;
    say(`ack ${seq}`);
  } catch (error) {
    if (!(error instanceof CommitFailedError)) throw error;
    say(`failed ${error.outcome} ${error.reason}`);
    await new Promise((resolve) => process.stdin.once('data', resolve));
    await engine.close();
    ({ seq } = await engine.open());
    say(`reopened ${seq} ${(await allReadings(engine, 1)).length}`);
  }
}
