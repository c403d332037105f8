import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './mosquitto.ts';
import { findNginx } from './system-packages.ts';
import { tempFolder } from './temp-folder.ts';

/** A real nginx on a free port of 127.0.0.1, with the lines of its `server` block. */
export class Nginx {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: ReturnType<typeof tempFolder>;

  private constructor(port: number, process: ChildProcess, folder: ReturnType<typeof tempFolder>) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(server: readonly string[]): Promise<Nginx> {
    const program = findNginx();
    if (program === undefined) throw new Error('nginx is not installed');
    const folder = tempFolder();
    const port = await freePort();
    const config = join(folder.path, 'nginx.conf');
    writeFileSync(config, configOf(folder.path, port, server));
    const nginx = spawn(program, ['-p', folder.path, '-c', config, '-e', 'stderr'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    nginx.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    while (!(await answers(port))) {
      if (nginx.exitCode !== null) throw new Error(`nginx ended: ${output}`);
      await sleep(20);
    }
    return new Nginx(port, nginx, folder);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
    this.#folder.remove();
  }
}

function configOf(folder: string, port: number, server: readonly string[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return [
    'daemon off;',
    'worker_processes 1;',
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    `pid ${folder}/nginx.pid;`,
    'events { worker_connections 256; }',
    'http {',
    'access_log off;',
    ...temporary,
    'map $http_upgrade $connection_upgrade { default upgrade; "" close; }',
    'server {',
    `listen 127.0.0.1:${port};`,
    ...server,
    '}',
    '}',
    '',
  ].join('\n');
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
