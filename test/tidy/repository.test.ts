import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** What the next commit would hold: tracked, or new and not ignored. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean);

describe('the top level', () => {
  it('holds what the house has, and dot files', () => {
    const documents = ['package.json', 'package-lock.json', 'tsconfig.json', 'README.md', 'LICENSE'];
    const allowed = [...documents, 'src', 'simulator', 'config', 'test'];
    const found = new Set(files.map((file) => file.split('/')[0]).filter((name) => !name.startsWith('.')));
    expect([...found].toSorted()).toEqual(allowed.toSorted());
  });

  it('keeps no build result, database or secret', () => {
    expect(files.filter((file) => /(^|\/)(node_modules|dist)\/|^data\/|\.(db|sqlite|log|pem|key)$/.test(file))).toEqual(
      [],
    );
  });
});

describe('the packages', () => {
  interface Locked {
    readonly hasInstallScript?: boolean;
    readonly license?: string;
    readonly integrity?: string;
  }
  const lock = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> };
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

  /** Licences that ask for no more than a notice. */
  const allowed = new Set([
    'MIT',
    'MIT OR Apache-2.0',
    'ISC',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'Apache-2.0',
    '0BSD',
    '(Apache-2.0 AND BSD-3-Clause)',
  ]);
  /** Tools that are not shipped: one whose changed files would have to be shared, one given to the public. */
  const tools: Readonly<Record<string, RegExp>> = { 'MPL-2.0': /\/lightningcss/, Unlicense: /\/fast-sha256$/ };

  it('are locked, each by its hash', () => {
    expect(packages.length).toBeGreaterThan(100);
    expect(packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  });

  it('run nothing when they are installed', () => {
    expect(packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual([]);
  });

  it('have a licence that allows what we do', () => {
    const strange = packages.filter(([path, { license = '' }]) => !allowed.has(license) && !tools[license]?.test(path));
    expect(strange.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });
});

/** The names of all options of a schema, section by section. */
function wanted(schema: z.ZodObject): unknown {
  return Object.entries<unknown>(schema.shape).map(([name, below]) =>
    below instanceof z.ZodObject ? [name, wanted(below)] : name,
  );
}

/** The same of a YAML mapping. */
function written(node: unknown): unknown {
  if (!isMap(node)) return [];
  return pairs(node).map(([name, value]) => (isMap(value) ? [name, written(value)] : name));
}

describe('config/default.yaml', () => {
  const document = parseDocument(read('config/default.yaml'));
  const top = document.contents;
  const sections = isMap(top) ? pairs(top) : [];

  it('has every option of the schema and no other', () => {
    expect(written(document.contents)).toEqual(wanted(configSchema));
  });

  it('says a sentence about each', () => {
    const silent = sections.flatMap(([name, value]) =>
      isMap(value)
        ? pairs(value)
            .filter(
              ([, , comment]) => !/^ [A-Za-z…].{15,}\.$/s.test(comment.trimEnd()) && !/^ .{15,} …$/s.test(comment),
            )
            .map(([key]) => `${name}.${key}`)
        : [name],
    );
    expect(silent).toEqual([]);
  });
});

/** The places of a text that match. */
function findIn(pattern: RegExp, file: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : []));
}

describe('every text', () => {
  // All but this one, which has to spell what it looks for.
  const texts = files
    .filter((file) => /\.(ts|tsx|js|mjs|json|md|yaml|yml|css|html|svg|txt|csv)$|\/run$|^\.[a-z]/.test(file))
    .filter((file) => file !== 'test/tidy/repository.test.ts')
    .map((file) => ({ file, text: read(file) }));
  const folder = /["'`( =:](\/home|\/Users|\/root|\/work)\//;
  const registry = /https?:\/\/[^/\s]*(registry|npmjs|yarnpkg)|"resolved":/;

  it('names no folder of one machine', () => {
    expect(texts.flatMap(({ file, text }) => findIn(folder, file, text))).toEqual([]);
  });

  it('names no host of a package registry, nor where a package was fetched', () => {
    expect(texts.flatMap(({ file, text }) => findIn(registry, file, text))).toEqual([]);
  });

  it('would be found out', () => {
    expect(findIn(folder, 'a', 'one\ncd /home/ann/pulsegate\n"/work/main"')).toEqual(['a:2', 'a:3']);
    expect(findIn(registry, 'a', '"resolved": ""\nhttps://registry.example.com/ws')).toEqual(['a:1', 'a:2']);
  });
});

/** Key, value and the comment before it; the one before the first key of a map stands at the map. */
function pairs(map: YAMLMap): [string, unknown, string][] {
  return map.items.map(({ key, value }, index) => {
    const own = isScalar(key) ? (key.commentBefore ?? '') : '';
    return [isScalar(key) ? String(key.value) : '', value, index === 0 ? (map.commentBefore ?? own) : own];
  });
}
