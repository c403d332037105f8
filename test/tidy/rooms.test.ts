import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkRooms } from './room-check.ts';
import { exceptions, type Room, rooms } from './room-law.ts';
import { readSource } from './source-file.ts';

const root = new URL('../..', import.meta.url).pathname;

function sourcePaths(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile() && /\.[cm]?[jt]sx?$/.test(found.name))
    .map((found) => posix.join(...join(found.parentPath, found.name).slice(root.length).split(sep)))
    .filter((path) => !path.startsWith('src/dashboard/dist/'));
}

function srcFolders(): string[] {
  return readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((found) => found.isDirectory())
    .map((found) => found.name);
}

describe('the source', () => {
  const files = ['src', 'simulator']
    .flatMap(sourcePaths)
    .map((path) => readSource(path, readFileSync(join(root, path), 'utf8')));
  const breaches = checkRooms(files, srcFolders());

  it('is read: every room has imports to judge', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(files.length);
  });

  it('keeps the import law', () => {
    const meant = breaches.filter(
      ({ file, what }) => !exceptions.some((exception) => exception.file.test(file) && exception.breach.test(what)),
    );
    expect(meant.map(({ file, what }) => `${file} ${what}`)).toEqual([]);
  });

  it('needs every exception that is written down', () => {
    const needless = exceptions.filter(
      (exception) => !breaches.some(({ file, what }) => exception.file.test(file) && exception.breach.test(what)),
    );
    expect(needless.map(({ why }) => why)).toEqual([]);
  });
});

describe('the map in src/README.md', () => {
  it('shows the same table as the law', () => {
    const text = readFileSync(join(root, 'src/README.md'), 'utf8');
    expect(shownRooms(text)).toEqual(rooms.map(shown).toSorted(byName));
  });
});

