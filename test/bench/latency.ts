/**
 * How long a reading takes at 5,000 messages a second of 3 readings each: from when it was due to be published to its
 * PUBACK, to the frame of a WebSocket client that watches everything, and, for the readings that fire or resolve an
 * alert, to the request at the receiver of a webhook. Open loop: messages go out on a timetable and delays count from
 * there, so a stall is measured by every message that fell into it.
 *
 *   node test/bench/latency.ts [seconds]
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { deviceName, PacedFleet } from './paced-fleet.ts';
import { ServerProcess } from './server-process.ts';
import { mustEqual, nowMs, quantile, shown } from './statistics.ts';

const perSecond = 5_000;
const devices = 50;
/** Devices whose value crosses the threshold; each does so once in `togglePeriod` of its messages. */
const watched = 10;
const togglePeriod = 50;
const warmUpSeconds = 5;

/** Reads `number` of every message out of the frames; each reading of a message carries one of its three metrics. */
class Watcher {
  readonly delays: number[] = [];
  readonly #due: Float64Array;
  readonly #measuredFrom: number;
  readonly #all = Promise.withResolvers<void>();
  #rows = 0;
  readonly #expected: number;

  constructor(due: Float64Array, measuredFrom: number) {
    this.#due = due;
    this.#measuredFrom = measuredFrom;
    this.#expected = due.length * 3;
  }

  async connect(httpPort: number): Promise<WebSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${httpPort}/api/v1/live`, { perMessageDeflate: false });
    const subscribed = Promise.withResolvers<void>();
    socket.on('message', (bytes: Buffer) => {
      const frame = JSON.parse(bytes.toString()) as Frame;
      if (frame.op === 'subscribed') subscribed.resolve();
      if (frame.op === 'readings') this.#take(frame.readings);
      if (frame.op === 'gap' || frame.op === 'error')
        this.#all.reject(new Error(`the live stream said ${bytes.toString()}`));
    });
    socket.on('error', subscribed.reject);
    socket.on('open', () => socket.send('{"op":"subscribe","id":"all"}'));
    await subscribed.promise;
    return socket;
  }

  /** Resolves once every reading of every message was in a frame. */
  async sawAll(): Promise<void> {
    await this.#all.promise;
  }

  #take(readings: Frame['readings']): void {
    const now = nowMs();
    for (const { metric, value } of readings) {
      this.#rows++;
      if (metric === 'number' && value >= this.#measuredFrom) this.delays.push(now - this.#due[value]);
    }
    if (this.#rows === this.#expected) this.#all.resolve();
  }
}

interface Frame {
  readonly op: string;
  readonly readings: readonly { readonly metric: string; readonly value: number }[];
}

/** Notes when each delivery arrived, by device and its number in the sequence of the rule. */
class Receiver {
  readonly arrivals = new Map<string, number>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const at = nowMs();
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { data } = JSON.parse(Buffer.concat(chunks).toString()) as Delivery;
        const key = `${data.alert.device} ${data.sequence}`;
        if (!this.arrivals.has(key)) this.arrivals.set(key, at);
        response.writeHead(204).end();
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** Resolves once `count` deliveries arrived; rejects when nothing new came for five seconds. */
  async received(count: number): Promise<void> {
    for (let before = -1; this.arrivals.size < count; ) {
      if (before === this.arrivals.size) throw new Error(`${before} of ${count} webhooks arrived`);
      before = this.arrivals.size;
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    }
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

interface Delivery {
  readonly data: { readonly alert: { readonly device: string }; readonly sequence: number };
}

const seconds = warmUpSeconds + Number(process.argv[2] ?? 30);
const count = perSecond * seconds;
const measuredFrom = perSecond * warmUpSeconds;
const due = new Float64Array(count);
/** By device and sequence: the message that made the transition. */
const causes = new Map<string, number>();
const sequences = new Map<string, number>();
const acks: number[] = [];

const folder = tempFolder();
const server = await ServerProcess.gateway(folder.path);
const facts = new GatewayFacts(server.httpPort);
const receiver = new Receiver();
await facts.ask('POST', '/webhooks', { url: await receiver.listen(), events: ['alert.*'] });
await facts.ask('POST', '/rules', {
  name: 'Level high',
  device: 'bench-*',
  metric: 'level',
  condition: { type: 'threshold', above: 100, clearBelow: 100 },
  for: '0s',
  severity: 'warning',
});
const watcher = new Watcher(due, measuredFrom);
const socket = await watcher.connect(server.httpPort);
const fleet = await PacedFleet.connect(server.mqttPort, devices);
let acknowledged = 0;
fleet.onAck((_due, delay) => {
  if (acknowledged++ >= measuredFrom) acks.push(delay);
});

const begin = Date.now();
await fleet.publish(perSecond, seconds, (index, at) => {
  due[index] = at;
  const device = index % devices;
  const turn = Math.floor(index / devices);
  // Each watched device begins at another moment, so that transitions are spread as evenly as messages.
  const phase = turn + Math.floor((device * togglePeriod) / watched);
  const isHigh = device < watched && Math.floor(phase / togglePeriod) % 2 === 1;
  if (device < watched && turn > 0 && phase % togglePeriod === 0) noteCause(device, index);
  const level = (isHigh ? 150 : 50) + (index % 1_000) / 100;
  return `{"ts":${begin + Math.floor((index * 1_000) / perSecond)},"number":${index},"level":${level},"humidity":${40 + (index % 97) / 10}}`;
});
await fleet.finish();
await watcher.sawAll();
await receiver.received(causes.size);
await facts.mustHold(count, count * 3);
const metrics = await facts.metrics();
socket.terminate();
receiver.close();
await server.stop();
folder.remove();

const hooks: number[] = [];
for (const [key, index] of causes) {
  const arrival = receiver.arrivals.get(key);
  if (arrival === undefined) throw new Error(`no webhook for ${key}`);
  if (index >= measuredFrom) hooks.push(arrival - due[index]);
}
mustEqual('webhooks received', receiver.arrivals.size, causes.size);
mustEqual('messages acknowledged', acknowledged, count);
const perCommit = count / (metrics.get('pulsegate_commits_total') ?? Number.NaN);
console.log(
  `${shown(perSecond)} messages/s for ${seconds} s, the first ${warmUpSeconds} s left out; ${perCommit.toFixed(1)} messages a commit`,
);
tell('publish → PUBACK', acks, 15);
tell('publish → WebSocket frame', watcher.delays, 25);
tell('publish → webhook received', hooks, 50);

function noteCause(device: number, index: number): void {
  const name = deviceName(device);
  const sequence = (sequences.get(name) ?? 0) + 1;
  sequences.set(name, sequence);
  causes.set(`${name} ${sequence}`, index);
}

function tell(what: string, delays: readonly number[], aim: number): void {
  const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)];
  console.log(`  ${what}: ${shown(delays.length)} measured, longest ${quantile(delays, 1).toFixed(1)} ms`);
  report({
    what: `${what} at ${shown(perSecond)} messages/s`,
    aim: `p99 ${aim} ms`,
    measured: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    met: p99 <= aim,
  });
}
