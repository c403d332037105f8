import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SimulatorBroker, type Arrival } from './simulator-broker.ts';

/*
 * The simulator runs as a process against a bare broker. A message is known by its device and time, which no two
 * messages of a run share, so that what arrived can be counted against the tally.
 */

const script = new URL('../../simulator/main.ts', import.meta.url).pathname;

interface Tally {
  readonly sent: number;
  readonly acked: number | null;
  readonly inFlight: number;
  readonly readings: number;
  readonly errors: number;
  readonly blocked: number;
  readonly skipped: number;
  readonly late: number;
  readonly duplicates: number;
  readonly connects: number;
  readonly ackMs: { p50: number; max: number } | null;
  readonly note?: string;
  readonly recording?: { rows: number; readings: number; distinct: number; complete: boolean };
}

interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly tally: Tally;
}

class Simulator {
  readonly #process;
  readonly #ended: Promise<Ending>;
  #stderr = '';
  #onStderr: () => void = () => {};

  constructor(args: readonly string[]) {
    this.#process = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#onStderr();
    });
    this.#ended = once(this.#process, 'close').then(([code]) => {
      const lines = stdout.trim().split('\n');
      return { code: Number(code), stdout, stderr: this.#stderr, tally: parseTally(lines.at(-1) ?? '') };
    });
  }

  async ended(): Promise<Ending> {
    return await this.#ended;
  }

  async saysOnStderr(sentence: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onStderr = () => {
        if (this.#stderr.includes(sentence)) resolve();
      };
      this.#onStderr();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}

/** An empty tally for a run that prints none, so that an expectation about it fails readably. */
function parseTally(line: string): Tally {
  return line.startsWith('{') ? (JSON.parse(line) as Tally) : ({ sent: -1 } as Tally);
}

/** The messages inside an arrival: device, time and values. */
function entries(arrival: Arrival): { key: string; time: number; values: Record<string, unknown> }[] {
  const parsed: unknown = JSON.parse(arrival.payload);
  return (Array.isArray(parsed) ? parsed : [parsed]).map((entry: { ts: number; values: Record<string, unknown> }) => ({
    key: `${arrival.topic} ${entry.ts}`,
    time: entry.ts,
    values: entry.values,
  }));
}

function distinct(arrivals: readonly Arrival[]): number {
  return new Set(arrivals.flatMap((arrival) => entries(arrival).map((entry) => entry.key))).size;
}

function readings(arrivals: readonly Arrival[]): number {
  return arrivals.flatMap(entries).reduce((sum, entry) => sum + Object.keys(entry.values).length, 0);
}

let broker: SimulatorBroker;

beforeEach(async () => {
  broker = await SimulatorBroker.start();
});

afterEach(async () => {
  await broker.stop();
});

describe('a fleet', () => {
  it.each([0, 1, 2])('at QoS %i sends what its tally says, each message once', async (qos) => {
    const { code, tally, stdout } = await new Simulator([
      '--url',
      broker.url,
      '--duration',
      '1500ms',
      '--rate',
      '20',
      '--qos',
      String(qos),
    ]).ended();
    const arrived = broker.telemetry;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(tally.sent).toBeGreaterThan(100);
    expect(arrived).toHaveLength(tally.sent);
    expect(distinct(arrived)).toBe(tally.sent);
    expect(readings(arrived)).toBe(tally.readings);
    expect(arrived.every((arrival) => arrival.qos === qos && !arrival.retain && !arrival.dup)).toBe(true);
    expect(tally).toMatchObject({ inFlight: 0, errors: 0, skipped: 0, acked: qos === 0 ? null : tally.sent });
    if (qos === 0) expect(tally.note).toContain('not acknowledged');
    else expect(tally.ackMs?.max).toBeGreaterThan(0);
  });

  it('says who it is: online, attributes, and offline at the end, retained, by its own id and name', async () => {
    await new Simulator(['--url', broker.url, '--duration', '500ms', '--password', 'secret-token']).ended();
    expect(broker.logins).toHaveLength(16);
    for (const { client, username, password } of broker.logins) {
      expect([username, password]).toEqual([client, 'secret-token']);
      expect(broker.said(client, 'status')).toEqual(['online', 'offline']);
      expect(JSON.parse(broker.said(client, 'attributes')[0] ?? '{}')).toMatchObject({
        firmware: expect.any(String),
        model: expect.any(String),
      });
    }
    expect(broker.arrivals.filter((a) => a.topic.endsWith('/status')).every((a) => a.retain && a.qos === 1)).toBe(true);
  });

  it('leaves a will that tells that it is gone when it is killed', async () => {
    const simulator = new Simulator(['--url', broker.url, '--devices', '3']);
    await broker.until(() => broker.telemetry.length >= 3);
    simulator.kill('SIGKILL');
    await broker.until(() => broker.arrivals.filter((arrival) => arrival.payload === 'offline').length === 3);
    expect(broker.said('climate-01', 'status')).toEqual(['online', 'offline']);
    await simulator.ended();
  });

  it('ends with a tally and exit code 0 on SIGTERM', async () => {
    const simulator = new Simulator(['--url', broker.url, '--rate', '10']);
    await broker.until(() => broker.telemetry.length >= 50);
    simulator.kill('SIGTERM');
    const { code, tally } = await simulator.ended();
    expect(code).toBe(0);
    expect(tally).toMatchObject({ sent: broker.telemetry.length, acked: tally.sent });
  });

  it('shares connections without losing or repeating a message', async () => {
    const { code, tally } = await new Simulator([
      '--url',
      broker.url,
      '--duration',
      '1s',
      '--rate',
      '20',
      '--devices',
      '40',
      '--connections',
      '3',
    ]).ended();
    expect(code).toBe(0);
    expect(broker.logins.map((login) => login.client).toSorted()).toEqual([
      'simulator-1',
      'simulator-2',
      'simulator-3',
    ]);
    expect(new Set(broker.telemetry.map((arrival) => arrival.topic)).size).toBe(40);
    expect([broker.telemetry.length, distinct(broker.telemetry)]).toEqual([tally.sent, tally.sent]);
  });

  it('sends late and repeated messages as it counts them, with their true times', async () => {
    const { code, tally } = await new Simulator([
      '--url',
      broker.url,
      '--duration',
      '3s',
      '--rate',
      '20',
      '--late',
      '20',
      '--duplicate',
      '20',
    ]).ended();
    const arrived = broker.telemetry;
    expect(code).toBe(0);
    expect(tally.late).toBeGreaterThan(20);
    expect(tally.duplicates).toBeGreaterThan(20);
    expect([arrived.length, distinct(arrived)]).toEqual([tally.sent, tally.sent - tally.duplicates]);
    const newest = new Map<string, number>();
    let overtaken = 0;
    for (const arrival of arrived) {
      const time = entries(arrival)[0]?.time ?? 0;
      if (time < (newest.get(arrival.topic) ?? 0)) overtaken++;
      newest.set(arrival.topic, Math.max(time, newest.get(arrival.topic) ?? 0));
    }
    expect(overtaken).toBeGreaterThan(tally.late / 2);
  });

  it('keeps its bound when nothing is acknowledged, says so and exits with 1', async () => {
    broker.hold();
    const { code, tally } = await new Simulator([
      '--url',
      broker.url,
      '--duration',
      '1s',
      '--rate',
      '20',
      '--devices',
      '4',
      '--in-flight',
      '3',
    ]).ended();
    expect(code).toBe(1);
    expect(broker.telemetry).toHaveLength(12);
    expect(tally).toMatchObject({ sent: 12, acked: 0, inFlight: 12, blocked: 4 });
    expect(tally.skipped).toBeGreaterThan(20);
  });

  it.each([1, 2])(
    'at QoS %i sends again what was not acknowledged when its connections broke, marked as repeated',
    async (qos) => {
      broker.hold();
      const simulator = new Simulator(['--url', broker.url, '--rate', '20', '--devices', '5', '--qos', String(qos)]);
      await broker.until(() => broker.telemetry.length >= 40);
      broker.dropConnections();
      const before = broker.telemetry.length;
      await broker.until(() => broker.telemetry.length >= before + 100);
      simulator.kill('SIGINT');
      const { code, tally } = await simulator.ended();
      expect(code).toBe(0);
      expect(tally).toMatchObject({ acked: tally.sent, inFlight: 0, connects: 10 });
      expect(distinct(broker.telemetry)).toBe(tally.sent);
      const seen = new Set<string>();
      let repeated = 0;
      for (const arrival of broker.telemetry) {
        const key = entries(arrival)[0]?.key ?? '';
        if (seen.has(key)) {
          repeated++;
          expect(arrival.dup, key).toBe(true);
        }
        seen.add(key);
      }
      expect(repeated).toBeGreaterThanOrEqual(40);
    },
  );
});

describe('without a gateway', () => {
  it('a fleet names the address and the remedy once, and goes on when the gateway comes', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = free.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise<void>((resolve) => free.close(() => resolve()));

    const simulator = new Simulator(['--url', `mqtt://127.0.0.1:${port}`, '--rate', '20', '--devices', '4']);
    await simulator.saysOnStderr(`No gateway answers at mqtt://127.0.0.1:${port}`);
    const late = await SimulatorBroker.start({ port });
    try {
      await late.until(() => new Set(late.telemetry.map((arrival) => arrival.client)).size === 4);
      simulator.kill('SIGTERM');
      const { code, stderr, tally } = await simulator.ended();
      expect(code).toBe(0);
      expect(stderr.match(/No gateway answers/g)).toHaveLength(1);
      expect(stderr).toContain(`Connected to mqtt://127.0.0.1:${port}.`);
      expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
      expect(distinct(late.telemetry)).toBe(tally.sent);
    } finally {
      await late.stop();
    }
  });

  it('a run that never connected exits with 1', async () => {
    const { code, tally } = await new Simulator(['--url', 'mqtt://127.0.0.1:9', '--duration', '300ms']).ended();
    expect([code, tally.sent, tally.connects]).toEqual([1, 0, 0]);
  });

  it('a refused token is explained with the option that changes it', async () => {
    const guarded = await SimulatorBroker.start({ token: 'right' });
    try {
      const { code, stderr } = await new Simulator([
        '--url',
        guarded.url,
        '--duration',
        '500ms',
        '--devices',
        '2',
        '--token',
        'wrong',
      ]).ended();
      expect(code).toBe(1);
      expect(stderr).toMatch(/refused the credentials of \S+-01: give its token with --password/);
    } finally {
      await guarded.stop();
    }
  });
});

describe('a replay', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'simulator-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function recording(lines: readonly string[], name = 'office.csv'): string {
    const file = join(folder, name);
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  }

  const start = Date.UTC(2013, 6, 4);

  it.each([
    [1, 1, 1_000],
    [2, 1, 1_000],
    [1, 7, 143],
    [0, 7, 143],
  ])(
    'at QoS %i with %i readings a message sends every reading once, in %i messages, with its recorded time',
    async (qos, batch, messages) => {
      const file = recording([
        'timestamp,value',
        ...Array.from(
          { length: 1_000 },
          (_, at) => `${new Date(start + at * 60_000).toISOString().slice(0, 19).replace('T', ' ')},${at / 8}`,
        ),
      ]);
      const { code, tally, stderr } = await new Simulator([
        'replay',
        file,
        '--url',
        broker.url,
        '--qos',
        String(qos),
        '--batch',
        String(batch),
        '--metric',
        'temperature',
      ]).ended();
      expect(code).toBe(0);
      expect(stderr).toContain('read as UTC');
      expect(tally).toMatchObject({ sent: messages, readings: 1_000, errors: 0, inFlight: 0 });
      expect(tally.recording).toEqual({ rows: 1_000, readings: 1_000, distinct: 1_000, complete: true });
      expect(broker.telemetry.map((arrival) => arrival.topic)).toEqual(
        Array.from({ length: messages }, () => 'devices/office/telemetry'),
      );
      expect(broker.telemetry.flatMap(entries).map(({ time, values }) => [time, values])).toEqual(
        Array.from({ length: 1_000 }, (_, at) => [start + at * 60_000, { temperature: at / 8 }]),
      );
    },
  );

  it('of several devices at a pace goes in order of time, and each device has its own connection', async () => {
    const file = recording([
      'device,metric,time,value',
      ...['a', 'b', 'c'].flatMap((device) =>
        Array.from({ length: 50 }, (_, at) => `${device},x,${start + at * 1_000},${at}`),
      ),
    ]);
    const { code } = await new Simulator([
      'replay',
      file,
      '--url',
      broker.url,
      '--speed',
      '100',
      '--in-flight',
      '1',
    ]).ended();
    expect(code).toBe(0);
    expect(broker.logins.map((login) => login.client).toSorted()).toEqual(['a', 'b', 'c']);
    expect(broker.telemetry).toHaveLength(150);
    for (const device of ['a', 'b', 'c']) {
      const times = broker.telemetry.filter((a) => a.client === device).map((a) => entries(a)[0]?.time);
      expect(times).toEqual(Array.from({ length: 50 }, (_, at) => start + at * 1_000));
    }
    // At a pace the devices take turns; unpaced, the last would begin after the first has ended.
    const firstOfLast = broker.telemetry.findIndex((arrival) => arrival.client === 'c');
    expect(firstOfLast).toBeLessThan(50);
  });

  it('goes on after its connection broke and loses nothing', async () => {
    const file = recording(
      Array.from({ length: 5_000 }, (_, at) => String(at)),
      'samples.csv',
    );
    const args = [
      'replay',
      file,
      '--url',
      broker.url,
      '--rate',
      '250',
      '--start',
      '2020-01-01',
      '--device',
      'holter-1',
    ];
    const simulator = new Simulator([...args, '--metric', 'ecg']);
    await broker.until(() => broker.telemetry.length >= 500);
    broker.hold();
    await broker.until(() => broker.telemetry.length >= 550);
    broker.dropConnections();
    const { code, tally } = await simulator.ended();
    expect(code).toBe(0);
    expect(tally).toMatchObject({ sent: 5_000, acked: 5_000, connects: 2 });
    expect(distinct(broker.telemetry)).toBe(5_000);
    expect(broker.telemetry.flatMap(entries)[0]).toMatchObject({ time: Date.UTC(2020, 0), values: { ecg: 0 } });
  });

  it('of a file with a bad line sends nothing, names the line and exits with 2', async () => {
    const file = recording(['time,x', '2020-01-01T00:00:00Z,1', '2020-01-01T00:00:01Z,oops']);
    const { code, stdout, stderr } = await new Simulator(['replay', file, '--url', broker.url]).ended();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Line 3 ("2020-01-01T00:00:01Z,oops"): "oops" is not a number');
    expect(broker.logins).toEqual([]);
  });

  it('that is interrupted says that it is not complete', async () => {
    const file = recording(['time,x', '2020-01-01,1', '2021-01-01,2']);
    const simulator = new Simulator(['replay', file, '--url', broker.url, '--speed', '1']);
    await broker.until(() => broker.telemetry.length === 1);
    simulator.kill('SIGINT');
    const { code, tally } = await simulator.ended();
    expect(code).toBe(0);
    expect(tally).toMatchObject({ sent: 1, recording: { rows: 2, complete: false } });
  });
});

describe('arguments', () => {
  it.each([
    [['--qos', '3'], 'QoS is 0, 1 or 2'],
    [['--url', 'http://127.0.0.1'], 'mqtt://127.0.0.1:1883'],
    [['--rate', '2', '--interval', '1s'], 'cannot be used with'],
    [['replay'], "missing required argument 'file'"],
    [['replay', '/nowhere/at/all.csv'], 'cannot be read'],
    [['rerun'], 'too many arguments'],
  ])('%j are refused with code 2 and a sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await new Simulator(args).ended();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(sentence);
  });

  it('--help explains both commands', async () => {
    const fleet = await new Simulator(['--help']).ended();
    const replay = await new Simulator(['replay', '--help']).ended();
    expect([fleet.code, replay.code]).toEqual([0, 0]);
    expect(fleet.stdout).toMatch(/--devices[\s\S]*--drama[\s\S]*Exit codes[\s\S]*Examples/);
    expect(replay.stdout).toMatch(/--shift-to-now[\s\S]*device,metric,time,value[\s\S]*Examples/);
  });
});
