/**
 * Live fan-out beside the least that ws can do, in the same run. Clients sit in a thread of their own and count every
 * frame; each reading is distinct.
 *
 *   deliveries: the hub (filter, serialise, bound, send; one commit a frame) / a bare broadcast of the very same frames
 *   latency:    publish → frame at 5,000 messages a second of 3 readings, in 200 commits a second
 *
 *   node test/bench/fan-out.ts [clients]
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { CommittedBatch } from '../../src/domain/commit.ts';
import { LiveHub } from '../../src/live/hub.ts';
import type { LiveLimits } from '../../src/live/limits.ts';
import { LiveSource } from '../support/live-source.ts';
import { report } from './figure.ts';

interface Task {
  readonly url: string;
  readonly clients: number;
  /** Int32: frames received by all clients together, clients connected, clients that have seen the last commit. */
  readonly counters: SharedArrayBuffer;
  /** Float64 by commit: when the last client had it, ms since the epoch; null where only frames are counted. */
  readonly arrivals: SharedArrayBuffer | null;
}

const commitCount = 2_000;
const readingsPerCommit = 20;
const rounds = 5;
/** Frames on their way to each client before the sender waits. */
const windowFrames = 50;
const latencySeconds = 5;
const commitsPerSecond = 200;

const now = (): number => performance.timeOrigin + performance.now();

if (isMainThread) await main(Number(process.argv[2] ?? 200));
else await receive(workerData as Task);

async function main(clients: number): Promise<void> {
  const { batches, source } = commits(commitCount, readingsPerCommit);
  const frames = await capture(source, batches);
  const rates = { bare: [] as number[], hub: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    rates.bare.push(await bareBroadcast(frames, clients));
    rates.hub.push(await hubBroadcast(source, batches, clients));
  }
  const [bare, hub] = [medianOf(rates.bare), medianOf(rates.hub)];
  // Taken pair by pair, so that what else the machine does falls on both.
  const ratio = medianOf(rates.hub.map((rate, round) => rate / (rates.bare[round] ?? Number.NaN)));
  console.log(
    `fan-out to ${clients} clients, ${commitCount} commits of ${readingsPerCommit} readings, median of ${rounds}:`,
  );
  console.log(
    `  bare ws  ${Math.round(bare).toLocaleString('en')} frames/s (${rates.bare.map(Math.round).join(', ')})`,
  );
  console.log(`  hub      ${Math.round(hub).toLocaleString('en')} frames/s (${rates.hub.map(Math.round).join(', ')})`);
  console.log(`           ${Math.round(hub * readingsPerCommit).toLocaleString('en')} readings/s delivered`);
  report({
    what: 'live: frames through the hub / a bare broadcast of the same frames',
    aim: '',
    measured: `${ratio.toFixed(2)} (${Math.round(hub).toLocaleString('en')} frames/s)`,
    met: null,
  });
  for (const watching of [1, 20, 100]) console.log(await latency(watching));
}

/** Distinct readings over 100 devices × 3 metrics. */
function commits(count: number, size: number): { source: LiveSource; batches: CommittedBatch[] } {
  const source = new LiveSource();
  let serial = 0;
  const batches = Array.from({ length: count }, () =>
    source.commit(
      Array.from({ length: size }, () => {
        const device = `wearable-${(serial % 100) + 1}`;
        const metric = ['heart_rate', 'spo2', 'skin_temperature'][serial % 3] ?? '';
        return { device, metric, time: 1_790_000_000_000 + serial, value: serial++ / 10 };
      }),
    ),
  );
  return { source, batches };
}

