/**
 * What others do to 50 devices that publish at QoS 1 on a timetable, and to the memory of the gateway:
 *
 *   oversized   packets of 50 MB that are streamed, and headers that announce 256 MB, one connection after another
 *   half-open   10,000 sockets that never introduce themselves
 *   frozen      a subscriber of everything that reads nothing
 *
 * Each is measured in pairs, a while without and a while with it, in one gateway that is warm. Nobody healthy may be
 * dropped: then the bench breaks. Memory is the highest with less the highest without.
 *
 *   node test/bench/guards.ts [seconds of each half] [pairs]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { PacedFleet } from './paced-fleet.ts';
import { ServerProcess } from './server-process.ts';
import { median, quantile } from './statistics.ts';

const devices = 50;
const warmUpSeconds = 5;
const memoryAim = 64 << 20;
const attacks = [
  { kind: 'oversized', perSecond: 5_000 },
  { kind: 'half-open', perSecond: 5_000 },
  { kind: 'frozen', perSecond: 10_000 },
] as const;

const seconds = Number(process.argv[2] ?? 6);
const pairs = Number(process.argv[3] ?? 3);
const mebibytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(0)} MiB`;

interface Half {
  /** Due to be published until PUBACK, ms. */
  readonly p99: number;
  /** Highest resident memory, bytes. */
  readonly rss: number;
}

/** A gateway and the devices that have every right to be served. */
class Healthy {
  readonly server: ServerProcess;
  readonly #fleet: PacedFleet;
  #delays: number[] = [];

  constructor(server: ServerProcess, fleet: PacedFleet) {
    this.server = server;
    this.#fleet = fleet;
    fleet.onAck((_due, delay) => this.#delays.push(delay));
  }

  /** Rejects when a healthy device is dropped. */
  async publish(perSecond: number, forSeconds: number): Promise<Half> {
    this.#delays = [];
    let rss = 0;
    const sampling = setInterval(() => {
      rss = Math.max(rss, this.server.memory().rss);
    }, 100);
    const before = this.#fleet.published;
    await this.#fleet.publish(perSecond, forSeconds, (index) => {
      const number = before + index;
      return `{"temperature":${20 + (number % 300) / 10},"humidity":${40 + (number % 97) / 10}}`;
    });
    await this.#fleet.answered();
    clearInterval(sampling);
    return { p99: quantile(this.#delays, 0.99), rss };
  }

  async finish(): Promise<void> {
    const messages = this.#fleet.published;
    await this.#fleet.finish();
    await new GatewayFacts(this.server.httpPort).mustHold(messages, messages * 2);
  }
}

class Attacker {
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
  }

  /** Resolves once it is at work. */
  static async start(kind: string, mqttPort: number): Promise<Attacker> {
    const file = fileURLToPath(new URL('./attacker.ts', import.meta.url));
    const child = spawn(process.execPath, [file, kind, String(mqttPort)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const attacker = new Attacker(child);
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the attacker ${kind} ended by itself`);
    });
    ended.catch(() => null);
    while (!attacker.#said.includes('ready')) {
      await Promise.race([once(child.stdout ?? child, 'data'), ended]);
    }
    return attacker;
  }

  /** What it says that it has done. */
  async stop(): Promise<string> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
    return this.#said.replace('ready', '').trim();
  }
}

async function measure({ kind, perSecond }: (typeof attacks)[number]): Promise<void> {
  const folder = tempFolder();
  const server = await ServerProcess.gateway(folder.path);
  const healthy = new Healthy(server, await PacedFleet.connect(server.mqttPort, devices));
  await healthy.publish(perSecond, warmUpSeconds);
  const ratios: number[] = [];
  const growths: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const without = await healthy.publish(perSecond, seconds);
    const attacker = await Attacker.start(kind, server.mqttPort);
    const beside = await healthy.publish(perSecond, seconds);
    const said = await attacker.stop();
    ratios.push(beside.p99 / without.p99);
    growths.push(beside.rss - without.rss);
    console.log(
      `  ${kind}: PUBACK p99 ${without.p99.toFixed(1)} ms without, ${beside.p99.toFixed(1)} ms beside it; ` +
        `${mebibytes(without.rss)} without, ${mebibytes(beside.rss)} beside it; ${said}`,
    );
  }
  await healthy.finish();
  await server.stop();
  folder.remove();
  const growth = median(growths);
  const ratio = median(ratios);
  report({
    what: `memory that ${kind} attackers cost, ${devices} healthy devices kept`,
    aim: `< ${mebibytes(memoryAim)}`,
    measured: mebibytes(growth),
    met: growth < memoryAim,
  });
  report({
    what: `PUBACK p99 beside ${kind} attackers / without`,
    aim: '≤ 1.1',
    measured: ratio.toFixed(2),
    met: ratio <= 1.1,
  });
}

for (const attack of attacks) await measure(attack);
