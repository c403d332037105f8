import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { CatalogError } from '../../src/catalog/catalog-error.ts';
import { RetentionBody, showRetentionRule } from '../../src/contract/retention.ts';
import type { RetentionRule } from '../../src/domain/retention.ts';
import { compileTagGlob, isTagGlob } from '../../src/domain/tag-glob.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';

const day = 86_400_000;
const vibration: RetentionRule = {
  name: 'vibration',
  device: 'pump-*',
  metric: 'vibration*',
  tag: 'site:north*',
  raw: 30 * day,
  minute: 365 * day,
  hour: null,
};

let folder: ReturnType<typeof tempFolder>;
let catalog: Catalog | undefined;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(async () => {
  await catalog?.close();
  catalog = undefined;
  folder.remove();
});

async function open(): Promise<Catalog> {
  await catalog?.close();
  catalog = await Catalog.open({
    dir: folder.path,
    clock: new FakeClock(Date.UTC(2026, 0, 1)),
    random: seededRandom(1),
    log: silentLog,
  });
  return catalog;
}

async function faultsOf(rules: readonly RetentionRule[]): Promise<readonly string[]> {
  try {
    await (await open()).putRetention(rules);
  } catch (error) {
    if (error instanceof RejectedError) return error.errors.map(({ pointer }) => pointer);
    throw error;
  }
  return [];
}

describe('retention rules', () => {
  test('are there again after opening anew, written as people write them', async () => {
    await (await open()).putRetention([vibration]);
    const text = readFileSync(join(folder.path, 'catalog.json'), 'utf8');
    expect(JSON.parse(text).retention).toEqual([
      {
        name: 'vibration',
        device: 'pump-*',
        metric: 'vibration*',
        tag: 'site:north*',
        raw: '30d',
        minute: '365d',
        hour: 'forever',
      },
    ]);
    expect((await open()).snapshot().retention).toEqual([vibration]);
  });

  test('replace the list, are told once, and leave the rest of the snapshot as it was', async () => {
    const opened = await open();
    await opened.putRetention([vibration]);
    const told: (readonly RetentionRule[])[] = [];
    const { rules } = opened.snapshot();
    opened.subscribe((snapshot, previous) => {
      if (snapshot.retention !== previous.retention) told.push(snapshot.retention);
    });
    const other = { ...vibration, name: 'other' };
    await opened.putRetention([other, vibration]);
    await opened.putRetention([other, vibration]);
    expect(told).toEqual([[other, vibration]]);
    expect(opened.snapshot().rules).toBe(rules);
  });

  test('are refused with every fault at once, and nothing changes', async () => {
    const faults = await faultsOf([
      { ...vibration, device: 'pump *', tag: 'north' },
      { ...vibration, raw: 3_600_000 },
      { ...vibration, name: 'none', raw: 0, metric: '' },
    ]);
    expect(faults).toEqual([
      '/rules/1/name',
      '/rules/0/device',
      '/rules/0/tag',
      '/rules/1/raw',
      '/rules/2/metric',
      '/rules/2/raw',
    ]);
    expect(catalog?.snapshot().retention).toEqual([]);
  });

  test.each(['1y', '1000y', '0s', '1.5h', '90061001ms', 'forever'])(
    'kept for %s are read back as they were written',
    (hour) => {
      const [rule] = RetentionBody.parse({ rules: [{ name: 'r', raw: '30d', hour }] }).rules;
      expect(RetentionBody.parse({ rules: [showRetentionRule(rule)] }).rules).toEqual([rule]);
    },
  );

  // Numbers so small or so large would be written with an exponent, which nobody reads, and no date says when they are over.
  test.each(['0.0000001ms', '0.5ms', '1001y', '99999999999999999999d', '9'.repeat(400) + 'y', '1 d', '-1d', ''])(
    'kept for %s are refused',
    (raw) => {
      const parsed = RetentionBody.safeParse({ rules: [{ name: 'r', raw }] });
      expect(parsed.error?.issues.map(({ path }) => path.join('/'))).toEqual(['rules/0/raw']);
    },
  );

  test('may keep rollups shorter than the readings, or none at all', async () => {
    expect(await faultsOf([{ ...vibration, minute: 0, hour: 3_600_000 }])).toEqual([]);
  });

  test('that a hand got wrong stop the start, with their place in the file', async () => {
    const retention = [{ name: 'short', raw: '1h' }];
    writeFileSync(
      join(folder.path, 'catalog.json'),
      JSON.stringify({ version: 1, rules: [], webhooks: [], retention }),
    );
    await expect(open()).rejects.toThrow(CatalogError);
    await expect(open()).rejects.toThrow(/kept at least 6h/);
  });

  test('are for all devices, metrics and times where nothing is said', () => {
    const { rules } = RetentionBody.parse({ rules: [{ name: 'all', raw: '1y' }] });
    expect(rules).toEqual([
      { name: 'all', device: '*', metric: '*', tag: null, raw: 365 * day, minute: null, hour: null },
    ]);
    expect(showRetentionRule(rules[0])).toMatchObject({ raw: '365d', minute: 'forever', hour: 'forever' });
  });
});

describe('a filter on tags', () => {
  test.each([
    ['site:north*', { site: 'north-2' }, true],
    ['site:north*', { site: 'south' }, false],
    ['site:north*', {}, false],
    ['room:lab,site:south', { site: 'south' }, true],
    ['*:lab', { room: 'lab' }, true],
    ['room:a:b', { room: 'a:b' }, true],
    ['toString:*', {}, false],
  ])('%s on %j says %s', (pattern, tags, expected) => {
    expect(compileTagGlob(pattern)(tags)).toBe(expected);
  });

  test.each(['north', 'site:', ':north', 'site:a,north', '', 'a b:c'])('cannot be written "%s"', (pattern) => {
    expect(isTagGlob(pattern)).toBe(false);
  });
});
