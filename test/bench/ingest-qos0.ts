/**
 * QoS 0 ingest beside a bare aedes that keeps nothing: 50 connections send as fast as they are read, every reading
 * distinct; a last message of QoS 1 says when all before it was taken in. What a gateway cannot keep up with it sheds, and
 * what was shed does not count.
 *
 *   node test/bench/ingest-qos0.ts [messages a connection] [rounds]
 */
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { deviceName } from './paced-fleet.ts';
import { metrics, type Packets, packetsOf } from './packet-stream.ts';
import { Sender } from './sender.ts';
import { ServerProcess } from './server-process.ts';
import { median, mustEqual, nowMs, shown } from './statistics.ts';

const connectionCount = 50;
const adminKey = 'bench-admin-key-0123456789';

/** Seconds from the first byte until the last message of every connection was answered. */
async function measure(
  server: ServerProcess,
  streams: readonly Packets[],
  tokens: readonly string[] = [],
): Promise<number> {
  const senders = await Promise.all(
    streams.map((_, index) => Sender.connect(server.mqttPort, deviceName(index), tokens[index])),
  );
  const began = nowMs();
  const answered = senders.map(
    (sender, index) =>
      new Promise<void>((resolve) => {
        sender.onAcks(() => resolve());
        sender.send(streams[index].bytes);
      }),
  );
  await Promise.race([Promise.all(answered), ...senders.map(({ broken }) => broken)]);
  const seconds = (nowMs() - began) / 1_000;
  for (const sender of senders) sender.close();
  return seconds;
}

async function measureAedes(streams: readonly Packets[], total: number): Promise<number> {
  const server = await ServerProcess.bareAedes();
  const seconds = await measure(server, streams);
  const said = await server.stop();
  mustEqual('messages that aedes counted', Number(/received (\d+)/.exec(said)?.[1]), total);
  return total / seconds;
}

async function measureGateway(streams: readonly Packets[], total: number): Promise<{ rate: number; shed: number }> {
  const folder = tempFolder();
  const server = await ServerProcess.gateway(folder.path, adminKey);
  const facts = new GatewayFacts(server.httpPort, adminKey);
  const tokens = await facts.register(streams.map((_, index) => deviceName(index)));
  const seconds = await measure(server, streams, tokens);
  const said = await facts.metrics();
  const at = (name: string): number => said.get(name) ?? Number.NaN;
  const accepted = at('pulsegate_messages_total{outcome="accepted"}');
  const shed = at('pulsegate_messages_total{outcome="shed"}');
  mustEqual('messages accepted or shed', accepted + shed, total);
  mustEqual('readings stored', at('pulsegate_readings_total{disposition="stored"}'), accepted * metrics.length);
  await server.stop();
  folder.remove();
  return { rate: accepted / seconds, shed };
}

const messagesEach = Number(process.argv[2] ?? 12_000);
const rounds = Number(process.argv[3] ?? 3);
const total = connectionCount * messagesEach;
const bare: number[] = [];
const stored: number[] = [];
let shed = 0;
for (let round = 0; round < rounds; round++) {
  const streams = Array.from({ length: connectionCount }, (_, index) => packetsOf(index, messagesEach, 0));
  bare.push(await measureAedes(streams, total));
  const taken = await measureGateway(streams, total);
  stored.push(taken.rate);
  shed += taken.shed;
}
console.log(
  `${shown(total)} messages of ${metrics.length} readings a round, ${connectionCount} connections, all counted`,
);
console.log(`  bare aedes  ${shown(median(bare))} messages/s (${bare.map(shown).join(', ')})`);
console.log(`  gateway     ${shown(median(stored))} messages/s (${stored.map(shown).join(', ')}), shed ${shown(shed)}`);
const ratio = median(stored.map((rate, round) => rate / bare[round]));
report({
  what: 'QoS 0 ingest, stored / bare aedes',
  aim: '≥ 0.7',
  measured: `${ratio.toFixed(2)} (${shown(median(stored))} messages/s)`,
  met: ratio >= 0.7,
});
