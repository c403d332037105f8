/**
 * Durable QoS 1 ingest beside a bare aedes that acknowledges at once and keeps nothing: 50 connections, 3 metrics a
 * message, 100 messages in flight on each connection, every reading distinct. Packets are made before the clock starts,
 * so that the generator costs next to nothing. The gateway has keys: every connection is a device with its token, and every
 * message is held against what its device may do. The two take turns, each in a new process; at the end every message is
 * counted by both, and every reading counted back out of the gateway's store.
 *
 *   node test/bench/ingest.ts [messages a connection] [rounds]
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
const inFlightMax = 100;
const adminKey = 'bench-admin-key-0123456789';
/** Share of the messages that only warms up. */
const warmUpShare = 0.2;

interface Round {
  readonly messagesPerSecond: number;
  /** Processor time of the server for one message, µs. */
  readonly cpuMicros: number;
}

/** Sends everything, `inFlightMax` at a time on each connection; resolves once the last is acknowledged. */
async function measure(
  server: ServerProcess,
  streams: readonly Packets[],
  tokens: readonly string[] = [],
): Promise<Round> {
  const senders = await Promise.all(
    streams.map((_, index) => Sender.connect(server.mqttPort, deviceName(index), tokens[index])),
  );
  const total = streams.reduce((sum, { starts }) => sum + starts.length - 1, 0);
  const warmUp = Math.floor(total * warmUpShare);
  let acknowledged = 0;
  let began = { at: Number.NaN, cpu: Number.NaN, count: 0 };
  const done = new Promise<void>((resolve) => {
    for (const [index, sender] of senders.entries()) {
      const { bytes, starts } = streams[index];
      let sent = 0;
      const send = (count: number): void => {
        const end = Math.min(sent + count, starts.length - 1);
        if (end > sent) sender.send(bytes.subarray(starts[sent], starts[end]));
        sent = end;
      };
      sender.onAcks((count) => {
        acknowledged += count;
        send(count);
        if (began.count === 0 && acknowledged >= warmUp) {
          began = { at: nowMs(), cpu: server.cpuSeconds(), count: acknowledged };
        }
        if (acknowledged === total) resolve();
      });
      send(inFlightMax);
    }
  });
  await Promise.race([done, ...senders.map(({ broken }) => broken)]);
  const measured = total - began.count;
  const messagesPerSecond = (measured * 1_000) / (nowMs() - began.at);
  const cpuMicros = ((server.cpuSeconds() - began.cpu) * 1e6) / measured;
  for (const sender of senders) sender.close();
  return { messagesPerSecond, cpuMicros };
}

async function measureAedes(streams: readonly Packets[], total: number): Promise<Round> {
  const server = await ServerProcess.bareAedes();
  const round = await measure(server, streams);
  const said = await server.stop();
  mustEqual('messages that aedes counted', Number(/received (\d+)/.exec(said)?.[1]), total);
  return round;
}

async function measureGateway(streams: readonly Packets[], total: number): Promise<Round> {
  const folder = tempFolder();
  const server = await ServerProcess.gateway(folder.path, adminKey);
  const facts = new GatewayFacts(server.httpPort, adminKey);
  const tokens = await facts.register(streams.map((_, index) => deviceName(index)));
  const round = await measure(server, streams, tokens);
  await facts.mustHold(total, total * metrics.length);
  for (const [index, { starts }] of streams.entries()) {
    for (const metric of metrics) {
      mustEqual(`${metric} of ${deviceName(index)}`, await facts.count(deviceName(index), metric), starts.length - 1);
    }
  }
  await server.stop();
  folder.remove();
  return round;
}

const messagesEach = Number(process.argv[2] ?? 12_000);
const rounds = Number(process.argv[3] ?? 3);
const total = connectionCount * messagesEach;
const bare: Round[] = [];
const durable: Round[] = [];
for (let round = 0; round < rounds; round++) {
  const streams = Array.from({ length: connectionCount }, (_, index) => packetsOf(index, messagesEach, 1));
  bare.push(await measureAedes(streams, total));
  durable.push(await measureGateway(streams, total));
}
const rates = (all: readonly Round[]): number[] => all.map(({ messagesPerSecond }) => messagesPerSecond);
const described = (all: readonly Round[]): string =>
  `${shown(median(rates(all)))} messages/s (${rates(all).map(shown).join(', ')}), ` +
  `${median(all.map(({ cpuMicros }) => cpuMicros)).toFixed(1)} µs of processor time each`;
console.log(
  `${shown(total)} messages of ${metrics.length} readings a round, ${connectionCount} connections, all counted`,
);
console.log(`  bare aedes  ${described(bare)}`);
console.log(`  gateway     ${described(durable)}`);
// Taken round by round, so that what else the machine does falls on both.
const ratio = median(rates(durable).map((rate, round) => rate / rates(bare)[round]));
report({
  what: 'durable QoS 1 ingest / bare aedes acknowledging at once',
  aim: '≥ 0.9',
  measured: `${ratio.toFixed(2)} (${shown(median(rates(durable)))} messages/s)`,
  met: ratio >= 0.9,
});
