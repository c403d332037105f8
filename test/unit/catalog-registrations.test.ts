import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Log, silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { CatalogError } from '../../src/catalog/catalog-error.ts';
import { RegistrationDraft } from '../../src/contract/device.ts';
import type { Registration } from '../../src/domain/registration.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let clock: FakeClock;
let catalogs: Catalog[];
beforeEach(() => {
  folder = tempFolder();
  clock = new FakeClock(Date.UTC(2026, 0, 1));
  catalogs = [];
});
afterEach(async () => {
  await Promise.all(catalogs.map((catalog) => catalog.close()));
  folder.remove();
});

async function open(log: Log = silentLog, dir = folder.path): Promise<Catalog> {
  const catalog = await Catalog.open({ dir, clock, random: seededRandom(1), log });
  catalogs.push(catalog);
  return catalog;
}

const path = (name: string): string => join(folder.path, name);
const textOf = (name: string): string => readFileSync(path(name), 'utf8');
const linesOf = (name: string): number => textOf(name).split('\n').length - 1;
const draft = (id: string, parts: object = {}): RegistrationDraft => RegistrationDraft.parse({ id, ...parts });
const byHand = (...devices: object[]): void =>
  writeFileSync(path('devices.json'), JSON.stringify({ version: 1, devices }, null, 2));
const inFile = (): Registration[] => JSON.parse(textOf('devices.json')).devices;
const all = (catalog: Catalog): Registration[] => [...catalog.snapshot().registrations.values()];

/** Lets the fold that a timer began come to its end: it takes its turn before the look of `refresh`. */
async function quiet(catalog: Catalog): Promise<void> {
  clock.advance(2_000);
  await catalog.refresh();
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

describe('a registration', () => {
  test('is a line of the journal at once, and of devices.json when it is quiet', async () => {
    const catalog = await open();
    const [made] = await catalog.createRegistrations([draft('fridge-1', { name: 'Fridge', tags: { room: 'lab' } })]);
    expect(made).toEqual({
      id: 'fridge-1',
      name: 'Fridge',
      profile: null,
      tags: { room: 'lab' },
      timeZone: null,
      approval: 'approved',
      createdAt: '2026-01-01T00:00:00.000Z',
      updatedAt: '2026-01-01T00:00:00.000Z',
    });
    expect(JSON.parse(textOf('devices.journal'))).toEqual({ put: [made], forget: [] });
    expect(existsSync(path('devices.json'))).toBe(false);
    await quiet(catalog);
    expect(textOf('devices.journal')).toBe('');
    expect(inFile()).toEqual([made]);
    expect(textOf('devices.json.last-good')).toBe(textOf('devices.json'));
    expect(textOf('catalog.json')).not.toContain('fridge-1');
  });

  test('is there again after opening anew, whether it was folded or not', async () => {
    const first = await open();
    await first.createRegistrations([draft('a')]);
    await quiet(first);
    await first.createRegistrations([draft('b')]);
    await first.updateRegistration('a', { name: 'A' });
    const before = all(first);
    // A second look at the same files, as after a kill.
    const killed = await open();
    expect(all(killed)).toEqual(before);
    await killed.close();
    expect(inFile()).toEqual(before);
    expect(all(await open())).toEqual(before);
  });

  test('is refused where it exists, and then nothing of the request is kept', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a')]);
    const clash = catalog.createRegistrations([draft('b'), draft('a'), draft('c', { profile: 'nope' })]);
    await expect(clash).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [
        { pointer: '/1/id', code: 'device_exists' },
        { pointer: '/2/profile', code: 'validation_failed' },
      ],
    });
    await expect(catalog.createRegistrations([draft('a')])).rejects.toMatchObject({
      code: 'device_exists',
      errors: [{ pointer: '/id' }],
    });
    expect(all(catalog).map(({ id }) => id)).toEqual(['a']);
  });

  test('made by two at once is made by one of them', async () => {
    const catalog = await open();
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => catalog.createRegistrations([draft('a')])));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  test('changes only where it is told to, and can be taken away', async () => {
    const catalog = await open();
    const [made] = await catalog.createRegistrations([draft('a', { tags: { x: '1' }, timeZone: 'Europe/Berlin' })]);
    clock.advance(1_000);
    const changed = await catalog.updateRegistration('a', { timeZone: null, name: undefined });
    expect(changed).toEqual({ ...made, timeZone: null, updatedAt: '2026-01-01T00:00:01.000Z' });
    await expect(catalog.updateRegistration('b', {})).rejects.toMatchObject({ code: 'not_found' });
    await catalog.deleteRegistration('a');
    await catalog.deleteRegistration('a');
    expect(all(catalog)).toEqual([]);
    await catalog.close();
    expect(inFile()).toEqual([]);
  });

  test('of many at once share a line, and a list is one line', async () => {
    const catalog = await open();
    await Promise.all(Array.from({ length: 50 }, (_, n) => catalog.createRegistrations([draft(`d${n}`)])));
    // The first goes alone; what came while it was written goes together.
    expect(linesOf('devices.journal')).toBeLessThanOrEqual(3);
    const before = linesOf('devices.journal');
    await catalog.createRegistrations(Array.from({ length: 500 }, (_, n) => draft(`e${n}`)));
    const blocked = ['e1', 'e2', 'new'].map((id) => ({ id, approval: 'blocked' as const, profile: null }));
    await catalog.decideApprovals(blocked);
    expect(linesOf('devices.journal')).toBe(before + 2);
    expect(catalog.snapshot().registrations.get('new')).toMatchObject({ approval: 'blocked' });
    expect(catalog.snapshot().registrations.size).toBe(551);
  });

  test('is told with its id, once it is in the map, in the change notice', async () => {
    const catalog = await open();
    const heard: unknown[] = [];
    catalog.subscribe(({ registrations }, _previous, change) =>
      heard.push([change.registrations, registrations.has('a'), linesOf('devices.journal')]),
    );
    await catalog.createRegistrations([draft('a')]);
    await catalog.deleteRegistration('a');
    expect(heard).toEqual([
      [['a'], true, 1],
      [['a'], false, 2],
    ]);
  });

  test('is frozen', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a', { tags: { x: '1' } })]);
    const kept = catalog.snapshot().registrations.get('a');
    expect([Object.isFrozen(kept), Object.isFrozen(kept?.tags)]).toEqual([true, true]);
  });
});

