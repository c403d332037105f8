import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../src/base/log.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { CatalogError } from '../../src/catalog/catalog-error.ts';
import type { RuleDraft } from '../../src/contract/rule.ts';
import type { WebhookDraft } from '../../src/contract/webhook.ts';
import type { KeyRecord } from '../../src/domain/key.ts';
import type { Rule } from '../../src/domain/rule.ts';
import { FakeClock } from '../support/fake-clock.ts';

const ruleDraft: RuleDraft = {
  name: 'Heart rate high',
  device: 'wearable-*',
  metric: 'heart_rate',
  condition: { type: 'threshold', above: 120, clearBelow: 115 },
  for: '30s',
  severity: 'critical',
  enabled: true,
};
const webhookDraft: WebhookDraft = {
  url: 'https://example.org/hook',
  events: ['alert.*'],
  format: 'standard',
  enabled: true,
  description: '',
};
const key: KeyRecord = {
  id: 'k3J9xQ2m',
  hash: 'a'.repeat(64),
  name: 'dashboards',
  createdAt: '2026-01-01T00:00:00.000Z',
  scopes: ['read', 'mqtt'],
  mqtt: { publish: [], subscribe: ['devices/+/telemetry/#'] },
  expiresAt: null,
};

let dir: string;
let clock: FakeClock;
let catalogs: Catalog[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pulsegate-catalog-'));
  clock = new FakeClock(Date.UTC(2026, 0, 1));
  catalogs = [];
});
afterEach(async () => {
  await Promise.all(catalogs.map((catalog) => catalog.close()));
  await rm(dir, { recursive: true, force: true });
});

async function open(log: Log = silentLog): Promise<Catalog> {
  const catalog = await Catalog.open({ dir, clock, random: seededRandom(catalogs.length + 1), log });
  catalogs.push(catalog);
  return catalog;
}

const path = (name: string): string => join(dir, name);
const textOf = (name: string): string => readFileSync(path(name), 'utf8');
const modeOf = (name: string): number => statSync(path(name)).mode & 0o777;

function writeRules(...rules: object[]): string {
  const text = JSON.stringify({ version: 1, rules, webhooks: [] }, null, 2);
  writeFileSync(path('catalog.json'), text);
  return text;
}

async function refusal(): Promise<CatalogError> {
  try {
    await open();
  } catch (error) {
    if (error instanceof CatalogError) return error;
    throw error;
  }
  throw new Error('the catalog opened');
}

