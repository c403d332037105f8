import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

/**
 * The code of the storage threads as JavaScript: what `entry` imports, by URL, with the types taken out here.
 *
 * Node would take them out in each thread, but its type stripper is WebAssembly: 25 MB for every thread, and V8 can
 * abort the process ("Check failed: jit_page.has_value()") when one thread frees such code while another loads it, on
 * processors with memory protection keys. Here it is loaded already, so the threads start without it. A package that
 * was compiled beforehand has nothing to strip: the map is then empty and the threads load files as usual.
 */
export function threadSources(entry: URL): ReadonlyMap<string, string> {
  if (!entry.pathname.endsWith('.ts')) return new Map();
  let sources = known.get(entry.href);
  if (!sources) {
    sources = withoutExperimentalWarning(() => collect(entry));
    known.set(entry.href, sources);
  }
  return sources;
}

const known = new Map<string, ReadonlyMap<string, string>>();

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
