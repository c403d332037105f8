/**
 * Bytes that a gateway has the kernel write to its disk in a day at 10 messages a second of 3 readings from 16 devices,
 * extrapolated from a few minutes. What is written once in ten minutes only, sealed chunks, is left out; the engine's
 * bench has it.
 *
 *   node test/bench/disk.ts [seconds]
 */
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { PacedFleet } from './paced-fleet.ts';
import { ServerProcess } from './server-process.ts';

const perSecond = 10;
const devices = 16;
const warmUpSeconds = 10;

const seconds = Number(process.argv[2] ?? 120);
const folder = tempFolder();
const server = await ServerProcess.gateway(folder.path);
const fleet = await PacedFleet.connect(server.mqttPort, devices);
await publish(warmUpSeconds);
const before = server.writtenBytes();
await publish(seconds);
const written = server.writtenBytes() - before;
await fleet.finish();
await new GatewayFacts(server.httpPort).mustHold(fleet.published, fleet.published * 3);
await server.stop();
folder.remove();

const each = written / (seconds * perSecond);
const gigabytes = (each * perSecond * 86_400) / 1e9;
console.log(`${written} bytes in ${seconds} s, ${each.toFixed(0)} a message`);
report({
  what: `written to disk at ${perSecond} messages/s, each committed by itself`,
  aim: '',
  measured: `${gigabytes.toFixed(1)} GB a day`,
  met: null,
});

function publish(duration: number): Promise<void> {
  const begin = Date.now();
  return fleet.publish(perSecond, duration, (index) => {
    const temperature = 20 + (index % 97) / 10;
    return `{"ts":${begin + index * 100},"temperature":${temperature},"humidity":${40 + (index % 31)},"battery":${(100 - index / 1_000).toFixed(2)}}`;
  });
}
