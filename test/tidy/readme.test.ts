// What the README names exists: options with the default that it gives, families of /metrics, files, error codes.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { errorCodes } from '../../src/contract/error-codes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { deviceEventTypes } from '../../src/domain/webhook.ts';

const root = new URL('../..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const config: unknown = loadConfig({});

/** What stands at a dotted path; undefined where nothing does. */
function optionAt(path: string): unknown {
  let value: unknown = config;
  for (const name of path.split('.')) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  }
  return value;
}

const units: Readonly<Record<string, number>> = {
  KB: 1_024,
  MB: 1_024 ** 2,
  s: 1_000,
  h: 3_600_000,
  d: 86_400_000,
  '': 1,
};

it('every option that it names is one', () => {
  const sections = Object.keys(Object(config)).join('|');
  const named = [...readme.matchAll(new RegExp(`\\b((?:${sections})\\.[a-z]\\w*(?:\\.\\w+)*)`, 'g'))].map(
    ([path]) => path,
  );
  // Files and the types of events have dots, too.
  const others = new Set<string>(deviceEventTypes);
  const options = named.filter((path) => !others.has(path) && !/\.(json|yaml|csv|md|js|conf)$/.test(path));
  expect(options.length).toBeGreaterThan(40);
  expect(options.filter((path) => optionAt(path) === undefined)).toEqual([]);
});

it('every default in the table of limits is the default', () => {
  const rows = [...readme.matchAll(/`((?:\w+\.)+\w+)` ([\d,]+)(?: (KB|MB|s|h|d)\b)?/g)];
  expect(rows.length).toBeGreaterThan(25);
  for (const [, path, count, unit = ''] of rows) {
    expect([path, optionAt(path)]).toEqual([path, Number(count.replaceAll(',', '')) * units[unit]]);
  }
});

it('every family of /metrics that it names is one', () => {
  const files = ['metrics.ts', 'mqtt-metrics.ts', 'storage-metrics.ts'];
  const sources = files.map((file) => readFileSync(join(root, 'src/api', file), 'utf8')).join('\n');
  const named = [...readme.matchAll(/`(pulsegate_\w+)`/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(15);
  const isThere = (name: string): boolean =>
    sources.includes(`'${name}'`) || sources.includes(`'${name.replace(/^pulsegate_(mqtt|storage)_/, '')}'`);
  expect(named.filter((name) => !isThere(name))).toEqual([]);
});

it('every error code that it names is one', () => {
  const named = [...readme.matchAll(/`((?:device|payload|value|series|mapping|time)_[a-z_]+)`/g)].map(
    ([, code]) => code,
  );
  const others = new Set(['device_id']);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((code) => !others.has(code) && !Object.hasOwn(errorCodes, code))).toEqual([]);
});

it('every file that it links to is there', () => {
  const linked = [...readme.matchAll(/\]\(((?!https?:)[^)#]+)\)/g)].map(([, path]) => path);
  expect(linked.length).toBeGreaterThan(4);
  expect(linked.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
