import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket } from 'ws';
import { messageOf } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { InboundPackets } from '../../src/ingest/external/inbound-packets.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { ask, send } from '../support/http-client.ts';
import { expectBalanced, readMetrics, sample } from '../support/ledger-check.ts';
import { loadMappings, mappingFiles } from '../support/mapping-files.ts';
import { idOf, packetType, publishPacket, WireClient } from '../support/mqtt-wire.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { httpRequest, httpWays } from './http-seeds.ts';
import { mqttVisit } from './mqtt-visit.ts';
import { Mutator } from './mutator.ts';
import { randomOf } from './target.ts';

/** Most bytes of resident memory more than after the warm-up. */
const growthMax = 64 * 1_048_576;
/** Visits at once. */
const visitsAtOnce = 16;
/** After so many visits the healthy device, and one that comes anew, must be served as ever. */
const visitsBetween = 250;
/** Largest packet that the gateway sends a client here. */
const packetBytesMax = 1_048_576;
/** However busy the machine: a client that is owed an answer has one by then. */
const patienceMs = 30_000;

/** Little room for garbage, so that what memory grows by is kept. MB. */
const heapOptions = '--max-semi-space-size=8 --max-old-space-size=160';

/**
 * Nothing that may fill up for good is so large that it would still be filling at the end: what memory grows by then is
 * a leak. Wrong credentials bar nobody, and nobody is slowed.
 */
const settings = {
  NODE_OPTIONS: heapOptions,
  PULSEGATE_DEVICE_MESSAGES_PER_SECOND: '0',
  PULSEGATE_DEVICE_BYTES_PER_SECOND: '0',
  PULSEGATE_DEVICE_AUTO_CREATE_MAX: '500',
  PULSEGATE_STORAGE_SERIES_MAX: '2000',
  PULSEGATE_QUARANTINE_MAX_BYTES: '2mb',
  PULSEGATE_MQTT_RETAINED_MAX: '500',
  PULSEGATE_MQTT_SESSIONS_MAX: '500',
  PULSEGATE_MQTT_SESSION_BYTES_MAX: '2mb',
  PULSEGATE_MQTT_QUEUE_MESSAGES_MAX: '100',
  PULSEGATE_ACCESS_FAILURES_PER_MINUTE: '0',
};

export interface SocketFuzzed {
  readonly summary: string;
  /** What should not have happened; empty when all is well. */
  readonly faults: readonly string[];
}

/** A whole gateway in a process of its own, on its MQTT, WebSocket and HTTP sides, beside a healthy device. */
export async function fuzzSocket({
  packets,
  seed,
}: {
  readonly packets: number;
  readonly seed: number;
}): Promise<SocketFuzzed> {
  const folder = tempFolder();
  const config = join(folder.path, 'fuzz.yaml');
  const mappings = mappingFiles().flatMap(loadMappings);
  writeFileSync(config, JSON.stringify({ ingest: { mappings, sparkplugHost: 'pulsegate' } }));
  const dir = join(folder.path, 'data');
  const gateway = await GatewayProcess.start({ dir, args: ['--config', config], env: settings });
  try {
    const run = new SocketFuzz(gateway, seed);
    return await Promise.race([run.run(packets), gateway.crashed]);
  } catch (error) {
    const { stderr } = await gateway.terminate();
    const said = stderr.split('\n').slice(-20);
    return { summary: `socket: broken, seed ${seed}`, faults: [messageOf(error), ...said] };
  } finally {
    folder.remove();
  }
}

class SocketFuzz {
  readonly #gateway: GatewayProcess;
  readonly #seed: number;
  #ways: ReturnType<typeof httpWays> = [];
  #packets = 0;
  #visits = 0;
  #serial = 0;

  constructor(gateway: GatewayProcess, seed: number) {
    this.#gateway = gateway;
    this.#seed = seed;
  }

  async run(packets: number): Promise<SocketFuzzed> {
    const { httpPort, mqttPort } = this.#gateway;
    this.#ways = httpWays(await provisioningKey(httpPort));
    const healthy = await WireClient.open(mqttPort, 'healthy');
    const started = performance.now();
    await this.#until(packets / 4, healthy);
    const before = this.#gateway.memory().now;
    await this.#until(packets, healthy);
    const seconds = (performance.now() - started) / 1_000;
    const grown = this.#gateway.memory().now - before;

    const faults: string[] = [];
    if (grown > growthMax) faults.push(`resident memory grew by ${grown} bytes`);
    const metrics = await readMetrics(httpPort);
    try {
      expectBalanced(metrics);
    } catch (error) {
      faults.push(`the ledger does not balance: ${error instanceof Error ? error.message : ''}`);
    }
    healthy.end();
    const { code, stderr } = await this.#gateway.terminate();
    if (code !== 0) faults.push(`the gateway ended with ${code}`);
    faults.push(...stderr.split('\n').filter(isAlarming).slice(0, 10));
    const received = sample(metrics, 'pulsegate_messages_received_total');
    const outcomes = ['accepted', 'control', 'relayed', 'refused', 'shed', 'redelivered'].map(
      (outcome) => `${outcome} ${sample(metrics, `pulsegate_messages_total{outcome="${outcome}"}`)}`,
    );
    const summary = `socket: ${this.#packets} packets and requests in ${this.#visits} connections, ${Math.round(this.#packets / seconds)}/s; ${received} messages: ${outcomes.join(', ')}; memory grew ${Math.round(grown / 1_048_576)} MB`;
    return { summary, faults: faults.map((fault) => `${fault} (seed ${this.#seed})`) };
  }