describe('the journal', () => {
  test('is folded as soon as it is long, so that it never grows beyond a few megabytes', async () => {
    const catalog = await open();
    const drafts = Array.from({ length: 30_000 }, (_, n) => draft(`device-${n}`, { name: 'x'.repeat(100) }));
    for (let from = 0; from < drafts.length; from += 5_000) {
      await catalog.createRegistrations(drafts.slice(from, from + 5_000));
    }
    await catalog.refresh();
    expect(statSync(path('devices.journal')).size).toBeLessThan(4 * 1_048_576);
    expect(inFile().length).toBeGreaterThan(10_000);
  });

  test.each(['{"put":[', '{"put":[],"forget":["a"]}', 'x\0\0\0\n'])(
    'whose last line %j is torn opens without it: it was never acknowledged',
    async (torn) => {
      const first = await open();
      await first.createRegistrations([draft('a')]);
      const good = textOf('devices.journal');
      appendFileSync(path('devices.journal'), torn);
      const second = await open();
      expect(all(second).map(({ id }) => id)).toEqual(['a']);
      expect(textOf('devices.journal')).toBe(good);
    },
  );

  test.each(['not json\n', '{"put":[{"id":"a"}],"forget":[]}\n', '{"forgot":["a"]}\n'])(
    'with %j in it stops the start, naming the line, and stays untouched',
    async (broken) => {
      const first = await open();
      await first.createRegistrations([draft('a')]);
      const text = textOf('devices.journal') + broken + textOf('devices.journal');
      writeFileSync(path('devices.journal'), text);
      const error = await refusal();
      expect(error.message).toContain(path('devices.journal'));
      expect(error.message).toContain('line 2');
      expect(textOf('devices.journal')).toBe(text);
    },
  );

  test('cut at any byte opens with a prefix of what was done, request by request', async () => {
    const first = await open();
    const states: Registration[][] = [[]];
    const ends = [0];
    const note = (): void => {
      states.push(all(first));
      ends.push(statSync(path('devices.journal')).size);
    };
    await first.createRegistrations([draft('a'), draft('b')]).then(note);
    await first.updateRegistration('a', { name: 'Ä' }).then(note);
    await first.deleteRegistration('b').then(note);
    await first.createRegistrations([draft('c')]).then(note);
    const journal = readFileSync(path('devices.journal'));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: journal.length }), async (bytes) => {
        const other = tempFolder();
        try {
          writeFileSync(join(other.path, 'devices.journal'), journal);
          truncateSync(join(other.path, 'devices.journal'), bytes);
          const catalog = await Catalog.open({ dir: other.path, clock, random: seededRandom(1), log: silentLog });
          const whole = ends.findLastIndex((end) => end <= bytes);
          expect(all(catalog)).toEqual(states[whole]);
          await catalog.close();
        } finally {
          other.remove();
        }
      }),
      { numRuns: 40 },
    );
  });
});

test('a fold that fails is reported once and tried again, and no change is held up by it', async () => {
  const warnings: string[] = [];
  const catalog = await open({ ...silentLog, warn: (_fields, message) => warnings.push(message) });
  mkdirSync(path('devices.json.tmp'));
  await catalog.createRegistrations([draft('a')]);
  await quiet(catalog);
  await catalog.createRegistrations([draft('b')]);
  await quiet(catalog);
  expect(warnings).toEqual(['devices.journal could not be folded into devices.json yet']);
  expect([existsSync(path('devices.json')), linesOf('devices.journal')]).toEqual([false, 2]);
  rmdirSync(path('devices.json.tmp'));
  clock.advance(30_000);
  await catalog.refresh();
  expect([inFile(), textOf('devices.journal')]).toEqual([all(catalog), '']);
});