interface Serving {
  readonly hub: LiveHub;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

async function serveHub(source: LiveSource, limits: Partial<LiveLimits>): Promise<Serving> {
  const hub = new LiveHub({
    epoch: () => 'bench',
    position: () => 0,
    directory: source,
    latest: source,
    openAlerts: () => [],
    readLog: source.readLog,
    clock: systemClock,
    log: silentLog,
    version: 'bench',
    limits,
  });
  hub.start();
  const server = createServer();
  server.on('upgrade', (request, socket, head) => hub.handleUpgrade(request, socket, head));
  const url = await listen(server);
  const stop = async (): Promise<void> => {
    await hub.stop();
    await new Promise((resolve) => server.close(resolve));
  };
  return { hub, url, stop };
}

/** The frames that the hub makes of the commits, byte for byte. */
async function capture(source: LiveSource, batches: readonly CommittedBatch[]): Promise<Buffer[]> {
  const { hub, url, stop } = await serveHub(source, { flushMinMs: 0, flushMaxMs: 0 });
  const frames: Buffer[] = [];
  const client = new WebSocket(url);
  client.on('open', () => client.send('{"op":"subscribe","id":"a"}'));
  client.on('message', (frame: Buffer) => {
    if (isReadings(frame)) frames.push(frame);
  });
  await until(() => hub.stats().subscriptions === 1);
  for (const batch of batches) {
    hub.publish(batch);
    await turn();
  }
  await until(() => frames.length === batches.length);
  await stop();
  return frames;
}

async function bareBroadcast(frames: readonly Buffer[], clients: number): Promise<number> {
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  const url = await listen(server);
  const rate = await measure(url, clients, frames.length, (index) => {
    for (const socket of sockets.clients) socket.send(frames[index] ?? '', { binary: false });
  });
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  await new Promise((resolve) => server.close(resolve));
  return rate;
}

async function hubBroadcast(source: LiveSource, batches: readonly CommittedBatch[], clients: number): Promise<number> {
  const { hub, url, stop } = await serveHub(source, { flushMinMs: 0, flushMaxMs: 0 });
  const rate = await measure(url, clients, batches.length, (index) => {
    const batch = batches[index];
    if (batch) hub.publish(batch);
  });
  const { readingsSent } = hub.stats();
  const expected = clients * batches.length * readingsPerCommit;
  if (readingsSent !== expected) throw new Error(`${readingsSent} readings were sent, not ${expected}`);
  await stop();
  return rate;
}

/** Frames a second over all clients, from the first send until the last client has the last frame. */
async function measure(url: string, clients: number, count: number, send: (index: number) => void): Promise<number> {
  const received = new Int32Array(new SharedArrayBuffer(12));
  const worker = await connectClients({ url, clients, counters: received.buffer, arrivals: null });
  const began = now();
  for (let index = 0; index < count; index++) {
    send(index);
    await turn();
    while (index * clients - Atomics.load(received, 0) > windowFrames * clients) await turn();
  }
  await until(() => Atomics.load(received, 0) >= count * clients);
  const seconds = (now() - began) / 1_000;
  await worker.terminate();
  if (Atomics.load(received, 0) !== count * clients) throw new Error('more frames came than were sent');
  return (count * clients) / seconds;
}

async function latency(clients: number): Promise<string> {
  const count = latencySeconds * commitsPerSecond;
  const { source, batches } = commits(count, (5_000 / commitsPerSecond) * 3);
  const { hub, url, stop } = await serveHub(source, {});
  const arrivals = new Float64Array(new SharedArrayBuffer(8 * (count + 1)));
  const counters = new Int32Array(new SharedArrayBuffer(12));
  const worker = await connectClients({ url, clients, counters: counters.buffer, arrivals: arrivals.buffer });
  const published: number[] = [];
  const began = now();
  for (const [index, batch] of batches.entries()) {
    while (now() < began + (index * 1_000) / commitsPerSecond) await turn();
    published.push(now());
    hub.publish(batch);
  }
  await until(() => Atomics.load(counters, 2) === clients);
  const delays = published.map((at, index) => (arrivals[index + 1] ?? Number.NaN) - at).toSorted((a, b) => a - b);
  await worker.terminate();
  await stop();
  const at = (share: number): string => (delays[Math.floor(delays.length * share)] ?? Number.NaN).toFixed(1);
  return `latency with ${clients} clients: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (aim for p99: 25 ms)`;
}

async function connectClients(task: Task): Promise<Worker> {
  const worker = new Worker(new URL(import.meta.url), { workerData: task });
  const connected = new Int32Array(task.counters);
  await until(() => Atomics.load(connected, 1) === task.clients);
  return worker;
}

/** The thread of the clients: connects them all, says so, and counts. */
async function receive({ url, clients, counters, arrivals }: Task): Promise<void> {
  const counter = new Int32Array(counters);
  const lastAt = arrivals && new Float64Array(arrivals);
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const socket = new WebSocket(url, { perMessageDeflate: false, skipUTF8Validation: true });
      await new Promise((resolve, reject) => {
        socket.once('error', reject);
        socket.once('open', resolve);
      });
      let seen = 0;
      socket.on('message', (frame: Buffer) => {
        if (!isReadings(frame)) return;
        Atomics.add(counter, 0, 1);
        if (!lastAt) return;
        const seq = Number(/"cursor":"bench:(\d+)"/.exec(frame.toString('latin1', 0, 80))?.[1]);
        const at = now();
        while (seen < seq) lastAt[++seen] = at;
        if (seen === lastAt.length - 1) Atomics.add(counter, 2, 1);
      });
      socket.send('{"op":"subscribe","id":"a"}');
      // A round trip: the subscription before it is live (the bare server answers the protocol's ping).
      await new Promise((resolve) => {
        socket.once('pong', resolve);
        socket.ping();
      });
      Atomics.add(counter, 1, 1);
    }),
  );
}

function isReadings(frame: Buffer): boolean {
  return frame.toString('latin1', 0, 16) === '{"op":"readings"';
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address() as AddressInfo;
  return `ws://127.0.0.1:${address.port}/`;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[numbers.length >>> 1] ?? Number.NaN;
}
