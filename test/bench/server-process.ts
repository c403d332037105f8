import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is measured, as a process of its own: a gateway as people start it, or a bare broker. */
export class ServerProcess {
  readonly mqttPort: number;
  /** 0 for the bare broker. */
  readonly httpPort: number;
  /** From the start of the process until it said that it is ready, ms. */
  readonly readyMs: number;
  readonly #child: ChildProcess;
  readonly #said: () => string;

  private constructor(child: ChildProcess, said: () => string, readyMs: number) {
    this.#child = child;
    this.#said = said;
    this.readyMs = readyMs;
    const port = (pattern: RegExp): number => Number(pattern.exec(said())?.[1] ?? 0);
    this.mqttPort = port(/mqtt:\/\/\S+:(\d+)/);
    this.httpPort = port(/http:\/\/\S+:(\d+)/);
  }

  /** `pulsegate start` on free ports; receivers of webhooks may be on loopback. With an admin key it is closed to all others. */
  static gateway(dir: string, adminKey?: string): Promise<ServerProcess> {
    const flags = ['--data', dir, '--http-port', '0', '--mqtt-port', '0'];
    return start(['../../src/main.js', 'start', ...flags], {
      PULSEGATE_WEBHOOKS_ALLOW_TARGETS: '127.0.0.0/8',
      // A few connections stand for a fleet: what one device may send would slow them down.
      PULSEGATE_DEVICE_MESSAGES_PER_SECOND: '0',
      PULSEGATE_DEVICE_BYTES_PER_SECOND: '0',
      ...(adminKey === undefined ? {} : { PULSEGATE_ADMIN_KEY: adminKey }),
    });
  }

  /** As `gateway`, behind a broker that `env` says more about. */
  static external(dir: string, env: Readonly<Record<string, string>>): Promise<ServerProcess> {
    return start(['../../src/main.js', 'start', '--data', dir, '--http-port', '0'], {
      PULSEGATE_MQTT_MODE: 'external',
      PULSEGATE_DEVICE_MESSAGES_PER_SECOND: '0',
      PULSEGATE_DEVICE_BYTES_PER_SECOND: '0',
      PULSEGATE_LOG_LEVEL: 'warn',
      ...env,
    });
  }

  static bareAedes(): Promise<ServerProcess> {
    return start(['./bare-aedes.ts'], {});
  }

  /** SIGTERM. Resolves with all that it wrote; rejects when it did not leave with 0. */
  async stop(): Promise<string> {
    const code = await this.#end('SIGTERM');
    if (code !== 0) throw new Error(`the process left with ${code}: ${this.#said()}`);
    return this.#said();
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Resident memory now and at most so far, bytes (Linux). */
  memory(): { readonly rss: number; readonly peak: number } {
    const status = this.#proc('status');
    const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    return { rss: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
  }

  /** Bytes that it had the kernel write to storage so far (Linux). */
  writtenBytes(): number {
    return Number(/^write_bytes: (\d+)$/m.exec(this.#proc('io'))?.[1]);
  }

  /** Processor time used so far, all threads, seconds (Linux). */
  cpuSeconds(): number {
    const fields = this.#proc('stat').split(') ')[1]?.split(' ') ?? [];
    const ticksPerSecond = 100;
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  #proc(name: string): string {
    return readFileSync(`/proc/${this.#child.pid}/${name}`, 'utf8');
  }

  #end(signal: NodeJS.Signals): Promise<number | null> {
    return new Promise((resolve) => {
      this.#child.once('close', resolve);
      this.#child.kill(signal);
    });
  }

  static async #ready(child: ChildProcess): Promise<ServerProcess> {
    const began = performance.now();
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (/mqtt:\/\/\S+:\d+\s/.test(said)) resolve();
      });
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`the process left with ${code} before it was ready: ${said}`)));
    });
    return new ServerProcess(child, () => said, performance.now() - began);
  }

  static started(args: readonly string[], env: Readonly<Record<string, string>>): Promise<ServerProcess> {
    // Arguments for Node itself, such as --cpu-prof, for whoever looks for what the time goes into.
    const forNode = (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((arg) => arg !== '');
    const child = spawn(process.execPath, [...forNode, ...args], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    // A bench that breaks leaves nothing running.
    process.once('exit', () => child.kill('SIGKILL'));
    return ServerProcess.#ready(child);
  }
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  return ServerProcess.started(args, env);
}
