import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { getCompileCacheDir, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

/**
 * The code of the storage threads as JavaScript: what `entry` imports, by URL, with the types taken out here.
 *
 * Node would take them out in each thread, but its type stripper is WebAssembly: 25 MB for every thread, and V8 can
 * abort the process ("Check failed: jit_page.has_value()") when one thread frees such code while another loads it, on
 * processors with memory protection keys. Here it is loaded already, so the threads start without it. A package that
 * was compiled beforehand has nothing to strip: the map is then empty and the threads load files as usual.
 *
 * Where Node keeps compiled code from one start to the next, the result is kept beside it, and while the files stay what
 * they are nobody loads the stripper at all.
 */
export function threadSources(entry: URL): ReadonlyMap<string, string> {
  if (!entry.pathname.endsWith('.ts')) return new Map();
  let sources = known.get(entry.href);
  if (!sources) {
    sources = recall(entry);
    if (!sources) {
      sources = withoutExperimentalWarning(() => collect(entry));
      keep(sources);
    }
    known.set(entry.href, sources);
  }
  return sources;
}

const known = new Map<string, ReadonlyMap<string, string>>();

/** What an earlier start kept: the URL of a file, the hash of what it was, what was left of it without types. */
type Kept = readonly [url: string, hash: string, source: string];

function recall(entry: URL): ReadonlyMap<string, string> | undefined {
  const path = keptPath();
  if (path === undefined) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as readonly Kept[];
    const isSame = kept[0]?.[0] === entry.href && kept.every(([url, hash]) => hashOf(url) === hash);
    return isSame ? new Map(kept.map(([url, , source]) => [url, source])) : undefined;
  } catch {
    // Nothing was kept, a file is gone, or it is half of something: as good as a first start.
    return undefined;
  }
}

/** A folder that cannot be written costs the next start a moment, and nobody anything else. */
function keep(sources: ReadonlyMap<string, string>): void {
  const path = keptPath();
  if (path === undefined) return;
  const kept: readonly Kept[] = [...sources].map(([url, source]) => [url, hashOf(url), source]);
  const fresh = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(fresh, JSON.stringify(kept));
    renameSync(fresh, path);
  } catch {
    return;
  }
}

function keptPath(): string | undefined {
  const dir = getCompileCacheDir();
  return dir === undefined ? undefined : join(dir, 'storage-threads.json');
}

function hashOf(url: string): string {
  return createHash('sha256')
    .update(readFileSync(new URL(url)))
    .digest('base64');
}

function collect(entry: URL): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  const waiting = [entry.href];
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (sources.has(url)) continue;
    const source = stripTypeScriptTypes(readFileSync(new URL(url), 'utf8'));
    sources.set(url, source);
    // Imports of types are gone by now; what is left is loaded by the thread. Imports here are one statement each and
    // name files in full, which the linter sees to.
    for (const [, path = ''] of source.matchAll(/^(?:import|\}|export) ?[^;]*?'(\.{1,2}\/[^']+\.ts)';/gm)) {
      waiting.push(new URL(path, url).href);
    }
  }
  return sources;
}

/** The stripper is the one that Node itself runs these files with; its warning would tell an operator nothing. */
function withoutExperimentalWarning<T>(action: () => T): T {
  // oxlint-disable-next-line typescript/unbound-method -- put back as it was, never called from here
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return action();
  } finally {
    process.emitWarning = emitWarning;
  }
}
