import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface DemoPorts {
  readonly http: number;
  readonly mqtt: number;
  readonly inbox: number;
}

/** `pulsegate demo` as a person runs it: a process whose words are read. */
export class DemoProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #said = '';
  #listeners: (() => void)[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString();
        for (const listener of this.#listeners) listener();
      });
    }
  }

  /** Resolves once it has said that it is ready. Ports of 0 take free ones. */
  static async start(dir: string, ports: DemoPorts = { http: 0, mqtt: 0, inbox: 0 }): Promise<DemoProcess> {
    const flags = ['--http-port', ports.http, '--mqtt-port', ports.mqtt, '--inbox-port', ports.inbox].map(String);
    const child = spawn(process.execPath, [main, 'demo', '--data', dir, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: root,
    });
    const demo = new DemoProcess(child);
    await demo.says(/Ctrl-C stops it/);
    return demo;
  }

  get said(): string {
    return this.#said;
  }

  get ports(): DemoPorts {
    const port = (label: string): number =>
      Number(new RegExp(`${label}\\s+\\w+://127\\.0\\.0\\.1:(\\d+)`).exec(this.#said)?.[1]);
    return { http: port('Dashboard'), mqtt: port('MQTT broker'), inbox: port('Webhook inbox') };
  }

  /** The line to copy that stands behind a word of the welcome. */
  line(word: 'ask' | 'history' | 'watch' | 'tell'): string {
    const found = new RegExp(`^ {2}${word} +(.+)$`, 'm').exec(this.#said)?.[1];
    if (found === undefined) throw new Error(`the demo printed no line for "${word}":\n${this.#said}`);
    return found;
  }

  /** Resolves when what it has said so far matches; rejects when it ends before. */
  async says(pattern: RegExp): Promise<void> {
    const matched = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this.#said)) resolve();
      };
      this.#listeners.push(look);
      look();
    });
    const ended = this.#exit.then(([code]) => {
      throw new Error(`the demo ended (${String(code)}) before it said ${String(pattern)}:\n${this.#said}`);
    });
    await Promise.race([matched, ended]);
  }

  /** Resolves with the exit code, or the signal that ended it. */
  async stop(signal: 'SIGINT' | 'SIGKILL'): Promise<number | string> {
    this.#child.kill(signal);
    const [code, ended] = await this.#exit;
    return typeof code === 'number' ? code : String(ended);
  }
}
