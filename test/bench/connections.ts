/**
 * What connected devices weigh that say next to nothing, and what ingest loses beside them: the durable QoS 1 rate of 50
 * connections is taken beside so many idle ones, after a first round that only warms up, and once more when they are gone.
 *
 *   node test/bench/connections.ts [idle connections] [messages of each busy connection]
 */
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { deviceName } from './paced-fleet.ts';
import { metrics, type Packets, packetsOf } from './packet-stream.ts';
import { Sender } from './sender.ts';
import { ServerProcess } from './server-process.ts';
import { mustEqual, nowMs, shown } from './statistics.ts';

const busyCount = 50;
const inFlightMax = 100;
/** Connections that are opened at the same time. */
const openingMax = 200;
const adminKey = 'bench-admin-key-0123456789';

const idleCount = Number(process.argv[2] ?? 10_000);
const messagesEach = Number(process.argv[3] ?? 6_000);

/** Messages a second of one round; the rounds of a connection follow one another in its packets. */
async function rate(
  senders: readonly Sender[],
  streams: readonly Packets[],
  from: number,
  to: number,
): Promise<number> {
  const began = nowMs();
  await Promise.all(
    senders.map(
      (sender, index) =>
        new Promise<void>((resolve, reject) => {
          const { bytes, starts } = streams[index];
          let sent = from;
          let acknowledged = from;
          const send = (count: number): void => {
            const end = Math.min(sent + count, to);
            if (end > sent) sender.send(bytes.subarray(starts[sent], starts[end]));
            sent = end;
          };
          sender.onAcks((count) => {
            acknowledged += count;
            send(count);
            if (acknowledged === to) resolve();
          });
          sender.broken.catch(reject);
          send(inFlightMax);
        }),
    ),
  );
  return ((to - from) * senders.length * 1_000) / (nowMs() - began);
}

async function connections(): Promise<number> {
  return (await facts.metrics()).get('pulsegate_mqtt_clients') ?? Number.NaN;
}

const folder = tempFolder();
const server = await ServerProcess.gateway(folder.path, adminKey);
const facts = new GatewayFacts(server.httpPort, adminKey);
const names = Array.from({ length: busyCount + idleCount }, (_, index) => deviceName(index));
const tokens: string[] = [];
for (let at = 0; at < names.length; at += 5_000) tokens.push(...(await facts.register(names.slice(at, at + 5_000))));
const busy = await Promise.all(
  names.slice(0, busyCount).map((name, index) => Sender.connect(server.mqttPort, name, tokens[index])),
);
const streams = busy.map((_, index) => packetsOf(index, messagesEach * 3, 1));
// Memory first: what the busy ones leave behind would be room for the others.
const before = server.memory().rss;
const idle: Sender[] = [];
for (let at = busyCount; at < names.length; at += openingMax) {
  const some = names.slice(at, at + openingMax);
  idle.push(
    ...(await Promise.all(some.map((name, index) => Sender.connect(server.mqttPort, name, tokens[at + index])))),
  );
}
const each = (server.memory().rss - before) / idleCount;
await rate(busy, streams, 0, messagesEach);
const beside = await rate(busy, streams, messagesEach, messagesEach * 2);
// Each is alive, and says so.
const said = idle.map((sender, index) => {
  const { bytes } = packetsOf(busyCount + index, 1, 1);
  return new Promise<void>((resolve, reject) => {
    sender.onAcks(() => resolve());
    sender.broken.catch(reject);
    sender.send(bytes);
  });
});
await Promise.all(said);
mustEqual('connections', await connections(), busyCount + idleCount);
for (const sender of idle) sender.close();
while ((await connections()) > busyCount) await new Promise((resolve) => setTimeout(resolve, 50));
const alone = await rate(busy, streams, messagesEach * 2, messagesEach * 3);
const messages = busyCount * messagesEach * 3 + idleCount;
await facts.mustHold(messages, messages * metrics.length);
for (const sender of busy) sender.close();
await server.stop();
folder.remove();

console.log(
  `${shown(idleCount)} idle connections beside ${busyCount} busy ones, ${shown(messages)} messages, all counted`,
);
console.log(`  ingest alone ${shown(alone)} messages/s, beside them ${shown(beside)} messages/s`);
report({
  what: `memory of a connected, idle device (of ${shown(idleCount)})`,
  aim: '≤ 32 KiB',
  measured: `${(each / 1_024).toFixed(1)} KiB`,
  met: each <= 32 * 1_024,
});
report({
  what: `ingest beside ${shown(idleCount)} idle connections / alone`,
  aim: '≥ 0.9',
  measured: (beside / alone).toFixed(2),
  met: beside / alone >= 0.9,
});
