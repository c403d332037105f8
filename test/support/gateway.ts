import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect } from 'vitest';
import type { z } from 'zod';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { DeviceLatest } from '../../src/contract/device.ts';
import { Ingested, Readings } from '../../src/contract/reading.ts';
import type { Gateway, GatewayParts } from '../../src/gateway.ts';
import { startGatewayHere } from './gateway-here.ts';
import { type Answer, type Ask, ask, send } from './http-client.ts';
import { tempFolder } from './temp-folder.ts';

/** A whole gateway in the test's process, with the two ways in. */
export interface RunningGateway {
  readonly gateway: Gateway;
  readonly http: RestClient;
  readonly mqtt: {
    readonly url: string;
    /** A client of its own; it is closed with the gateway. */
    connect(clientId: string): Promise<MqttClient>;
  };
  /** Stops it and checks both equations of the ledger: every message and every reading is accounted for. */
  stop(): Promise<void>;
}

/**
 * `flags` are options by dotted path. Without `data.dir` the gateway has a new folder, which goes when it stops; a
 * folder that was given stays, so that another gateway can be started on it.
 */
export async function startGateway(
  flags: Readonly<Record<string, unknown>> = {},
  parts: GatewayParts = {},
): Promise<RunningGateway> {
  const given = flags['data.dir'];
  const folder = typeof given === 'string' ? undefined : tempFolder();
  const dir = typeof given === 'string' ? given : (folder?.path ?? '');
  const { gateway, httpPort } = await startGatewayHere(dir, flags, parts);
  const clients: MqttClient[] = [];
  return {
    gateway,
    http: new RestClient(() => httpPort),
    mqtt: {
      url: gateway.mqttUrl,
      async connect(clientId) {
        const client = await connectAsync(gateway.mqttUrl, { clientId, reconnectPeriod: 0 });
        clients.push(client);
        return client;
      },
    },
    async stop() {
      for (const client of clients) await client.endAsync(true);
      await gateway.stop();
      folder?.remove();
      expect(gateway.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
    },
  };
}

/** REST as a caller sees it; what comes back is read with the schema that the documentation shows. */
export class RestClient {
  readonly #port: () => number;

  constructor(port: () => number) {
    this.#port = port;
  }

  get port(): number {
    return this.#port();
  }

  ask(path: string, options: Ask = {}): Promise<Answer> {
    return ask(this.port, path, options);
  }

  send(method: string, path: string, body: unknown): Promise<Answer> {
    return send(this.port, method, path, body);
  }

  /** The body of a GET that succeeds. */
  async get<T extends z.ZodType>(schema: T, path: string): Promise<z.output<T>> {
    return bodyOf(schema, await this.ask(path), 200);
  }

  /** The body of a POST that succeeds with `status`. */
  async post<T extends z.ZodType>(schema: T, path: string, body: unknown, status = 200): Promise<z.output<T>> {
    return bodyOf(schema, await this.send('POST', path, body), status);
  }

  /** Every page of a GET, in order; `path` already has a query. */
  async *pages<T extends z.ZodType<{ next: string | null }>>(schema: T, path: string): AsyncGenerator<z.output<T>> {
    let token: string | null = null;
    do {
      const page: z.output<T> = await this.get(schema, token === null ? path : `${path}&page=${token}`);
      yield page;
      token = page.next;
    } while (token !== null);
  }
}

function bodyOf<T extends z.ZodType>(schema: T, answer: Answer, status: number): z.output<T> {
  expect(answer.status, answer.text.slice(0, 500)).toBe(status);
  return schema.parse(answer.json());
}

/** Wall time that stands where the test puts it; timers run as always. */
export class SetClock implements Clock {
  wall: number;

  constructor(wall = Date.UTC(2026, 8, 21, 12)) {
    this.wall = wall;
  }

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  after(delayMs: number, action: () => void): ReturnType<Clock['after']> {
    return systemClock.after(delayMs, action);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(delayMs, signal);
  }
}

/** A reading as `POST /readings` takes it, or should refuse it. */
export interface Sent {
  readonly device: string;
  readonly metric: string;
  readonly time?: number | string;
  readonly value: unknown;
}

/** A gateway for each test of a file, on a wall clock that stands at `noon` until the test moves it. */
export class GatewayPerTest {
  readonly clock = new SetClock();
  readonly noon = this.clock.wall;
  /** Of the gateway that runs now. */
  readonly http = new RestClient(() => this.running.http.port);
  #running: RunningGateway | undefined;

  constructor() {
    beforeEach(async () => {
      this.clock.wall = this.noon;
      this.#running = await startGateway({}, { clock: this.clock });
    });
    afterEach(() => this.running.stop());
  }

  get running(): RunningGateway {
    if (!this.#running) throw new Error('there is no gateway outside of a test');
    return this.#running;
  }

  /** Another gateway instead of the one that runs. */
  async restart(flags: Readonly<Record<string, unknown>>): Promise<void> {
    await this.running.stop();
    this.#running = await startGateway(flags, { clock: this.clock });
  }

  /** As answers write it, `offsetMs` from noon. */
  at(offsetMs: number): string {
    return new Date(this.noon + offsetMs).toISOString();
  }

  post(readings: readonly Sent[]): Promise<Ingested> {
    return this.http.post(Ingested, '/api/v1/readings', readings);
  }

  /** Every raw reading of a series, as [ms from noon, value]. */
  async raw(device: string, metric: string): Promise<[number, unknown][]> {
    const path = `/api/v1/devices/${device}/readings?metric=${metric}&from=0&to=2100-01-01&limit=1000`;
    const rows: [number, unknown][] = [];
    for await (const page of this.http.pages(Readings, path)) {
      for (const { time, value } of page.readings) rows.push([Date.parse(time) - this.noon, value]);
    }
    return rows;
  }

  /** The latest value of a series, as [ms from noon, value]. */
  async latest(device: string, metric: string): Promise<[number, unknown]> {
    const { values } = await this.http.get(DeviceLatest, `/api/v1/devices/${device}/latest`);
    const latest = values[metric];
    if (!latest) throw new Error(`${device} has no latest ${metric}`);
    return [Date.parse(latest.time) - this.noon, latest.value];
  }
}

/** At QoS 1: acknowledged by the gateway once it resolves. Text and bytes go as they are, all else as JSON. */
export async function publish(client: MqttClient, topic: string, payload: unknown): Promise<void> {
  const isBytes = typeof payload === 'string' || payload instanceof Buffer;
  await client.publishAsync(topic, isBytes ? payload : JSON.stringify(payload), { qos: 1 });
}