  async #until(packets: number, healthy: WireClient): Promise<void> {
    while (this.#packets < packets) {
      const end = this.#visits + visitsBetween;
      await Promise.all(
        Array.from({ length: visitsAtOnce }, async () => {
          while (this.#visits < end && this.#packets < packets) {
            const visit = this.#visits++;
            await within(patienceMs, `connection ${visit} is neither answered nor ended`, this.#visit(visit));
          }
        }),
      );
      await this.#expectServed(healthy);
    }
  }

  async #visit(index: number): Promise<void> {
    const mutator = new Mutator(randomOf(this.#seed, index, seededRandom));
    const { mqttPort, httpPort } = this.#gateway;
    const kind = mutator.below(10);
    if (kind < 2) {
      this.#packets++;
      const { bytes, isWhole } = httpRequest(this.#ways, httpPort, mutator);
      return visitHttp(connect(httpPort, '127.0.0.1'), mutator.pieces(bytes), isWhole);
    }
    const { bytes, packets } = mqttVisit(mutator);
    this.#packets += packets;
    const stream = kind === 2 ? webSocketStream(httpPort) : connect(mqttPort, '127.0.0.1');
    return visitMqtt(stream, mutator.pieces(bytes));
  }

  /** The next good message is acknowledged and stored: of a device that was there all the time, and of a new one. */
  async #expectServed(healthy: WireClient): Promise<void> {
    const { mqttPort, httpPort } = this.#gateway;
    const newcomer = await WireClient.open(mqttPort, `newcomer-${this.#serial}`);
    for (const [device, client] of [
      ['healthy', healthy],
      ['newcomer', newcomer],
    ] as const) {
      const serial = ++this.#serial;
      client.send(
        publishPacket(`devices/${device}/telemetry`, `{"serial":${serial}}`, { qos: 1, id: serial % 65_535 || 1 }),
      );
      const answer = await client.next();
      if (answer.type !== packetType.puback || idOf(answer) !== (serial % 65_535 || 1)) {
        throw new Error(`${device} was not acknowledged: ${JSON.stringify(answer)}`);
      }
      const { status, text } = await ask(httpPort, `/api/v1/devices/${device}/latest`);
      if (status !== 200 || !text.includes(`"value":${serial},`)) {
        throw new Error(`the reading ${serial} of ${device} is not there: ${status} ${text}`);
      }
    }
    newcomer.end();
  }
}

/** Says all of it, in the pieces given. */
async function say(stream: Duplex, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (stream.writable) stream.write(piece);
    // So that the pieces do not leave as one.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Resolves once a PINGRESP came or the stream ended. */
function answered(stream: Duplex): Promise<void> {
  const packets = new InboundPackets(packetBytesMax);
  return new Promise((resolve) => {
    stream.on('error', () => {});
    stream.once('close', resolve);
    stream.once('end', resolve);
    stream.on('data', (chunk: Buffer) => {
      for (const { type } of packets.take(chunk)) if (type === packetType.pingresp) resolve();
    });
  });
}

/** A client of MQTT, from its first byte to its end. */
async function visitMqtt(stream: Duplex, pieces: readonly Buffer[]): Promise<void> {
  const answer = answered(stream);
  await say(stream, pieces);
  await answer;
  stream.destroy();
}

/** A client of HTTP; one whose request is not whole does not wait for an answer. */
async function visitHttp(socket: Socket, pieces: readonly Buffer[], isWhole: boolean): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.resume();
  await say(socket, pieces);
  if (!isWhole) socket.end();
  await closed;
}

function webSocketStream(port: number): Duplex {
  return createWebSocketStream(new WebSocket(`ws://127.0.0.1:${port}/mqtt`, 'mqtt', { perMessageDeflate: false }));
}

async function within(ms: number, otherwise: string, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(otherwise)), ms);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function provisioningKey(httpPort: number): Promise<string> {
  await send(httpPort, 'PUT', '/api/v1/profiles/probe', {});
  const answer = await send(httpPort, 'POST', '/api/v1/provisioning-keys', { name: 'fuzz', profile: 'probe' });
  const made: unknown = answer.json();
  if (answer.status !== 201 || typeof made !== 'object' || made === null || !('key' in made)) {
    throw new Error(`there is no provisioning key: ${answer.status} ${answer.text}`);
  }
  return String(made.key);
}

/** Lines of the log at level `error` and above (pino's 50), and whatever is no line of the log. */
function isAlarming(line: string): boolean {
  if (line === '') return false;
  const level = /^\{"level":(\d+),/.exec(line)?.[1];
  return level === undefined || Number(level) >= 50 || /unhandled/i.test(line);
}
