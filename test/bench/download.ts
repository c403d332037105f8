/**
 * A download without a ceiling: a hundred million readings as CSV from a whole gateway, read as fast as they come, every
 * line counted; then the same with a client that goes away in the middle. What the gateway weighs meanwhile is looked at
 * four times a second.
 *
 *   node test/bench/download.ts [millions of readings]
 */
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { fleetData } from './history-data.ts';
import { fillEngine } from './history-store.ts';
import { ServerProcess } from './server-process.ts';
import { mustEqual, shown } from './statistics.ts';

const millions = Number(process.argv[2] ?? 100);
const seriesCount = 5_000;
const fleet = fleetData({ devices: 1_000, seconds: (millions * 1_000_000) / seriesCount, seed: 6 });
const mebibytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MiB`;

const folder = tempFolder();
const filling = performance.now();
const { engine } = await fillEngine(folder.path, fleet);
console.log(`${shown(fleet.readings)} readings stored in ${((performance.now() - filling) / 1_000).toFixed(0)} s`);
await engine.close();
const server = await ServerProcess.gateway(folder.path);
const idle = server.memory().rss;

let most = 0;
const watch = setInterval(() => {
  most = Math.max(most, server.memory().rss);
}, 250);
const began = performance.now();
const whole = await download(server.httpPort, Number.POSITIVE_INFINITY);
const seconds = (performance.now() - began) / 1_000;
clearInterval(watch);
// One line more: the header.
mustEqual('lines of the download', whole.lines, fleet.readings + 1);

const cut = await download(server.httpPort, 50 << 20);
const before = server.cpuSeconds();
await sleep(1_000);
const spent = server.cpuSeconds() - before;
await server.stop();
folder.remove();

console.log(`${mebibytes(whole.bytes)} in ${seconds.toFixed(0)} s, the other broken off after ${mebibytes(cut.bytes)}`);
report({
  what: `history: download of ${shown(fleet.readings)} readings as CSV`,
  aim: 'constant memory',
  measured: `${shown(fleet.readings / seconds)}/s, ${mebibytes(idle)} idle, at most ${mebibytes(most)}`,
  met: null,
});
report({
  what: 'history: processor time in the second after a client went away',
  aim: 'idle',
  measured: `${spent.toFixed(2)} s`,
  met: null,
});

/** Counts what comes; goes away once `bytesMax` have come. */
function download(port: number, bytesMax: number): Promise<{ readonly lines: number; readonly bytes: number }> {
  return new Promise((resolve, reject) => {
    const path = '/api/v1/readings?from=2000-01-01&to=2100-01-01&format=csv';
    const asked = request({ host: '127.0.0.1', port, path }, (response) => {
      let lines = 0;
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
        if (bytes < bytesMax) return;
        response.destroy();
        resolve({ lines, bytes });
      });
      response.on('end', () => resolve({ lines, bytes }));
      response.on('error', (error) => (bytes >= bytesMax ? undefined : reject(error)));
    });
    asked.on('error', (error) => reject(error));
    asked.end();
  });
}
