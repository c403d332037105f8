import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export interface GatewayProcessOptions {
  readonly dir: string;
  /** 0, the default, takes a free one. */
  readonly httpPort?: number;
  readonly mqttPort?: number;
  /** Further arguments of `start`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** `pulsegate start` as a process of its own: what a person starts, and what the power cut ends. */
export class GatewayProcess {
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly #child: ChildProcess;
  readonly #exit: Promise<Exit>;
  /** Rejects, with what it wrote, should it end though nobody ended it. */
  readonly crashed: Promise<never>;
  #isEnding = false;

  private constructor(child: ChildProcess, exit: Promise<Exit>, ports: { http: number; mqtt: number }) {
    this.#child = child;
    this.#exit = exit;
    this.httpPort = ports.http;
    this.mqttPort = ports.mqtt;
    this.crashed = new Promise((_resolve, reject) => {
      void exit.then(({ code, signal, stderr }) => {
        if (!this.#isEnding) reject(new Error(`the gateway ended by itself (${code ?? signal}): ${stderr}`));
      });
    });
    this.crashed.catch(() => {});
  }

  /** Resolves when it said that it is ready; rejects with what it wrote when it ended instead. */
  static async start(options: GatewayProcessOptions): Promise<GatewayProcess> {
    const { child, exit } = launch(options);
    let said = '';
    const ports = await new Promise<{ http: number; mqtt: number }>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const [, http, mqtt] = /ready: dashboard http:\S+:(\d+)\s+MQTT mqtt:\S+:(\d+)/.exec(said) ?? [];
        if (http !== undefined && mqtt !== undefined) resolve({ http: Number(http), mqtt: Number(mqtt) });
      });
      void exit.then(({ code, stderr }) => reject(new Error(`the gateway ended with ${code}: ${stderr}`)));
    });
    return new GatewayProcess(child, exit, ports);
  }

  /** For a gateway that must not come up: how it ended, and what it said. */
  static refused(options: GatewayProcessOptions): Promise<Exit> {
    return launch(options).exit;
  }

  /** A start that is ended with kill -9 after `delayMs`, wherever it is by then. */
  static async cutShort(options: GatewayProcessOptions, delayMs: number): Promise<Exit> {
    const { child, exit } = launch(options);
    const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
    const ended = await exit;
    clearTimeout(timer);
    return ended;
  }

  /** Resident memory now, and the most since `forgetPeak`, bytes (Linux). */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024;
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
  }

  /** From now on `memory` tells the peak anew; see clear_refs in proc(5). */
  forgetPeak(): void {
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, '5');
  }

  /** kill -9. Resolves once the process is gone. */
  async kill(): Promise<Exit> {
    this.#isEnding = true;
    this.#child.kill('SIGKILL');
    return this.#exit;
  }

  /** SIGTERM, as a supervisor stops it: with patience for a minute, then with SIGKILL. */
  async terminate(): Promise<Exit> {
    this.#isEnding = true;
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 60_000);
    const ended = await this.#exit;
    clearTimeout(patience);
    return ended;
  }
}

function launch({ dir, httpPort = 0, mqttPort = 0, args = [], env = {} }: GatewayProcessOptions): {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
} {
  const ports = ['--http-port', String(httpPort), '--mqtt-port', String(mqttPort)];
  const child = spawn(process.execPath, [main, 'start', '--data', dir, ...ports, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  return { child, exit };
}