describe('what is decided', () => {
  test('is there again after opening anew, and the file is byte for byte the same', async () => {
    const first = await open();
    const rule = await first.createRule(ruleDraft);
    const { webhook, secret } = await first.createWebhook(webhookDraft);
    await first.addKey(key);
    const text = textOf('catalog.json');
    await first.close();

    const second = await open();
    expect(second.snapshot()).toMatchObject({ rules: [rule], webhooks: [webhook], profiles: [], mappings: [] });
    expect(second.secrets(webhook.id)).toEqual([secret]);
    expect(second.keys()).toEqual([key]);
    await second.updateRule(rule.id, { name: 'x' });
    clock.stepWall(-1);
    await second.updateRule(rule.id, { name: rule.name });
    expect(JSON.parse(textOf('catalog.json')).rules[0]).toMatchObject({ name: rule.name });
    expect(textOf('catalog.json').replaceAll(/"updatedAt.*/g, '')).toBe(text.replaceAll(/"updatedAt.*/g, ''));
  });

  test('keeps ids and the time of creation through changes, and replaces only the fields given', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    expect(rule.id).toMatch(/^rule_\w{20}$/);
    clock.advance(60_000);
    const updated = await catalog.updateRule(rule.id, {
      for: '1m',
      condition: { type: 'threshold', below: 3 },
      name: undefined,
    });
    expect(updated).toEqual({
      ...rule,
      for: '1m',
      condition: { type: 'threshold', below: 3 },
      updatedAt: '2026-01-01T00:01:00.000Z',
    });
    await catalog.deleteRule(rule.id);
    expect(catalog.snapshot().rules).toEqual([]);
  });

  test('is refused with every fault at once when it is not sound, and nothing is written', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    const before = textOf('catalog.json');
    const faulty = { ...ruleDraft, device: '/', condition: { type: 'threshold' as const, above: 1, clearBelow: 2 } };
    const expected = {
      code: 'validation_failed',
      errors: [{ pointer: '/device' }, { pointer: '/condition/clearBelow' }],
    };
    await expect(catalog.createRule(faulty)).rejects.toMatchObject(expected);
    await expect(catalog.updateRule(rule.id, faulty)).rejects.toMatchObject(expected);
    await expect(catalog.createWebhook({ ...webhookDraft, url: 'ftp://x' })).rejects.toMatchObject({
      code: 'validation_failed',
      pointer: '/url',
    });
    expect(textOf('catalog.json')).toBe(before);
  });

  test('that the next start would refuse never reaches the disk', async () => {
    const catalog = await open();
    const before = textOf('catalog.json');
    await expect(catalog.createRule({ ...ruleDraft, name: '' })).rejects.toMatchObject({ code: 'validation_failed' });
    expect(textOf('catalog.json')).toBe(before);
    expect(catalog.snapshot().rules).toEqual([]);
  });

  test('cannot be changed where it is not', async () => {
    const catalog = await open();
    const missing = { code: 'not_found' };
    await expect(catalog.updateRule('rule_x', {})).rejects.toMatchObject(missing);
    await expect(catalog.deleteRule('rule_x')).rejects.toMatchObject(missing);
    await expect(catalog.updateWebhook('wh_x', {})).rejects.toMatchObject(missing);
    await expect(catalog.deleteWebhook('wh_x')).rejects.toMatchObject(missing);
    await expect(catalog.removeKey('x')).rejects.toMatchObject(missing);
  });

  test('by many at once is all kept, in turn', async () => {
    const catalog = await open();
    const rules = await Promise.all(
      Array.from({ length: 20 }, (_, n) => catalog.createRule({ ...ruleDraft, name: `${n}` })),
    );
    expect(catalog.snapshot().rules.map(({ name }) => name)).toEqual(rules.map(({ name }) => name));
    await Promise.all(rules.map(({ id }) => catalog.deleteRule(id)));
    expect(JSON.parse(textOf('catalog.json')).rules).toEqual([]);
  });

  test('is frozen', async () => {
    const catalog = await open();
    await catalog.createRule(ruleDraft);
    await catalog.createWebhook(webhookDraft);
    const { rules, webhooks } = catalog.snapshot();
    for (const value of [rules, rules[0], rules[0].condition, webhooks, webhooks[0], webhooks[0].events]) {
      expect(Object.isFrozen(value)).toBe(true);
    }
  });
});

describe('listeners', () => {
  test('hear of a change once it is on disk and before the call resolves, with what was before', async () => {
    const catalog = await open();
    const heard: string[] = [];
    const stop = catalog.subscribe((snapshot, previous) => {
      heard.push(
        `${previous.rules.length} → ${snapshot.rules.length}, on disk ${JSON.parse(textOf('catalog.json')).rules.length}`,
      );
    });
    await catalog.createRule(ruleDraft).then(() => heard.push('resolved'));
    stop();
    await catalog.createRule(ruleDraft);
    expect(heard).toEqual(['0 → 1, on disk 1', 'resolved']);
  });

  test('find the objects that did not change unchanged, also after an edit from outside', async () => {
    const catalog = await open();
    const first = await catalog.createRule(ruleDraft);
    const second = await catalog.createRule(ruleDraft);
    await catalog.updateRule(second.id, { enabled: false });
    expect(catalog.snapshot().rules[0]).toBe(first);
    writeRules(first, { ...second, name: 'by hand' });
    await catalog.refresh();
    expect(catalog.snapshot().rules[0]).toBe(first);
    expect(catalog.snapshot().rules[1].name).toBe('by hand');
  });

  test('that fail keep neither the change nor the other listeners from happening', async () => {
    const catalog = await open();
    let heard = 0;
    catalog.subscribe(() => {
      throw new Error('broken listener');
    });
    catalog.subscribe(() => heard++);
    await catalog.createRule(ruleDraft);
    expect(heard).toBe(1);
  });
});

