import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadAssets } from '../../src/api/asset-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';

const folder = tempFolder();
afterAll(() => folder.remove());

test('a built dashboard is served from memory: the page, its files, and nothing beside them', async () => {
  const dir = folder.path;
  await mkdir(join(dir, 'assets'));
  await mkdir(join(dir, '.vite'));
  await writeFile(join(dir, 'index.html'), '<!doctype html>');
  await writeFile(join(dir, 'icon.svg'), '<svg/>');
  await writeFile(join(dir, 'assets/index-Ab3_d-9z.js'), 'export {}');
  await writeFile(join(dir, 'assets/logo.svg'), '<svg/>');
  await writeFile(join(dir, '.vite/manifest.json'), '{}');
  await writeFile(join(dir, 'notes.bak'), 'secret');
  const assets = await loadAssets(dir);

  expect(assets.find('/')).toEqual(assets.find('/index.html'));
  expect(assets.find('/')).toMatchObject({ contentType: 'text/html; charset=utf-8', immutable: false });
  expect(assets.find('/assets/index-Ab3_d-9z.js')).toMatchObject({
    bytes: Buffer.from('export {}'),
    contentType: 'text/javascript; charset=utf-8',
    immutable: true,
  });
  expect(assets.find('/assets/logo.svg')?.immutable).toBe(false);
  expect(assets.find('/icon.svg')?.etag).toBe(assets.find('/assets/logo.svg')?.etag);
  expect(assets.find('/icon.svg')?.etag).not.toBe(assets.find('/')?.etag);
  for (const path of ['/.vite/manifest.json', '/notes.bak', '/assets', '/../index.html', '', '/assets/../index.html']) {
    expect(assets.find(path), path).toBeUndefined();
  }
});
