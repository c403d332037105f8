import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';

/** Makes webhooks as fast as it can and says the id and secret of each once the call resolved. */
const script = `
  const { Catalog } = await import(${JSON.stringify(new URL('../../src/catalog/catalog.ts', import.meta.url).href)});
  const { systemClock } = await import(${JSON.stringify(new URL('../../src/base/clock.ts', import.meta.url).href)});
  const { systemRandom } = await import(${JSON.stringify(new URL('../../src/base/random.ts', import.meta.url).href)});
  const { silentLog } = await import(${JSON.stringify(new URL('../../src/base/log.ts', import.meta.url).href)});
  const catalog = await Catalog.open({ dir: process.argv[1], clock: systemClock, random: systemRandom, log: silentLog });
  const draft = { url: 'https://example.org', events: ['alert.*'], format: 'standard', enabled: true, description: '' };
  for (;;) {
    const { webhook, secret } = await catalog.createWebhook(draft);
    process.stdout.write(webhook.id + ' ' + secret + '\\n');
  }
`;

/** Every life of the process ends by kill -9 after a seeded number of answers, which falls at any point of the next write. */
test('killed at any moment, the files read, and every answered webhook is there with its secret', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`catalog kill seed ${seed}`);
  const random = seededRandom(seed);
  const dir = await mkdtemp(join(tmpdir(), 'pulsegate-catalog-kill-'));
  const answered = new Map<string, string>();
  try {
    for (let life = 0; life < 10; life++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, dir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout });
      let left = 1 + Math.floor(random.next() * 12);
      lines.on('line', (line) => {
        const [id, secret] = line.split(' ');
        answered.set(id, secret);
        if (--left === 0) child.kill('SIGKILL');
      });
      const [code, signal] = await once(child, 'close');
      expect([code, signal]).toEqual([null, 'SIGKILL']);

      const catalog = await Catalog.open({ dir, clock: systemClock, random: systemRandom, log: silentLog });
      const ids = new Set(catalog.snapshot().webhooks.map(({ id }) => id));
      for (const [id, secret] of answered) {
        expect(ids.has(id), `webhook ${id} of life ≤ ${life}`).toBe(true);
        expect(catalog.secrets(id)).toEqual([secret]);
      }
      for (const id of ids) expect(catalog.secrets(id)).toHaveLength(1);
      // At most the one under way when the process died was made without an answer.
      expect(ids.size - answered.size).toBeLessThanOrEqual(life + 1);
      await catalog.close();
    }
    expect(JSON.parse(readFileSync(join(dir, 'catalog.json.last-good'), 'utf8'))).toMatchObject({ version: 1 });
    expect(statSync(join(dir, 'secrets.json')).mode & 0o777).toBe(0o600);
    expect(existsSync(join(dir, 'secrets.json.tmp')) ? statSync(join(dir, 'secrets.json.tmp')).mode & 0o077 : 0).toBe(
      0,
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