describe('secrets', () => {
  test('stand in a file of their own that only the owner can read, never in catalog.json', async () => {
    const catalog = await open();
    const { webhook, secret } = await catalog.createWebhook(webhookDraft);
    await catalog.addKey(key);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(textOf('catalog.json')).not.toContain('whsec_');
    expect(textOf('catalog.json')).not.toContain(key.hash);
    expect(textOf('secrets.json')).toContain(secret);
    expect([modeOf('secrets.json'), modeOf('secrets.json.last-good')]).toEqual([0o600, 0o600]);
    expect(modeOf('catalog.json')).toBe(0o644);
    expect(JSON.stringify(catalog.snapshot())).not.toContain(secret);
    await catalog.deleteWebhook(webhook.id);
    expect(catalog.secrets(webhook.id)).toEqual([]);
    expect(textOf('secrets.json')).not.toContain(secret);
  });

  test('that others could read are restricted at the start', async () => {
    writeFileSync(path('secrets.json'), '{"version":1,"webhooks":{},"keys":[]}', { mode: 0o644 });
    await open();
    expect(modeOf('secrets.json')).toBe(0o600);
  });

  test('are made for a webhook written by hand, and kept when an older catalog takes the webhook away for a while', async () => {
    const catalog = await open();
    const byHand = { version: 1, rules: [], webhooks: [{ id: 'hand', url: 'https://example.org' }] };
    writeFileSync(path('catalog.json'), JSON.stringify(byHand));
    await catalog.refresh();
    const [secret] = catalog.secrets('hand');
    expect(secret).toMatch(/^whsec_/);
    expect(catalog.snapshot().webhooks[0]).toMatchObject({ id: 'hand', events: ['alert.*'], enabled: true });
    writeRules();
    await catalog.refresh();
    await catalog.close();
    const again = await open();
    writeFileSync(path('catalog.json'), JSON.stringify(byHand));
    await again.refresh();
    expect(again.secrets('hand')).toEqual([secret]);
  });

  test('of a webhook called like a property of every object are its own', async () => {
    const catalog = await open();
    expect(catalog.secrets('constructor')).toEqual([]);
  });

  test('and keys count only once they are on disk', async () => {
    const catalog = await open();
    const added = catalog.addKey(key);
    const seen: boolean[] = [];
    for (let looking = true; looking; ) {
      const known = catalog.keys().length > 0;
      seen.push(known && !textOf('secrets.json').includes(key.hash));
      looking = !known;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await added;
    expect(seen).not.toContain(true);
  });

  test('of keys from before there were scopes open every door that they opened', async () => {
    const { scopes: _scopes, mqtt: _mqtt, expiresAt: _expiresAt, ...before } = key;
    writeFileSync(path('secrets.json'), JSON.stringify({ version: 1, webhooks: {}, keys: [before] }), { mode: 0o600 });
    const catalog = await open();
    const everything = { publish: ['#'], subscribe: ['#'] };
    expect(catalog.keys()).toEqual([{ ...before, scopes: ['admin'], mqtt: everything, expiresAt: null }]);
  });

  test('change in the fields given, and listeners hear that keys changed', async () => {
    const catalog = await open();
    await catalog.addKey(key);
    const heard: boolean[] = [];
    catalog.subscribe((_snapshot, _previous, { keys }) => heard.push(keys));
    const patch = { scopes: ['read' as const], name: undefined, expiresAt: '2027-01-01T00:00:00.000Z' };
    await catalog.updateKey(key.id, patch);
    expect(catalog.keys()).toEqual([{ ...key, scopes: ['read'], expiresAt: patch.expiresAt }]);
    await expect(catalog.updateKey('x', {})).rejects.toMatchObject({ code: 'not_found' });
    await catalog.removeKey(key.id);
    await catalog.createRule(ruleDraft);
    expect(heard).toEqual([true, true, false]);
  });

  test('take every key id once', async () => {
    const catalog = await open();
    await catalog.addKey(key);
    await expect(catalog.addKey(key)).rejects.toMatchObject({ code: 'conflict' });
    await catalog.removeKey(key.id);
    expect(catalog.keys()).toEqual([]);
  });
});

describe('an edit from outside', () => {
  test('is noticed within a second, checked and taken over', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    const heard = new Promise<readonly Rule[]>((resolve) => {
      catalog.subscribe(({ rules }) => resolve(rules));
    });
    writeRules(
      { ...rule, severity: 'info' },
      { id: 'fridge', name: 'Fridge', metric: 'temperature', condition: { type: 'threshold', above: 8 } },
    );
    clock.advance(1_000);
    const rules = await heard;
    expect(rules).toHaveLength(2);
    expect(rules[0]).toEqual({ ...rule, severity: 'info' });
    expect(rules[1]).toMatchObject({ device: '*', for: '0s', severity: 'warning', enabled: true });
  });

  test('that says the same in other words is not told', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    let heard = 0;
    catalog.subscribe(() => heard++);
    writeFileSync(path('catalog.json'), JSON.stringify({ version: 1, webhooks: [], rules: [rule] }));
    await catalog.refresh();
    expect(heard).toBe(0);
  });

  test('that we have not looked at yet is in what we write next', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    writeRules({ ...rule, name: 'by hand' });
    await catalog.createRule({ ...ruleDraft, name: 'by us' });
    expect(JSON.parse(textOf('catalog.json')).rules.map(({ name }: Rule) => name)).toEqual(['by hand', 'by us']);
  });

  test('that comes between our look and our write is in what we write', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    const now = clock.now.bind(clock);
    // The time of a change is asked for after the file was looked at and before it is written.
    clock.now = () => {
      clock.now = now;
      writeRules(rule, { ...rule, id: 'by-hand', name: 'by hand' });
      return now();
    };
    await catalog.updateRule(rule.id, { name: 'by us' });
    const names = ['by us', 'by hand'];
    expect(catalog.snapshot().rules.map(({ name }) => name)).toEqual(names);
    expect(JSON.parse(textOf('catalog.json')).rules.map(({ name }: Rule) => name)).toEqual(names);
  });

  test('with a fault is reported once, not taken over and not overwritten until it is mended', async () => {
    const errors: object[] = [];
    const catalog = await open({ ...silentLog, error: (fields) => errors.push(fields) });
    const rule = await catalog.createRule(ruleDraft);
    const faulty = writeRules({ ...rule, treshold: 5 });
    const line = faulty.split('\n').findIndex((text) => text.includes('treshold')) + 1;
    await catalog.refresh();
    await catalog.refresh();
    expect(errors).toHaveLength(1);
    expect(catalog.snapshot().rules).toEqual([rule]);
    await expect(catalog.createRule(ruleDraft)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`line ${line}, column 7: "treshold" is not known here`),
    });
    expect(textOf('catalog.json')).toBe(faulty);

    writeRules({ ...rule, name: 'mended' });
    await catalog.createRule(ruleDraft);
    expect(catalog.snapshot().rules.map(({ name }) => name)).toEqual(['mended', ruleDraft.name]);
  });

  test('that is taken back leaves no fault behind', async () => {
    const catalog = await open();
    const before = textOf('catalog.json');
    writeFileSync(path('catalog.json'), '{');
    await catalog.refresh();
    writeFileSync(path('catalog.json'), before);
    await catalog.createRule(ruleDraft);
    expect(catalog.snapshot().rules).toHaveLength(1);
  });

  test('that takes the file away is not made up for by a write', async () => {
    const catalog = await open();
    rmSync(path('catalog.json'));
    await expect(catalog.createRule(ruleDraft)).rejects.toMatchObject({ code: 'conflict' });
    expect(existsSync(path('catalog.json'))).toBe(false);
  });
});

