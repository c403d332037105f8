import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { expect } from 'vitest';
import type { z } from 'zod';
import type { Log } from '../../src/base/log.ts';
import { DeviceCreated, DeviceLatest } from '../../src/contract/device.ts';
import { KeyCreated } from '../../src/contract/key.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import type { Gateway, GatewayParts } from '../../src/gateway.ts';
import { startGatewayHere } from './gateway-here.ts';
import { type Answer, ask } from './http-client.ts';
import { expectBalanced, type Metrics, readMetrics } from './ledger-check.ts';
import { patientClock } from './patient-clock.ts';
import { tempFolder } from './temp-folder.ts';

/** The key of the person who runs the gateway. */
export const adminKey = 'correct-horse-battery-staple';

/** A gateway as it is run in earnest: there is a key, so nobody comes in without a credential. */
export class KeyedGateway {
  readonly dir: string;
  readonly gateway: Gateway;
  readonly httpPort: number;
  readonly mqttPort: number;
  /** Every line it logged. */
  readonly logged: string[];
  readonly #clients: MqttClient[] = [];
  readonly #folder: ReturnType<typeof tempFolder> | undefined;
  #isStopped = false;

  private constructor(
    { gateway, httpPort, mqttPort }: Awaited<ReturnType<typeof startGatewayHere>>,
    dir: string,
    logged: string[],
    folder: ReturnType<typeof tempFolder> | undefined,
  ) {
    this.gateway = gateway;
    this.httpPort = httpPort;
    this.mqttPort = mqttPort;
    this.dir = dir;
    this.logged = logged;
    this.#folder = folder;
  }

  /** With `data.dir` among the flags the folder stays when it stops. Nobody is barred for wrong credentials unless asked for. */
  static async start(flags: Readonly<Record<string, unknown>> = {}, parts: GatewayParts = {}): Promise<KeyedGateway> {
    const given = flags['data.dir'];
    const folder = typeof given === 'string' ? undefined : tempFolder();
    const dir = typeof given === 'string' ? given : (folder?.path ?? '');
    const logged: string[] = [];
    const settings = { 'access.adminKey': adminKey, 'access.failuresPerMinute': 0, ...flags };
    const here = await startGatewayHere(dir, settings, { log: collecting(logged), clock: patientClock, ...parts });
    return new KeyedGateway(here, dir, logged, folder);
  }

  get mqttUrl(): string {
    return this.gateway.mqttUrl;
  }

  /** One request of the operator's. */
  ask(method: string, path: string, body?: unknown): Promise<Answer> {
    return ask(this.httpPort, path, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** The body of an answer that must have this status. */
  async read<T extends z.ZodType>(
    schema: T,
    status: number,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<z.output<T>> {
    const answer = await this.ask(method, `/api/v1${path}`, body);
    expect(answer.status, answer.text.slice(0, 500)).toBe(status);
    return schema.parse(answer.json());
  }

  /** Registers a device; its token. */
  async createDevice(id: string, facts: object = {}): Promise<string> {
    const { token } = await this.read(DeviceCreated, 201, 'POST', '/devices', { id, ...facts });
    if (token === null) throw new Error(`${id} got no token`);
    return token;
  }

  /** An operator's key that may do this on MQTT. */
  async createMqttKey(mqtt: { readonly publish: string[]; readonly subscribe: string[] }): Promise<string> {
    const { key } = await this.read(KeyCreated, 201, 'POST', '/keys', { name: 'mqtt', scopes: ['mqtt'], mqtt });
    return key;
  }

  /** A device of this id, with its token. */
  connectDevice(device: string, token: string, options: IClientOptions = {}): Promise<MqttClient> {
    return this.connect({ clientId: device, username: device, password: token, ...options });
  }

  async connect(options: IClientOptions): Promise<MqttClient> {
    const client = await connectAsync(this.mqttUrl, { reconnectPeriod: 0, ...options });
    this.#clients.push(client);
    return client;
  }

  /** Current values by metric. */
  async latest(device: string): Promise<Readonly<Record<string, unknown>>> {
    const { values } = await this.read(DeviceLatest, 200, 'GET', `/devices/${device}/latest`);
    return Object.fromEntries(Object.entries(values).map(([metric, { value }]) => [metric, value]));
  }

  /** Reasons of what lies in quarantine, the newest first. */
  async quarantined(): Promise<readonly string[]> {
    return (await this.read(QuarantineList, 200, 'GET', '/quarantine')).items.map(({ reason }) => reason);
  }

  metrics(): Promise<Metrics> {
    return readMetrics(this.httpPort, { authorization: `Bearer ${adminKey}` });
  }

  /** Stops it, and holds both equations of the ledger against `/metrics`. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const client of this.#clients) await client.endAsync(true);
    const metrics = await this.metrics();
    await this.gateway.stop();
    this.#folder?.remove();
    expect(this.gateway.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
    expectBalanced(metrics);
  }
}

/** Resolves once the connection ends, though its client says and does nothing. */
export function isCutOff(client: MqttClient): Promise<void> {
  return new Promise((resolve) => void client.once('close', () => resolve()));
}

/** What a client got, in order; `came` resolves once there are so many. */
export class Inbox {
  readonly messages: {
    readonly topic: string;
    readonly text: string;
    readonly qos: number;
    readonly retain: boolean;
  }[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(client: MqttClient) {
    client.on('message', (topic, payload, { qos, retain }) => {
      this.messages.push({ topic, text: payload.toString(), qos, retain });
      for (const { count, resolve } of this.#waiting) if (this.messages.length >= count) resolve();
    });
  }

  async came(count: number): Promise<void> {
    if (this.messages.length >= count) return;
    await new Promise<void>((resolve) => void this.#waiting.push({ count, resolve }));
  }

  get topics(): string[] {
    return this.messages.map(({ topic }) => topic);
  }

  get texts(): string[] {
    return this.messages.map(({ text }) => text);
  }
}

/** Every file below the folder whose bytes hold the text. */
export function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

function collecting(lines: string[]): Log {
  const line = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { info: line, warn: line, error: line, debug: line };
}
