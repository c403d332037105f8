import { createHash } from 'node:crypto';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Where `buildDashboard` left the page. */
export interface BuiltDashboard {
  /** Folder with `index.html` and hashed assets. */
  readonly dir: string;
  /** False when what was there is of the same sources. */
  readonly built: boolean;
}

const root = import.meta.dirname;
const dist = join(root, 'dist');
const stamp = join(dist, '.vite', 'sources.sha256');

/**
 * Builds the page when it is missing or its sources are others than those it was built from (`force` builds always).
 * A start that finds it up to date reads the sources and never loads the bundler. The new page takes the place of the old
 * one only when it is complete. Throws what Vite throws, naming the file at fault.
 */
export async function buildDashboard(options: { readonly force?: boolean } = {}): Promise<BuiltDashboard> {
  const sources = await hashOfSources();
  if (options.force !== true && (await readFile(stamp, 'utf8').catch(() => '')) === sources) {
    return { dir: dist, built: false };
  }
  const { build } = await import('vite');
  const fresh = join(root, `dist.${process.pid}.tmp`);
  try {
    await build({
      configFile: join(root, 'vite.config.ts'),
      logLevel: 'warn',
      mode: 'production',
      build: { outDir: fresh },
    });
    await writeFile(join(fresh, '.vite', 'sources.sha256'), sources);
    await takePlace(fresh, sources);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return { dir: dist, built: true };
}

/** Two gateways of one clone may build at once; whoever comes second finds the same page and leaves it. */
async function takePlace(fresh: string, sources: string): Promise<void> {
  await rm(dist, { recursive: true, force: true });
  try {
    await rename(fresh, dist);
  } catch (error) {
    if ((await readFile(stamp, 'utf8').catch(() => '')) !== sources) throw error;
  }
}

/** Names and bytes of everything the page is made from; a touched file of the same bytes builds nothing. */
async function hashOfSources(): Promise<string> {
  const hash = createHash('sha256');
  const files = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('dist') && file !== 'build.ts')
    .toSorted();
  for (const file of files) hash.update(`${file}\0`).update(await readFile(join(root, file)));
  return hash.digest('hex');
}
