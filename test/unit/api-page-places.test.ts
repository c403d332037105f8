import { expect, test } from 'vitest';
import { PagePlaces } from '../../src/api/page-places.ts';

const { signal } = new AbortController();

/** Begins a page called `name`; what comes back ends it. */
function begin(places: PagePlaces, name: string, made: string[], options: { signal: AbortSignal } = { signal }) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const page = places.use(options.signal, async () => {
    made.push(name);
    await promise;
    return name;
  });
  return { page, end: resolve };
}

test('so many pages are made at once, and the others in the order in which they came', async () => {
  const places = new PagePlaces(2, 10);
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
  const places = new PagePlaces(1, 0);
  await expect(places.use(signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await places.use(signal, () => Promise.resolve(7))).toBe(7);
});

test('whoever leaves the line takes no place, and whoever comes while it is full is refused', async () => {
  const places = new PagePlaces(1, 1);
  const made: string[] = [];
  const first = begin(places, 'first', made);
  const leaving = new AbortController();
  const left = begin(places, 'left', made, leaving);
  await expect(begin(places, 'refused', made).page).rejects.toMatchObject({ code: 'overloaded' });
  leaving.abort(new Error('gone'));
  await expect(left.page).rejects.toThrow('gone');
  const last = begin(places, 'last', made);
  first.end();
  last.end();
  expect(await last.page).toBe('last');
  expect(made).toEqual(['first', 'last']);
});