describe('a file that cannot be used', () => {
  test.each([
    ['{\n  "version": 1,\n  "rules": [\n    {]\n', 'line 4, column 6: a name in double quotes should stand here'],
    ['', 'line 1, column 1: the file ends too early'],
    ['{"version": 2, "rules": {}}', 'line 1, column 2: it has version 2, so a newer Pulsegate wrote it'],
    ['{"version": 1, "rules": []}', 'line 1, column 1: /webhooks: '],
    ['{"rules": [], "webhooks": []}', 'line 1, column 1: /version: '],
    [
      '{"version": 1,\n"rules": [], "webhooks": [], "rulez": []}',
      'line 2, column 30: "rulez" is not known here; did you mean "rules"?',
    ],
    ['{"version": 1, "rules": [], "webhooks": [], "__proto__": {}}', '"__proto__" is not known here'],
    ['[]', 'line 1, column 1: the file: '],
  ])('%j stops the start, naming the place, and stays untouched', async (text, expected) => {
    writeFileSync(path('catalog.json'), text);
    const error = await refusal();
    expect(error.message).toContain(path('catalog.json'));
    expect(error.message).toContain(expected);
    expect(error.message).toContain('there is no earlier copy');
    expect(textOf('catalog.json')).toBe(text);
  });

  test('has all its faults named at once', async () => {
    const rule = { id: 'a', name: 'n', metric: 'm', condition: { type: 'threshold', above: 1 } };
    const text = JSON.stringify(
      { version: 1, rules: [rule, { ...rule, for: 'soon' }, { ...rule, id: 'b', device: '/' }], webhooks: [] },
      null,
      1,
    );
    writeFileSync(path('catalog.json'), text);
    const { faults } = await refusal();
    expect(faults.map(({ pointer }) => pointer)).toEqual(['/rules/1/id', '/rules/1/for', '/rules/2/device']);
    for (const { pointer, place } of faults) {
      expect(text.split('\n')[place.line - 1].trim()).toContain(`"${pointer.split('/').at(-1)}"`);
    }
  });

  test('has its last good copy named, which is what was last written', async () => {
    const catalog = await open();
    await catalog.createRule(ruleDraft);
    const good = textOf('catalog.json');
    await catalog.close();
    writeFileSync(path('catalog.json'), good.slice(0, -20));
    const error = await refusal();
    expect(error.lastGood).toBe(path('catalog.json.last-good'));
    expect(error.message).toContain(`the last good copy is ${path('catalog.json.last-good')}`);
    expect(textOf('catalog.json.last-good')).toBe(good);
  });

  test('because it is gone while its last good copy is there stops the start', async () => {
    await (await open()).close();
    rmSync(path('catalog.json'));
    expect((await refusal()).message).toContain('it is gone');
    rmSync(path('catalog.json.last-good'));
    expect((await open()).snapshot()).toMatchObject({ rules: [], webhooks: [] });
  });

  test('of secrets stops the start without repeating a secret', async () => {
    writeFileSync(path('secrets.json'), '{"version":1,"webhooks":{"wh_1":["whsec_not*base64*at*all"]},"keys":[]}');
    const { message } = await refusal();
    expect(message).toContain('secrets.json');
    expect(message).not.toContain('not*base64');
  });
});

