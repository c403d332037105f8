import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings } from '../support/storage-commits.ts';
import { loadBooks, LoadModel, loadSeries } from '../support/storage-load.ts';
import { tempFolder } from '../support/temp-folder.ts';

const kills = 20;
/** `KILL_SEED=…` commits the same again, and kills after the same commits. */
const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const script = new URL('../support/storage-process.ts', import.meta.url).pathname;

let folder: ReturnType<typeof tempFolder>;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder.remove());

/** Lets the process commit, kills it some way into its `count`th commit, and gives the last commit it acknowledged. */
async function commitAndKill(seed: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [script, folder.path, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let last = 0;
  let acknowledged = 0;
  for await (const line of createInterface(child.stdout)) {
    const [word, seq] = line.split(' ');
    expect(word).toBe('ack');
    last = Number(seq);
    // What is still in the pipe after the kill was acknowledged as well, and is read to its end.
    if (++acknowledged === count) child.kill('SIGKILL');
  }
  expect(await exit).toEqual([null, 'SIGKILL']);
  return last;
}

it(`after each of ${kills} kills every acknowledged commit is there, whole and once, and at most the one in flight besides (KILL_SEED=${seed})`, async () => {
  const random = seededRandom(seed);
  const model = new LoadModel(seed);
  for (let kill = 0; kill < kills; kill++) {
    const acknowledged = await commitAndKill(seed, 1 + Math.floor(random.next() * 120));
    const engine = createSqliteEngine({ dir: folder.path, clock: new FakeClock(), log: silentLog, sealCount: 64 });
    const { seq, series, tokens, sessions, commands } = await engine.open();
    expect([acknowledged, acknowledged + 1]).toContain(seq);
    expect({ tokens, sessions, commands }).toEqual(loadBooks(seed, seq));
    model.advance(seq);
    for (let of = 1; of <= loadSeries; of++) {
      const expected = model.samples(of);
      expect(await allReadings(engine, of)).toEqual(expected);
      const newest = expected.at(-1);
      expect(series[of - 1]).toMatchObject({ time: newest?.time ?? null, value: newest?.value ?? null });
    }
    const deliveries = await engine.reader.deliveries({ limit: 10_000, order: 'asc' });
    expect(deliveries.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: Math.floor(seq / 5) }, (_, index) => (index + 1) * 5),
    );
    const { firstKept } = await engine.reader.stats();
    const { batches, last } = await engine.reader.log({
      after: firstKept - 1,
      readingsMax: Number.MAX_SAFE_INTEGER,
    });
    expect(last).toBe(seq);
    expect(batches).toHaveLength(seq - firstKept + 1);
    await engine.close();
  }
}, 600_000);
