/**
 * `npm run bench [name…]`: runs the named benches, or all of them, one after another and each in a process of its own,
 * and ends with one table of what was measured beside what is aimed for. Leaves with 1 when a bench broke, not when an
 * aim was missed: machines differ, and a miss is in the table.
 */
import { fork } from 'node:child_process';
import { cpus } from 'node:os';
import { type Figure, figureLine, isFigure } from './figure.ts';

const benches = [
  'chunk-codec',
  'engine',
  'history',
  'history-load',
  'history-purge',
  'slow-series',
  'growth',
  'download',
  'fan-out',
  'ingest',
  'ingest-qos0',
  'external',
  'latency',
  'restart',
  'memory',
  'connections',
  'guards',
  'disk',
] as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !benches.some((bench) => bench === name));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${benches.join(', ')}.`);
  process.exit(2);
}

const figures: Figure[] = [];
const broken: string[] = [];
for (const name of benches) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n── ${name}`);
  if ((await run(name)) !== 0) broken.push(name);
}
console.log(`\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
for (const figure of figures) console.log(figureLine(figure));
if (broken.length > 0) console.log(`broken: ${broken.join(', ')}`);
process.exitCode = broken.length > 0 ? 1 : 0;

function run(name: string): Promise<number | null> {
  const child = fork(new URL(`./${name}.ts`, import.meta.url));
  child.on('message', (message) => {
    if (isFigure(message)) figures.push(message);
  });
  return new Promise((resolve) => {
    child.once('exit', resolve);
  });
}
