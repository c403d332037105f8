/**
 * Ingest through a real Mosquitto beside bare subscribers of the same shared subscription: one of mqtt.js with as many
 * connections, and mosquitto_sub, written in C, with one. The same packets, from as many devices, at QoS 1; from the first
 * that is sent until the last has come. Each in a new process on a new broker; every message is counted, and every
 * reading counted back out of the gateway's store.
 *
 *   node test/bench/external.ts [messages a device] [rounds]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Mosquitto } from '../support/mosquitto.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { metrics, type Packets, packetsOf } from './packet-stream.ts';
import { deviceName } from './paced-fleet.ts';
import { Sender } from './sender.ts';
import { ServerProcess } from './server-process.ts';
import { median, mustEqual, nowMs, shown } from './statistics.ts';

const deviceCount = 20;
const connectionCount = 4;
const inFlightMax = 100;
const group = '$share/bench/devices/#';

const messagesEach = Number(process.argv[2] ?? 4_000);
const rounds = Number(process.argv[3] ?? 3);
const total = deviceCount * messagesEach;

/** Sends everything to the broker, `inFlightMax` at a time for each device; resolves once it has acknowledged the last. */
async function publish(port: number, streams: readonly Packets[]): Promise<void> {
  const senders = await Promise.all(streams.map((_, index) => Sender.connect(port, `sender-${index}`)));
  await Promise.all(
    senders.map(
      (sender, index) =>
        new Promise<void>((resolve, reject) => {
          const { bytes, starts } = streams[index];
          let sent = 0;
          let acknowledged = 0;
          const send = (count: number): void => {
            const end = Math.min(sent + count, starts.length - 1);
            if (end > sent) sender.send(bytes.subarray(starts[sent], starts[end]));
            sent = end;
          };
          sender.onAcks((count) => {
            acknowledged += count;
            send(count);
            if (acknowledged === starts.length - 1) resolve();
          });
          sender.broken.catch(reject);
          send(inFlightMax);
        }),
    ),
  );
  for (const sender of senders) sender.close();
}

/** Messages a second from the first that is sent until `arrived` says that the last has come. */
async function rate(broker: Mosquitto, streams: readonly Packets[], arrived: () => Promise<void>): Promise<number> {
  const began = nowMs();
  await Promise.all([publish(broker.port, streams), arrived()]);
  return (total * 1_000) / (nowMs() - began);
}

/** Resolves when the process has said it. */
function said(child: ChildProcess, what: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (what.test(text)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`a subscriber left with ${code}: ${text.slice(0, 500)}`)));
  });
}

async function measureNode(broker: Mosquitto, streams: readonly Packets[]): Promise<number> {
  const program = fileURLToPath(new URL('./bare-subscriber.ts', import.meta.url));
  const child = spawn(process.execPath, [program, broker.url, group, String(connectionCount), String(total)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const all = said(child, new RegExp(`received ${total}`));
  await said(child, /ready/);
  const measured = await rate(broker, streams, () => all);
  child.removeAllListeners('exit').kill();
  return measured;
}

async function measureC(broker: Mosquitto, streams: readonly Packets[]): Promise<number> {
  const args = [
    '-p',
    String(broker.port),
    '-q',
    '1',
    '-i',
    'bare-c',
    '-c',
    '-t',
    group,
    '-C',
    String(total),
    '-F',
    '%l',
  ];
  const child = spawn('mosquitto_sub', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let lines = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // It says nothing when it is subscribed; a message of its own would be counted.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const measured = await rate(broker, streams, () => ended);
  mustEqual('messages that mosquitto_sub printed', lines, total);
  return measured;
}

async function measureGateway(broker: Mosquitto, streams: readonly Packets[], protocol: 4 | 5): Promise<number> {
  const folder = tempFolder();
  const server = await ServerProcess.external(folder.path, {
    PULSEGATE_MQTT_EXTERNAL_URL: broker.url,
    PULSEGATE_MQTT_EXTERNAL_GROUP: 'bench',
    PULSEGATE_MQTT_EXTERNAL_CONNECTIONS: String(connectionCount),
    PULSEGATE_MQTT_EXTERNAL_PROTOCOL: String(protocol),
  });
  const facts = new GatewayFacts(server.httpPort);
  const counted = async (name: string, count: number): Promise<void> => {
    while (((await facts.metrics()).get(name) ?? 0) < count) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await counted('pulsegate_external_connections', connectionCount);
  const readings = total * metrics.length;
  const measured = await rate(broker, streams, () =>
    counted('pulsegate_readings_total{disposition="stored"}', readings),
  );
  await facts.mustHold(total, readings);
  for (let device = 0; device < deviceCount; device++) {
    mustEqual(`readings of ${deviceName(device)}`, await facts.count(deviceName(device), metrics[0]), messagesEach);
  }
  await server.stop();
  folder.remove();
  return measured;
}

async function onBroker(measure: (broker: Mosquitto) => Promise<number>): Promise<number> {
  const broker = await Mosquitto.start();
  try {
    return await measure(broker);
  } finally {
    await broker.remove();
  }
}

const found: Record<'mosquitto_sub' | 'mqtt.js' | 'gateway, MQTT 3.1.1' | 'gateway, MQTT 5', number[]> = {
  mosquitto_sub: [],
  'mqtt.js': [],
  'gateway, MQTT 3.1.1': [],
  'gateway, MQTT 5': [],
};
for (let round = 0; round < rounds; round++) {
  const streams = Array.from({ length: deviceCount }, (_, index) => packetsOf(index, messagesEach, 1));
  found.mosquitto_sub.push(await onBroker((broker) => measureC(broker, streams)));
  found['mqtt.js'].push(await onBroker((broker) => measureNode(broker, streams)));
  found['gateway, MQTT 3.1.1'].push(await onBroker((broker) => measureGateway(broker, streams, 4)));
  found['gateway, MQTT 5'].push(await onBroker((broker) => measureGateway(broker, streams, 5)));
}
console.log(`${shown(total)} messages of ${metrics.length} readings a round through Mosquitto, all counted`);
for (const [name, rates] of Object.entries(found)) {
  console.log(`  ${name.padEnd(20)} ${shown(median(rates))} messages/s (${rates.map(shown).join(', ')})`);
}
for (const peer of ['mqtt.js', 'mosquitto_sub'] as const) {
  const ratio = median(found['gateway, MQTT 3.1.1'].map((rate, round) => rate / found[peer][round]));
  report({
    what: `durable ingest through Mosquitto / ${peer} acknowledging at once`,
    aim: '≥ 0.6',
    measured: `${ratio.toFixed(2)} (${shown(median(found['gateway, MQTT 3.1.1']))} messages/s)`,
    met: ratio >= 0.6,
  });
}