describe('a write that fails', () => {
  test('leaves memory and file as they were, and the next one succeeds', async () => {
    const catalog = await open();
    const rule = await catalog.createRule(ruleDraft);
    const before = textOf('catalog.json');
    // A folder where the temporary file should go: the disk says no.
    mkdirSync(path('catalog.json.tmp/in-the-way'), { recursive: true });
    await expect(catalog.deleteRule(rule.id)).rejects.toMatchObject({ name: 'TransientError' });
    expect(catalog.snapshot().rules).toEqual([rule]);
    expect(textOf('catalog.json')).toBe(before);
    rmSync(path('catalog.json.tmp'), { recursive: true });
    await catalog.deleteRule(rule.id);
    expect(JSON.parse(textOf('catalog.json')).rules).toEqual([]);
  });

  test('leaves no webhook without a secret and no secret handed out', async () => {
    const catalog = await open();
    mkdirSync(path('secrets.json.tmp/in-the-way'), { recursive: true });
    await expect(catalog.createWebhook(webhookDraft)).rejects.toMatchObject({ name: 'TransientError' });
    expect(catalog.snapshot().webhooks).toEqual([]);
  });

  test('because the file cannot be read is passing, too', async () => {
    const catalog = await open();
    rmSync(path('catalog.json'));
    mkdirSync(path('catalog.json'));
    await expect(catalog.createRule(ruleDraft)).rejects.toMatchObject({
      name: 'TransientError',
      message: expect.stringContaining('catalog.json could not be read: EISDIR'),
    });
  });

  test('of the last good copy does not fail the change', async () => {
    const catalog = await open();
    mkdirSync(path('catalog.json.last-good.tmp/in-the-way'), { recursive: true });
    await catalog.createRule(ruleDraft);
    expect(catalog.snapshot().rules).toHaveLength(1);
  });
});

test('a closed catalog sets no more timers', async () => {
  const catalog = await open();
  expect(clock.timers).toBe(1);
  await catalog.close();
  await catalog.close();
  expect(clock.timers).toBe(0);
});
