import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { tempFolder } from '../support/temp-folder.ts';

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/**
 * Registers devices one by one and by the thousand (large enough to be folded every few requests), renames them and takes
 * some away, and says what is true once each call resolved.
 */
const script = `
  const { Catalog } = await import(${source('catalog/catalog.ts')});
  const { systemClock } = await import(${source('base/clock.ts')});
  const { systemRandom } = await import(${source('base/random.ts')});
  const { silentLog } = await import(${source('base/log.ts')});
  const [dir, life] = process.argv.slice(1);
  const catalog = await Catalog.open({ dir, clock: systemClock, random: systemRandom, log: silentLog });
  const draft = (id, name) => ({ id, name, profile: null, tags: {}, timeZone: null, approval: 'approved' });
  const say = (...line) => process.stdout.write(line.join(' ') + '\\n');
  for (let n = 0; ; n++) {
    const id = 'one-' + life + '-' + n;
    await Promise.all([
      catalog.createRegistrations([draft(id, 'first')]).then(() => say('is', id, 'first')),
      catalog.createRegistrations([draft(id + 'b', 'first')]).then(() => say('is', id + 'b', 'first')),
    ]);
    await catalog.updateRegistration(id, { name: 'second' });
    say('is', id, 'second');
    await catalog.deleteRegistration(id + 'b');
    say('gone', id + 'b');
    const many = Array.from({ length: 2000 }, (_, k) => draft('bulk-' + life + '-' + n + '-' + k, 'x'.repeat(180)));
    await catalog.createRegistrations(many);
    say('bulk', 'bulk-' + life + '-' + n, many.length);
  }
`;

/** Every life ends by kill -9 after a seeded number of answers: inside a line, between line and fold, inside a fold. */
test('killed at any moment, every acknowledged registration is there as it was last said, and no list is there by half', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`catalog journal kill seed ${seed}`);
  const random = seededRandom(seed);
  const folder = tempFolder();
  const names = new Map<string, string>();
  const gone = new Set<string>();
  const bulks = new Map<string, number>();
  try {
    for (let life = 0; life < 8; life++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder.path, String(life)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout });
      let left = 1 + Math.floor(random.next() * 60);
      lines.on('line', (line) => {
        const [word, id, rest] = line.split(' ');
        if (word === 'is') names.set(id, rest);
        if (word === 'gone') {
          names.delete(id);
          gone.add(id);
        }
        if (word === 'bulk') bulks.set(id, Number(rest));
        if (--left === 0) child.kill('SIGKILL');
      });
      const [code, signal] = await once(child, 'close');
      expect([code, signal]).toEqual([null, 'SIGKILL']);

      const catalog = await Catalog.open({
        dir: folder.path,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      const { registrations } = catalog.snapshot();
      const found = new Map<string, number>();
      for (const id of registrations.keys()) {
        const [bulk] = /^bulk-\d+-\d+/.exec(id) ?? [];
        if (bulk !== undefined) found.set(bulk, (found.get(bulk) ?? 0) + 1);
      }
      for (const [id, name] of names) {
        // The next change of a device may have been made without an answer: from now on that is what is true of it.
        const now = registrations.get(id)?.name;
        expect(name === 'first' && id.startsWith(`one-${life}-`) ? ['first', 'second', undefined] : [name]).toContain(
          now,
        );
        if (now === undefined) names.delete(id);
        else names.set(id, now);
      }
      for (const id of gone) expect(registrations.has(id), `${id} was taken away`).toBe(false);
      for (const [bulk, count] of bulks) expect([bulk, found.get(bulk)]).toEqual([bulk, count]);
      for (const [bulk, count] of found) expect([bulk, count]).toEqual([bulk, 2_000]);
      await catalog.close();
    }
  } finally {
    folder.remove();
  }
});
