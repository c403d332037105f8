import { expect, test } from 'vitest';
import { PagePlaces } from '../../src/api/page-places.ts';
import type { Asker } from '../../src/history/queries.ts';

const { signal } = new AbortController();
const one: Asker = { name: 'one', signal };
const other: Asker = { name: 'other', signal };

/** Begins a page called `name`; what comes back ends it. */
function begin(places: PagePlaces, name: string, made: string[], asker = one) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const page = places.use(asker, async () => {
    made.push(name);
    await promise;
    return name;
  });
  return { page, end: resolve };
}

test('so many pages are made at once, and those of one asker in the order in which they came', async () => {
  const places = new PagePlaces({ max: 2, waitingEach: 10, waitingMax: 10 });
  const made: string[] = [];
  const pages = ['a', 'b', 'c', 'd'].map((name) => begin(places, name, made));
  await Promise.resolve();
  expect(made).toEqual(['a', 'b']);
  pages[1]?.end();
  expect(await pages[1]?.page).toBe('b');
  for (const { end } of pages) end();
  expect(await Promise.all(pages.map(({ page }) => page))).toEqual(['a', 'b', 'c', 'd']);
  expect(made).toEqual(['a', 'b', 'c', 'd']);
});

test('a page that fails gives its place back', async () => {
  const places = new PagePlaces({ max: 1, waitingEach: 0, waitingMax: 0 });
  await expect(places.use(one, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await places.use(one, () => Promise.resolve(7))).toBe(7);
});

test('whoever leaves the line takes no place, and whoever has too many in it is refused, but nobody else', async () => {
  const places = new PagePlaces({ max: 1, waitingEach: 1, waitingMax: 10 });
  const made: string[] = [];
  const first = begin(places, 'first', made);
  const leaving = new AbortController();
  const left = begin(places, 'left', made, { name: 'one', signal: leaving.signal });
  await expect(begin(places, 'refused', made).page).rejects.toMatchObject({
    code: 'too_many_questions',
    headers: { 'retry-after': '1' },
  });
  const others = begin(places, 'other', made, other);
  leaving.abort(new Error('gone'));
  await expect(left.page).rejects.toThrow('gone');
  const last = begin(places, 'last', made);
  for (const { end } of [first, others, last]) end();
  expect(await last.page).toBe('last');
  expect(made).toEqual(['first', 'last', 'other']);
});

test('where the line is full in all, whoever has none in it is let in', async () => {
  const places = new PagePlaces({ max: 1, waitingEach: 10, waitingMax: 1 });
  const made: string[] = [];
  const pages = [begin(places, 'first', made), begin(places, 'second', made)];
  await expect(begin(places, 'refused', made).page).rejects.toMatchObject({ code: 'overloaded' });
  pages.push(begin(places, 'other', made, other));
  await expect(begin(places, 'refused', made, other).page).rejects.toMatchObject({ code: 'overloaded' });
  for (const { end } of pages) end();
  await Promise.all(pages.map(({ page }) => page));
  expect(made).toEqual(['first', 'second', 'other']);
});