describe('the check itself', () => {
  /** A small house that keeps the law. */
  const lawful = {
    'src/base/clock.ts': 'export const now = () => Date.now(); setTimeout(() => {}, 1); new Date();',
    'src/domain/reading.ts': "import type { Clock } from '../base/clock.ts'; new Date(0); export type Reading = Clock;",
    'src/contract/error-codes.ts': "import { z } from 'zod'; import type { Reading } from '../domain/reading.ts';",
    'src/history/engine.ts': "import type { Reading } from '../domain/reading.ts'; export class Failed {}",
    'src/storage/sqlite/database.ts': "import { DatabaseSync } from 'node:sqlite';",
    'src/storage/sqlite/writer.ts': "import type { Engine } from '../../history/engine.ts'; import './database.ts';",
    'src/decode/native.ts': "import '../domain/reading.ts';",
    'src/pipeline/intake.ts': "import '../decode/native.ts'; import { now } from './clock.ts'; now();",
    'src/pipeline/clock.ts': 'export const now = (clock) => clock.now();',
    'src/gateway.ts': "import './pipeline/intake.ts'; import './storage/sqlite/writer.ts';",
    'src/cli/start.ts': "import '../gateway.ts'; import pino from 'pino';",
    'src/cli/flags.ts': "import { Command } from 'commander';",
    'src/main.js': "await import('./cli/start.ts');",
    'src/dashboard/main.tsx': `import type { Reading } from '../contract/error-codes.ts';
      import './styles/base.css'; await fetch('/'); export const Page = () => <p>don't // {'"'}</p>;`,
    'src/dashboard/clock.ts': 'Math.random();',
    'simulator/main.ts': "import mqtt from 'mqtt'; setTimeout(() => {}, Math.random());",
  };

  function breachesWith(changes: Readonly<Record<string, string>>, emptyFolders: readonly string[] = []): string[] {
    const tree = { ...lawful, ...changes };
    const paths = Object.keys(tree).filter((path) => /^src\/.+\//.test(path));
    return checkRooms(
      Object.entries(tree).map(([path, text]) => readSource(path, text)),
      [...paths.map((path) => path.split('/')[1]), ...emptyFolders],
    ).map(({ file, what }) => `${file} ${what}`);
  }

  it('finds nothing in a house that keeps the law', () => {
    expect(breachesWith({})).toEqual([]);
  });

  it.each([
    ['a word that knows a later room', 'src/base/a.ts', "import '../domain/reading.ts';", 'the room domain'],
    ['a stage that knows another', 'src/latest/a.ts', "import '../pipeline/clock.ts';", 'the room pipeline'],
    [
      'also by its types alone',
      'src/latest/a.ts',
      "import type { A } from '../pipeline/clock.ts';",
      'the room pipeline',
    ],
    ['by a type query', 'src/latest/a.ts', "type A = import('../pipeline/clock.ts').A;", 'the room pipeline'],
    ['by export from', 'src/latest/a.ts', "export { now } from '../pipeline/clock.ts';", 'the room pipeline'],
    ['by export all', 'src/latest/a.ts', "export * from '../pipeline/clock.ts';", 'the room pipeline'],
    ['by import()', 'src/latest/a.ts', "await import('../pipeline/clock.ts');", 'the room pipeline'],
    ['by a computed import()', 'src/latest/a.ts', 'await import(process.argv[2]);', 'something computed'],
    ['decode that looks back', 'src/decode/a.ts', "import '../pipeline/clock.ts';", 'the room pipeline'],
    ['an engine that looks ahead', 'src/storage/a.ts', "import '../pipeline/clock.ts';", 'the room pipeline'],
    ['also with inline types', 'src/api/a.ts', "import { type A } from '../history/engine.ts';", 'only have types'],
    ['the api that takes code', 'src/api/a.ts', "import '../pipeline/clock.ts';", 'only have types'],
    ['the page that takes code', 'src/dashboard/a.ts', "import '../contract/error-codes.ts';", 'only have types'],
    ['a gateway that knows the command line', 'src/gateway.ts', "import './cli/flags.ts';", 'the room cli'],
    ['a simulator that knows the source', 'simulator/a.ts', "import '../src/base/clock.ts';", 'the room base'],
    ['a source that knows the simulator', 'src/cli/a.ts', "import '../../simulator/main.ts';", 'the room simulator'],
    ['a package out of its room', 'src/pipeline/a.ts', "import { z } from 'zod';", 'the package zod'],
    ['a scoped one', 'src/live/a.ts', "import Router from '@koa/router';", 'the package @koa/router'],
    ['a package of nobody', 'src/live/a.ts', "import 'left-pad/lib';", 'left-pad, which belongs to no room'],
    ['the database elsewhere', 'src/storage/sqlite/a.ts', "import 'node:sqlite';", 'node:sqlite'],
    ['a room that is not in the law', 'src/helpers/a.ts', 'export {};', 'is in no room'],
    ['a barrel', 'src/live/index.ts', 'export {};', 'is a barrel'],
    ['a file that is not there', 'src/live/a.ts', "import './b.ts';", 'which is not there'],
    ['the wall clock', 'src/live/a.ts', 'Date.now();', 'uses Date.now'],
    ['the wall clock as a date', 'src/live/a.ts', 'new Date();', 'uses new Date()'],
    ['the wall clock as text', 'src/live/a.ts', 'Date();', 'uses Date()'],
    ['a timer', 'src/live/a.ts', 'setTimeout(() => {}, 1);', 'uses setTimeout'],
    ['an interval by way of the world', 'src/live/a.ts', 'globalThis.setInterval(() => {}, 1);', 'uses setInterval'],
    ['timers from Node', 'src/live/a.ts', "import { setTimeout } from 'node:timers/promises';", 'timers from Node'],
    ['chance', 'src/live/a.ts', 'Math.random();', 'uses Math.random'],
    ['the stopwatch', 'src/live/a.ts', 'performance.now();', 'uses performance.now'],
    ['a fetch', 'src/webhooks/a.ts', "await fetch('http://a');", 'uses fetch'],
    ['chance on the page', 'src/dashboard/a.ts', 'Math.random();', 'uses Math.random'],
  ])('reports %s', (_, file, text, what) => {
    const breaches = breachesWith({ [file]: text });
    expect(breaches).toEqual([expect.stringContaining(what)]);
    expect(breaches[0]).toContain(file);
  });

  it('reports a circle, unless types alone close it', () => {
    const circle = {
      'src/live/a.ts': "import './b.ts';",
      'src/live/b.ts': "import './c.ts';",
      'src/live/c.ts': "import { type A } from './a.ts';",
    };
    expect(breachesWith({ ...circle, 'src/live/c.ts': "import type { A } from './a.ts';" })).toEqual([]);
    const breaches = breachesWith(circle);
    expect(breaches).toEqual([
      'src/live/a.ts imports itself in a circle: src/live/a.ts → src/live/b.ts → src/live/c.ts → src/live/a.ts',
    ]);
  });

  it('reports a room with nothing in it', () => {
    expect(breachesWith({}, ['commands'])).toEqual(['src/commands is a room with nothing in it']);
  });

  it('does not parse what is no code', () => {
    expect(() => readSource('src/live/a.ts', 'const = 1;')).toThrow(/src\/live\/a\.ts/);
  });
});

interface Shown {
  readonly name: string;
  readonly may: readonly string[];
  readonly but: readonly string[];
  readonly typesOf: readonly string[];
  readonly packages: readonly string[];
}

function shown({ name, may, but = [], typesOf, packages }: Room): Shown {
  return { name, may, but, typesOf, packages };
}

function byName(a: Shown, b: Shown): number {
  return a.name < b.name ? -1 : 1;
}

function shownRooms(text: string): Shown[] {
  const [, section = ''] = text.split('## Who may import whom');
  const rows = section.split('\n## ')[0].matchAll(/^\| (`.+?) \| (.*?) \|(.*)\|$/gm);
  return [...rows]
    .flatMap(([, names, imports, packages]) => namesIn(names).map((name) => row(name, imports, packages)))
    .toSorted(byName);
}

function row(name: string, imports: string, packages: string): Shown {
  const parts = imports.split(';').map((part) => part.trim());
  const types = parts.find((part) => part.startsWith('types of')) ?? '';
  const values = parts.find((part) => !part.startsWith('types of')) ?? '';
  const every = values.includes('every room');
  return {
    name: name.replace('/*', ''),
    may: every ? ['*'] : namesIn(values),
    but: values.includes('every room but') ? namesIn(values) : [],
    typesOf: types.includes('any room') ? ['*'] : namesIn(types),
    packages: packages
      .replace('in one file', '')
      .split(',')
      .map((one) => one.trim().replace(/^signals$/, '@preact/signals'))
      .filter(Boolean),
  };
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
}
