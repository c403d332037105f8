import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findMosquitto } from './system-packages.ts';
import { tempFolder } from './temp-folder.ts';

export interface MosquittoOptions {
  /** Further lines of its configuration: listeners, passwords, limits. */
  readonly lines?: readonly string[];
  /** Whether it keeps sessions and messages over a restart. */
  readonly persistent?: boolean;
}

/** A real Mosquitto in a folder of its own, on a free port; it can be killed and started again. */
export class Mosquitto {
  readonly port: number;
  readonly folder: string;
  readonly #config: string;
  readonly #removeFolder: () => void;
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(port: number, folder: string, config: string, removeFolder: () => void) {
    this.port = port;
    this.folder = folder;
    this.#config = config;
    this.#removeFolder = removeFolder;
  }

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const folder = tempFolder();
    const port = await freePort();
    const lines = options.lines ?? [`listener ${port} 127.0.0.1`, 'allow_anonymous true'];
    const config = join(folder.path, 'mosquitto.conf');
    writeFileSync(
      config,
      [
        'per_listener_settings false',
        'log_dest stderr',
        'log_type error',
        'log_type warning',
        'log_type notice',
        ...(process.getuid?.() === 0 ? ['user root'] : []),
        'max_queued_messages 0',
        // Without it the two answers of a QoS 2 exchange are 40 ms apart: Nagle waits for an acknowledgement that is delayed.
        'set_tcp_nodelay true',
        ...(options.persistent
          ? [
              'persistence true',
              `persistence_location ${folder.path}/`,
              'autosave_interval 1',
              'autosave_on_changes true',
            ]
          : []),
        ...lines.map((line) => line.replaceAll('{port}', String(port))),
        '',
      ].join('\n'),
    );
    const broker = new Mosquitto(port, folder.path, config, () => folder.remove());
    await broker.resume();
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** What it said. */
  get output(): string {
    return this.#output;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts it again on the same port and folder. */
  async resume(): Promise<void> {
    const program = findMosquitto();
    if (program === undefined) {
      throw new Error(
        'Mosquitto is not installed; install the Debian package mosquitto (npm test does it where apt-get is)',
      );
    }
    const child = spawn(program, ['-c', this.#config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    child.stderr.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    for (;;) {
      if (child.exitCode !== null) throw new Error(`Mosquitto ended: ${this.#output}`);
      if (await answers(this.port)) return;
      await sleep(25);
    }
  }

  /** Ends it: SIGTERM lets it save, SIGKILL does not. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    this.#removeFolder();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
