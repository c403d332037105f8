/**
 * What a gateway weighs after two minutes of 1,000 devices that send 5 metrics once a second, each over a connection of
 * its own at QoS 1.
 *
 *   node test/bench/memory.ts [seconds]
 */
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { PacedFleet } from './paced-fleet.ts';
import { ServerProcess } from './server-process.ts';
import { shown } from './statistics.ts';

const devices = 1_000;
const aimBytes = 200 << 20;
const mebibytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(0)} MiB`;

const seconds = Number(process.argv[2] ?? 120);
// The first start of a clone also weighs what takes the types out of its sources; later ones find that kept.
const before = tempFolder();
await (await ServerProcess.gateway(before.path)).stop();
before.remove();

const folder = tempFolder();
const server = await ServerProcess.gateway(folder.path);
const idle = server.memory().rss;
const fleet = await PacedFleet.connect(server.mqttPort, devices);
const connected = server.memory().rss;
const begin = Date.now();
await fleet.publish(devices, seconds, (index) => {
  const tick = Math.floor(index / devices);
  const temperature = 20 + ((index * 7) % 300) / 10;
  const pressure = 990 + ((index * 11) % 400) / 10;
  return `{"ts":${begin + index},"temperature":${temperature},"heart_rate":${60 + (index % 41)},"pressure":${pressure},"steps":${tick * 2},"battery":${100 - (tick % 100)}}`;
});
await fleet.finish();
// What /metrics and its answer weigh does not belong to it.
const { rss, peak } = server.memory();
await new GatewayFacts(server.httpPort).mustHold(devices * seconds, devices * seconds * 5);
await server.stop();
folder.remove();

console.log(`${shown(devices)} connections, ${shown(fleet.published)} messages of 5 readings, all counted`);
console.log(`  idle ${mebibytes(idle)}, connected ${mebibytes(connected)}, peak ${mebibytes(peak)}`);
report({
  what: `resident after ${seconds} s of 1,000 devices × 5 metrics at 1 Hz`,
  aim: `≤ ${mebibytes(aimBytes)}`,
  measured: mebibytes(rss),
  met: rss <= aimBytes,
});
