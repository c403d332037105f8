#!/usr/bin/env node
// Plain JavaScript, so that a Node too old to read TypeScript still says what is wrong.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

const [major, minor] = process.versions.node.split('.').map(Number);

/** Commands that last, through which many readings go; the others come and go. */
const lastingCommands = ['start', 'demo', 'import', 'export'];
/**
 * Left to itself V8 lets the young half of the heap grow to 128 MB, which costs the memory and, each time that it is
 * swept, a pause of tens of milliseconds. Nothing says so to V8 once a process runs, so it begins again under its id.
 */
const youngHeap = '--max-semi-space-size=4';
/**
 * As long as there is room V8 lets the old half grow to four times of what is in use before it looks for what is not. For
 * a gateway, of which most is there to stay, a third more is plenty: a hundred megabytes less with 100,000 series.
 * No flag of Node's own, so it is set at run time, where a V8 that does not know it goes on without.
 */
const oldHeap = '--heap-growing-percent=30';

if (major > 24 || (major === 24 && minor >= 15)) {
  if (lastingCommands.includes(process.argv[2])) {
    beginAgainWith(youngHeap);
    if (!isGiven(oldHeap)) setFlagsFromString(oldHeap);
  }
  await keepCompiledCode();
  const { runCommandLine } = await import('./cli/command-line.ts');
  await runCommandLine(process.argv.slice(2));
} else {
  console.error(
    `Pulsegate needs Node 24.15 or newer and this is ${process.version}; in a clone "npm run pulsegate -- …" and the other scripts bring their own.`,
  );
  process.exitCode = 1;
}

/**
 * What Node makes of the sources is kept beside the packages: the next start takes half the time, and does without the
 * memory of the type stripper. Where nothing can be written all is as before. Imported late, for an old Node has no such
 * export.
 */
async function keepCompiledCode() {
  const { enableCompileCache } = await import('node:module');
  enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/pulsegate'));
}

/** Does nothing where a process cannot replace itself, or when whoever started this one has set the flag. */
function beginAgainWith(flag) {
  // An IPC channel would not outlive it, nor would a process whose Node was updated under it.
  if (isGiven(flag) || process.platform === 'win32' || process.channel || !existsSync(process.execPath)) return;
  process.execve(process.execPath, [process.execPath, ...process.execArgv, flag, ...process.argv.slice(1)]);
}

function isGiven(flag) {
  const [name] = flag.split('=');
  return [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((given) => given.includes(name));
}