describe('an edit of devices.json', () => {
  test('is noticed within a second, checked and taken over, what is not folded yet on top', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a'), draft('b')]);
    await quiet(catalog);
    await catalog.createRegistrations([draft('c')]);
    const heard = new Promise((resolve) => {
      catalog.subscribe((_snapshot, _previous, change) => resolve([...change.registrations].sort()));
    });
    byHand({ id: 'a', name: 'by hand' }, { id: 'd' });
    clock.advance(1_000);
    expect(await heard).toEqual(['a', 'b', 'd']);
    expect(all(catalog).map(({ id, name }) => [id, name])).toEqual([
      ['a', 'by hand'],
      ['d', ''],
      ['c', ''],
    ]);
    expect([...catalog.registrationsAfter(null)].map(({ id }) => id)).toEqual(['a', 'c', 'd']);
    expect([...catalog.registrationsAfter('b')].map(({ id }) => id)).toEqual(['c', 'd']);
    await quiet(catalog);
    expect(inFile()).toEqual(all(catalog));
  });

  test('that we have not looked at yet is in what we write next', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a')]);
    await quiet(catalog);
    byHand({ id: 'a', name: 'by hand', tags: { room: '1' } });
    await catalog.updateRegistration('a', { tags: { room: '2' } });
    await quiet(catalog);
    expect(inFile()).toMatchObject([{ id: 'a', name: 'by hand', tags: { room: '2' } }]);
  });

  test('with a fault is reported once, neither taken over nor written over, and changes wait until it is mended', async () => {
    const errors: object[] = [];
    const catalog = await open({ ...silentLog, error: (fields) => errors.push(fields) });
    await catalog.createRegistrations([draft('a')]);
    await quiet(catalog);
    byHand({ id: 'a', aproval: 'blocked' });
    const faulty = textOf('devices.json');
    await catalog.refresh();
    await catalog.refresh();
    expect(errors).toHaveLength(1);
    await expect(catalog.createRegistrations([draft('b')])).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('"aproval" is not known here; did you mean "approval"?'),
    });
    await quiet(catalog);
    expect(textOf('devices.json')).toBe(faulty);
    byHand({ id: 'a', approval: 'blocked' });
    await catalog.createRegistrations([draft('b')]);
    expect(all(catalog).map(({ id, approval }) => [id, approval])).toEqual([
      ['a', 'blocked'],
      ['b', 'approved'],
    ]);
  });

  test('that is mended lets what waits in the journal be folded, without another change', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a')]);
    await quiet(catalog);
    await catalog.createRegistrations([draft('b')]);
    byHand({ id: 'a', aproval: 'blocked' });
    await quiet(catalog);
    expect(linesOf('devices.journal')).toBe(1);
    byHand({ id: 'a' }, { id: 'c' });
    await catalog.refresh();
    await quiet(catalog);
    expect([inFile().map(({ id }) => id), textOf('devices.journal')]).toEqual([['a', 'c', 'b'], '']);
  });

  test('that takes the file away is not made up for by a fold, and stops the next start', async () => {
    const catalog = await open();
    await catalog.createRegistrations([draft('a')]);
    await quiet(catalog);
    rmSync(path('devices.json'));
    await expect(catalog.createRegistrations([draft('b')])).rejects.toMatchObject({ code: 'conflict' });
    await catalog.close();
    expect(existsSync(path('devices.json'))).toBe(false);
    expect((await refusal()).message).toContain('it is gone');
  });

  test.each([
    ['{"version":1,"devices":[{"id":"a b"}]}', 'a device id has'],
    ['{"version":1,"devices":[{"id":"a","timeZone":"Mars/Base"}]}', 'IANA name'],
    ['{"version":1,"devices":[{"id":"a"},\n{"id":"a"}]}', 'line 2'],
    ['{"version":2,"devices":[]}', 'newer Pulsegate'],
    ['{"version":1,"devices":[', 'the file ends too early'],
  ])('%j stops the start, saying why', async (text, expected) => {
    writeFileSync(path('devices.json'), text);
    expect((await refusal()).message).toContain(expected);
    expect(textOf('devices.json')).toBe(text);
  });
});

test('what the next start would refuse never reaches the disk', async () => {
  const catalog = await open();
  const long = { ...draft('a'), name: 'x'.repeat(201) };
  const refused = { code: 'validation_failed', pointer: '/name' };
  await expect(catalog.createRegistrations([draft('b'), long])).rejects.toMatchObject(refused);
  expect([all(catalog), textOf('devices.journal')]).toEqual([[], '']);
});

test('a change that is refused leaves no line in the journal', async () => {
  const catalog = await open();
  await catalog.createRegistrations([draft('a')]);
  const before = textOf('devices.journal');
  const refused = catalog.updateRegistration('a', { profile: 'gone' });
  await expect(refused).rejects.toMatchObject({ code: 'validation_failed', pointer: '/profile' });
  await expect(catalog.createRegistrations([draft('a')])).rejects.toMatchObject({ code: 'device_exists' });
  expect(textOf('devices.journal')).toBe(before);
});
