/**
 * A whole gateway in a process of its own whose clock is turned from outside, started as `pulsegate start` starts one:
 * the same flags for V8, the same kept code. `slow-series.ts` starts it.
 *
 *   node test/bench/clocked-gateway.ts <folder>
 */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/history/engine.ts';
import type { EngineStats } from '../../src/history/reader.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startGatewayHere } from '../support/gateway-here.ts';

/** What is told of the store and of the process once nothing is left to be done at this moment of the clock. */
export interface ClockedFacts {
  readonly stats: EngineStats;
  /** Resident now and at most so far, and of what is resident now that which no file backs, bytes. */
  readonly rss: number;
  readonly peak: number;
  readonly anonymous: number;
}

/** The clock begins here, epoch ms. */
export const clockBegin = Date.UTC(2026, 8, 21, 12);

type Order = { readonly kind: 'advance'; readonly ms: number } | { readonly kind: 'stop' };
type Report =
  | { readonly kind: 'ready'; readonly mqttPort: number; readonly httpPort: number }
  | { readonly kind: 'facts'; readonly facts: ClockedFacts };

/** The parent's end. */
export class ClockedGateway {
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly #child: ReturnType<typeof fork>;

  private constructor(child: ReturnType<typeof fork>, ports: { readonly mqttPort: number; readonly httpPort: number }) {
    this.#child = child;
    this.mqttPort = ports.mqttPort;
    this.httpPort = ports.httpPort;
  }

  static async start(dir: string): Promise<ClockedGateway> {
    const cache = fileURLToPath(new URL('../../node_modules/.cache/pulsegate', import.meta.url));
    const forNode = (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '');
    const child = fork(fileURLToPath(import.meta.url), [dir], {
      execArgv: ['--max-semi-space-size=4', '--heap-growing-percent=30', ...forNode],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const ready = await nextReport(child);
    if (ready.kind !== 'ready') throw new Error('the gateway told facts before it was ready');
    return new ClockedGateway(child, ready);
  }

  /** Turns the clock, in which timers fire, and waits until the store has nothing left to do. */
  async advance(ms: number): Promise<ClockedFacts> {
    this.#child.send({ kind: 'advance', ms } satisfies Order);
    const report = await nextReport(this.#child);
    if (report.kind !== 'facts') throw new Error('the gateway was ready twice');
    return report.facts;
  }

  async stop(): Promise<void> {
    const left = new Promise((resolve) => {
      this.#child.once('exit', resolve);
    });
    this.#child.send({ kind: 'stop' } satisfies Order);
    await left;
  }
}

function nextReport(child: ReturnType<typeof fork>): Promise<Report> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the gateway left with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as Report);
    });
  });
}

/** Answers in a row that tell the same before the store is taken to be at rest. */
const restingAnswers = 4;

async function serve(dir: string): Promise<void> {
  const clock = new FakeClock(clockBegin);
  let engine: Engine | undefined;
  const here = await startGatewayHere(
    dir,
    { 'device.autoCreateMax': 1_000_000, 'device.messagesPerSecond': 0, 'device.bytesPerSecond': 0 },
    {
      clock,
      wrapEngine(made) {
        engine = made;
        return made;
      },
    },
  );
  process.on('message', (order: Order) => {
    if (order.kind === 'stop') {
      here.gateway.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
      return;
    }
    clock.advance(order.ms);
    if (engine) resting(engine).then(tell, fail);
  });
  const { mqttPort, httpPort } = here;
  process.send?.({ kind: 'ready', mqttPort, httpPort } satisfies Report);
}

/** The writer works between questions, a step at most, so whoever asks until nothing changes any more has let it finish. */
async function resting(engine: Engine): Promise<EngineStats> {
  let same = 0;
  let stats = await engine.reader.stats();
  while (same < restingAnswers) {
    const before = stats;
    stats = await engine.reader.stats();
    const isSame =
      before.seq === stats.seq &&
      before.chunks === stats.chunks &&
      before.mergedBytes === stats.mergedBytes &&
      before.headReadings === stats.headReadings &&
      before.logReadings === stats.logReadings;
    same = isSame ? same + 1 : 0;
  }
  return stats;
}

function tell(stats: EngineStats): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024;
  const facts = { stats, rss: bytes('VmRSS'), peak: bytes('VmHWM'), anonymous: bytes('RssAnon') };
  process.send?.({ kind: 'facts', facts } satisfies Report);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2] ?? '');
