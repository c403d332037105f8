import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { Asset, Assets } from './ports.ts';

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};

/**
 * Reads a built dashboard into memory, once. Answers are a look-up in a map of what was there, so no path can lead out
 * of the folder. Files of unknown kinds, hidden files and folders (the build's manifest) are left out.
 */
export async function loadAssets(dir: string): Promise<Assets> {
  const assets = new Map<string, Asset>();
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const parts = relative(dir, file).split(sep);
    const contentType = contentTypes[extname(entry.name)];
    if (!entry.isFile() || contentType === undefined || parts.some((part) => part.startsWith('.'))) continue;
    const bytes = await readFile(file);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    // As Vite names what it emits: in `assets`, the name, a dash, eight characters of a hash.
    const immutable = parts[0] === 'assets' && /-[\w-]{8}\.\w+$/.test(entry.name);
    assets.set(`/${parts.map(encodeURIComponent).join('/')}`, { bytes, contentType, etag, immutable });
  }
  const page = assets.get('/index.html');
  if (page) assets.set('/', page);
  return { find: (path) => assets.get(path) };
}
