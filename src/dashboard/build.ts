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
const defaultDir = join(root, 'dist');

/** Where the page is, and whether it is there and of the sources as they are. */
export async function findDashboard(): Promise<{ readonly dir: string; readonly isCurrent: boolean }> {
  return { dir: defaultDir, isCurrent: (await builtFrom(defaultDir)) === (await hashOfSources()) };
}

/**
 * Builds the page when it is missing or its sources are others than those it was built from (`force` builds always),
 * into `dir`, by default `dist` beside this file. A start that finds it up to date reads the sources and never loads the
 * bundler. A new page takes the place of the old one only when it is complete. Throws what Vite throws, naming the file
 * at fault.
 */
export async function buildDashboard(
  options: { readonly force?: boolean; readonly dir?: string } = {},
): Promise<BuiltDashboard> {
  const dir = options.dir ?? defaultDir;
  const sources = await hashOfSources();
  if (options.force !== true && (await builtFrom(dir)) === sources) return { dir, built: false };
  const [{ build }, { default: config }] = await Promise.all([import('vite'), import('./vite.config.ts')]);
  const fresh = `${dir}.${process.pid}.tmp`;
  try {
    await build({
      ...config,
      configFile: false,
      logLevel: 'warn',
      mode: 'production',
      build: { ...config.build, outDir: fresh },
    });
    await writeFile(stampOf(fresh), sources);
    await takePlace(fresh, dir, sources);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return { dir, built: true };
}

/** Two gateways of one clone may build at once; whoever comes second finds the same page and leaves it. */
async function takePlace(fresh: string, dir: string, sources: string): Promise<void> {
  const old = `${fresh}.old`;
  await rename(dir, old).catch(() => undefined);
  try {
    await rename(fresh, dir);
  } catch (error) {
    if ((await builtFrom(dir)) !== sources) throw error;
  } finally {
    await rm(old, { recursive: true, force: true });
  }
}

function stampOf(dir: string): string {
  return join(dir, '.vite', 'sources.sha256');
}

/** The hash of the sources that a folder was built from; empty when it holds no complete page. */
async function builtFrom(dir: string): Promise<string> {
  return readFile(stampOf(dir), 'utf8').catch(() => '');
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
