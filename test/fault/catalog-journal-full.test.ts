import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { tempFolder } from '../support/temp-folder.ts';

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Registers devices until the file may not grow any more, then smaller ones, and says what became of each. */
const script = `
  const { Catalog } = await import(${source('catalog/catalog.ts')});
  const { systemClock } = await import(${source('base/clock.ts')});
  const { systemRandom } = await import(${source('base/random.ts')});
  const { silentLog } = await import(${source('base/log.ts')});
  const catalog = await Catalog.open({ dir: process.argv[1], clock: systemClock, random: systemRandom, log: silentLog });
  const outcomes = [];
  for (const size of [...Array(12).fill(170), ...Array(8).fill(0)]) {
    const id = 'd' + outcomes.length;
    const tags = Object.fromEntries(['a', 'b', 'c', 'd'].map((key) => [key, 'x'.repeat(size)]));
    const draft = { id, name: 'x'.repeat(size), profile: null, tags, timeZone: null, approval: 'approved' };
    const outcome = await catalog.createRegistrations([draft]).then(() => 'kept', (error) => error.name);
    outcomes.push(id + ' ' + outcome);
  }
  console.log(outcomes.join('\\n'));
  process.exit(0);
`;

// The shell bounds how large a file may grow: the write that passes the bound is cut in the middle, as on a full disk.
test.skipIf(process.platform === 'win32')(
  'a change that the disk has no room for is refused whole, and what comes after it is kept whole',
  async () => {
    const folder = tempFolder();
    try {
      const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --input-type=module -e "$1" "$2"`;
      const child = spawn('bash', ['-c', limited, process.execPath, script, folder.path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const outcomes: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => outcomes.push(line));
      await once(child, 'close');
      expect(outcomes).toHaveLength(20);
      const of = (what: string): string[] =>
        outcomes.filter((line) => line.endsWith(` ${what}`)).map((line) => line.split(' ')[0]);
      const [kept, refused] = [of('kept'), of('TransientError')];
      expect([...kept, ...refused]).toHaveLength(20);
      // Large ones were refused, and a small one that came later found room where half of theirs had been.
      expect(refused).toContain('d11');
      expect(kept).toContain('d12');

      expect(readFileSync(join(folder.path, 'devices.journal'), 'utf8').endsWith('\n')).toBe(true);
      const parts = { dir: folder.path, clock: systemClock, random: systemRandom, log: silentLog };
      const catalog = await Catalog.open(parts);
      expect([...catalog.snapshot().registrations.keys()].sort()).toEqual(kept.sort());
      await catalog.close();
    } finally {
      folder.remove();
    }
  },
);
