import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchData } from './history-data.ts';

/** A server of another product, on a free port with a folder of its own. */
export interface Peer {
  readonly name: string;
  load(data: BenchData): Promise<void>;
  /** Query → path below the server's address. */
  raw(series: BenchData['series'][number], from: number, to: number): string;
  buckets(series: BenchData['series'][number], from: number, to: number, width: number): string;
  latest(now: number): string;
  ask(path: string): Promise<Buffer>;
  /** Bytes of its data folder, once what it holds is on disk. */
  bytes(): Promise<number>;
  stop(): Promise<void>;
}

const agent = new Agent({ keepAlive: true });

/** One GET over a connection that is kept; the body whole, not parsed. Rejects unless the status is 200. */
export function get(port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Buffer> {
  return send('GET', port, path, headers, null);
}

function send(
  method: string,
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer | null,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        const { statusCode = 0 } = response;
        if (statusCode >= 200 && statusCode < 300) resolve(whole);
        else reject(new Error(`${method} ${path}: ${statusCode} ${whole.toString().slice(0, 300)}`));
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Ends with this process, however it ends. */
function launch(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

/** Installs Debian's packages where that can be done; whether both servers are there then. */
export function installPeers(): boolean {
  const missing = [
    ['victoria-metrics', '/usr/bin/victoria-metrics'],
    ['influxdb', '/usr/bin/influxd'],
  ].filter(([, path]) => !existsSync(path ?? ''));
  if (missing.length === 0) return true;
  const names = missing.map(([name]) => name ?? '');
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).error !== undefined) {
    console.log(`For the comparison install ${names.join(' and ')} (Debian's packages).`);
    return false;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore', env });
  return (
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { stdio: 'ignore', env })
      .status === 0
  );
}

/** Lines of InfluxDB's line protocol, which both servers take: `metric,device=… value=… ms`. */
async function loadLines(data: BenchData, write: (lines: Buffer) => Promise<unknown>): Promise<void> {
  let lines: string[] = [];
  for (const { count, series, times, values } of data.blocks()) {
    for (let row = 0; row < count; row++) {
      const { device, metric } = data.series[series[row] ?? 0] ?? { device: '', metric: '' };
      lines.push(`${metric},device=${device} value=${values[row]} ${times[row]}`);
    }
    if (lines.length < 50_000) continue;
    await write(Buffer.from(lines.join('\n')));
    lines = [];
  }
  if (lines.length > 0) await write(Buffer.from(lines.join('\n')));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function untilAnswers(port: number, path: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await get(port, path);
      return;
    } catch (error) {
      if (tries >= 200) throw error;
      await sleep(50);
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

function folderBytes(path: string): number {
  return Number(spawnSync('du', ['-sb', path]).stdout.toString().split('\t')[0]);
}

/** What VictoriaMetrics calls a series. */
const selector = ({ device, metric }: { device: string; metric: string }): string =>
  `${metric}_value{device="${device}"}`;

const seconds = (time: number): string => (time / 1_000).toFixed(3);

export async function startVictoriaMetrics(folder: string): Promise<Peer> {
  const port = await freePort();
  const dir = join(folder, 'victoria-metrics');
  const child = launch('/usr/bin/victoria-metrics', [
    `-storageDataPath=${dir}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    '-retentionPeriod=100y',
    '-search.maxPointsPerTimeseries=10000000',
    '-search.latencyOffset=0s',
    // Answers are to be made, not remembered.
    '-search.disableCache',
  ]);
  await untilAnswers(port, '/health');
  return {
    name: 'VictoriaMetrics',
    async load(data) {
      await loadLines(data, (lines) => send('POST', port, '/write?precision=ms', {}, lines));
      await get(port, '/internal/force_flush');
    },
    raw: (series, from, to) =>
      `/api/v1/export?${String(new URLSearchParams({ 'match[]': selector(series), start: seconds(from), end: seconds(to - 1) }))}`,
    buckets(series, from, to, width) {
      const each = `${width}ms`;
      const query = `aggr_over_time(("min_over_time","max_over_time","avg_over_time","count_over_time"), ${selector(series)}[${each}])`;
      const range = { start: seconds(from + width), end: seconds(to), step: each };
      return `/api/v1/query_range?${String(new URLSearchParams({ query, ...range }))}`;
    },
    latest: (now) =>
      `/api/v1/query?${String(new URLSearchParams({ query: 'last_over_time({device!=""}[5m])', time: seconds(now) }))}`,
    ask: (path) => get(port, path),
    async bytes() {
      await get(port, '/internal/force_flush');
      await get(port, '/internal/force_merge');
      // A forced merge answers at once and works on: until the size stands still.
      let before = 0;
      for (let now = folderBytes(join(dir, 'data')); now !== before; now = folderBytes(join(dir, 'data'))) {
        before = now;
        await sleep(3_000);
      }
      return before;
    },
    stop: () => ended(child),
  };
}

/** In InfluxQL, of the database that is made below. */
const query = (q: string): string => `/query?${String(new URLSearchParams({ db: 'bench', epoch: 'ms', q }))}`;

const range = (from: number, to: number): string => `time >= ${from}ms AND time < ${to}ms`;

export async function startInflux(folder: string): Promise<Peer> {
  const [port, rpc] = [await freePort(), await freePort()];
  const dir = join(folder, 'influxdb');
  mkdirSync(dir, { recursive: true });
  const config = join(dir, 'influxdb.conf');
  writeFileSync(
    config,
    `reporting-disabled = true
bind-address = "127.0.0.1:${rpc}"
[meta]
dir = "${dir}/meta"
[data]
dir = "${dir}/data"
wal-dir = "${dir}/wal"
index-version = "inmem"
max-select-point = 0
[http]
bind-address = "127.0.0.1:${port}"
log-enabled = false
max-row-limit = 0
max-body-size = 0
`,
  );
  const child = launch('/usr/bin/influxd', ['-config', config]);
  await untilAnswers(port, '/ping');
  await send('POST', port, `/query?${String(new URLSearchParams({ q: 'CREATE DATABASE bench' }))}`, {}, null);
  return {
    name: 'InfluxDB',
    load: (data) => loadLines(data, (lines) => send('POST', port, '/write?db=bench&precision=ms', {}, lines)),
    raw: ({ device, metric }, from, to) =>
      query(`SELECT value FROM "${metric}" WHERE device = '${device}' AND ${range(from, to)}`),
    buckets: ({ device, metric }, from, to, width) =>
      query(
        `SELECT min(value), max(value), mean(value), count(value) FROM "${metric}" WHERE device = '${device}' AND ${range(from, to)} GROUP BY time(${width}ms, ${from % width}ms) fill(none)`,
      ),
    latest: () => query('SELECT last(value) FROM /.*/ GROUP BY device'),
    ask: (path) => get(port, path),
    bytes: () => Promise.resolve(folderBytes(join(dir, 'data')) + folderBytes(join(dir, 'wal'))),
    stop: () => ended(child),
  };
}
