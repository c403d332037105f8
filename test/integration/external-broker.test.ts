// A real Mosquitto between the publishers and us; faked is only what stands behind the sink.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Message, Receipt } from '../../src/domain/message.ts';
import { ExternalBroker, type ExternalBrokerOptions } from '../../src/ingest/external/external-broker.ts';
import { RedeliveryBook } from '../../src/ingest/redelivery.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { packetType, WireClient } from '../support/mqtt-wire.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Stands for the gateway: settles at once, or keeps the receipts while it holds. */
class Store {
  readonly messages: Message[] = [];
  readonly retained: Message[] = [];
  readonly held: Receipt[] = [];
  holding = false;
  redeliveries = 0;
  #changed = Promise.withResolvers<void>();

  receive(message: Message, receipt: Receipt): void {
    this.messages.push({ ...message, payload: Uint8Array.from(message.payload) });
    if (this.holding) this.held.push(receipt);
    else receipt();
    this.change();
  }

  redelivered(): void {
    this.redeliveries++;
    this.change();
  }

  change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async until(reached: (store: Store) => boolean): Promise<void> {
    while (!reached(this)) await this.#changed.promise;
  }

  get texts(): string[] {
    return this.messages.map(({ payload }) => Buffer.from(payload).toString());
  }
}

async function mosquitto(options: Parameters<typeof Mosquitto.start>[0] = {}): Promise<Mosquitto> {
  const broker = await Mosquitto.start(options);
  cleanups.push(() => broker.remove());
  return broker;
}

interface Rig {
  readonly external: ExternalBroker;
  readonly store: Store;
  readonly warnings: string[];
}

function rig(
  url: string,
  options: Partial<ExternalBrokerOptions> & {
    readonly store?: Store;
    readonly redelivery?: RedeliveryBook;
    readonly clock?: Clock;
  } = {},
): Rig {
  const { store = new Store(), redelivery = new RedeliveryBook(), clock = systemClock, ...rest } = options;
  const warnings: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (fields) => {
      warnings.push(JSON.stringify(fields));
      store.change();
    },
    info: () => store.change(),
  };
  const external = new ExternalBroker(
    {
      endpoint: { url, ca: null, cert: null, key: null },
      protocol: 4,
      clientId: 'gateway',
      username: '',
      password: '',
      topics: ['devices/#'],
      connections: 3,
      group: 'pulsegate',
      inFlightMax: 1_000,
      packetBytesMax: 262_144,
      ...rest,
    },
    {
      sink: store,
      redelivery,
      retained: (message) => {
        store.retained.push(message);
        store.change();
      },
      clock,
      random: seededRandom(1),
      log,
    },
  );
  external.start();
  cleanups.push(() => external.stop());
  return { external, store, warnings };
}

async function served({ external, store }: Rig, connections = 3): Promise<void> {
  await store.until(() => external.counts().connections === connections);
}

async function publisher(url: string): Promise<MqttClient> {
  const client = await connectAsync(url, { clientId: 'publisher', reconnectPeriod: 50, clean: false });
  client.on('error', () => {});
  cleanups.push(() => client.endAsync(true));
  return client;
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

/**
 * Mosquitto takes 20 QoS 2 messages of a client at a time (`max_inflight_messages`). The next one it drops with the
 * reason 0x97 in a PUBREC, which MQTT 3.1.1 does not carry: the client believes it sent, and it is lost before it is ours.
 */
const qos2InFlight = 10;

async function publishAll(client: MqttClient, texts: readonly string[], qos: 0 | 1 | 2): Promise<void> {
  const atOnce = qos === 2 ? qos2InFlight : texts.length;
  for (let start = 0; start < texts.length; start += atOnce) {
    const part = texts.slice(start, start + atOnce);
    await Promise.all(
      part.map((text, index) => client.publishAsync(`devices/d${(start + index) % 7}/telemetry`, text, { qos })),
    );
  }
}

function sorted(texts: Iterable<string>): string[] {
  return [...texts].sort((a, b) => Number(a) - Number(b));
}

describe.each([
  [4, 1],
  [4, 2],
  [5, 1],
  [5, 2],
] as const)('MQTT %i at QoS %i', (protocol, qos) => {
  it('brings every message once, over several connections, and in the order of each', async () => {
    const broker = await mosquitto();
    const side = rig(broker.url, { protocol });
    await served(side);
    const sent = numbers(1_000);
    await publishAll(await publisher(broker.url), sent, qos);
    await side.store.until(({ messages }) => messages.length >= sent.length);
    expect(sorted(side.store.texts)).toEqual(sent);
    const byClient = Map.groupBy(side.store.messages, ({ client }) => client);
    expect(byClient.size).toBe(3);
    for (const messages of byClient.values()) {
      const own = messages.map(({ payload }) => Number(Buffer.from(payload).toString()));
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
    expect(new Set(side.store.messages.map((message) => message.qos))).toEqual(new Set([qos]));
  });

  it('acknowledges nothing before its receipt: what was not settled comes again on the next start', async () => {
    const broker = await mosquitto();
    let ahead = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
    const first = rig(broker.url, { protocol, clock });
    await served(first);
    first.store.holding = true;
    const client = await publisher(broker.url);
    const sent = numbers(30);
    await publishAll(client, sent, qos);
    await first.store.until(({ messages }) => messages.length === sent.length);
    // The first ten are on disk, the others are not when the gateway goes.
    const kept = first.store.texts.slice(0, 10);
    for (const receipt of first.store.held.slice(0, 10)) receipt();
    const stopped = first.external.stop();
    // The moment that it gives the others passes.
    ahead = 60_000;
    await stopped;
    const second = rig(broker.url, { protocol });
    await second.store.until(({ messages }) => messages.length >= 20);
    await served(second);
    expect(sorted(new Set([...kept, ...second.store.texts]))).toEqual(sent);
    expect(sorted(second.store.texts)).toEqual(sent.filter((text) => !kept.includes(text)));
  });

  it('keeps at the broker what comes while the gateway is away', async () => {
    const broker = await mosquitto();
    const first = rig(broker.url, { protocol });
    await served(first);
    await first.external.stop();
    const sent = numbers(200);
    await publishAll(await publisher(broker.url), sent, qos);
    const second = rig(broker.url, { protocol });
    await second.store.until(({ messages }) => messages.length >= sent.length);
    expect(sorted(second.store.texts)).toEqual(sent);
  });
});

it('a commit that fails drops the connection, and the broker delivers the message again', async () => {
  const broker = await mosquitto();
  const side = rig(broker.url, { connections: 1 });
  await served(side, 1);
  side.store.holding = true;
  await publishAll(await publisher(broker.url), ['0', '1'], 1);
  await side.store.until(({ messages }) => messages.length === 2);
  side.store.holding = false;
  for (const receipt of side.store.held) receipt(new Error('the disk is full'));
  await side.store.until(({ messages }) => messages.length === 4);
  expect(side.store.texts).toEqual(['0', '1', '0', '1']);
  expect(side.external.counts().lost).toBe(1);
});

it('a message that was stored when its acknowledgement was lost is recognised', async () => {
  const broker = await mosquitto();
  const side = rig(broker.url, { connections: 1 });
  await served(side, 1);
  side.store.holding = true;
  await publishAll(await publisher(broker.url), ['0', '1'], 1);
  await side.store.until(({ messages }) => messages.length === 2);
  const [first, second] = side.store.held;
  // In the order of arrival: the second is on disk, but its acknowledgement has to wait for the first, which fails.
  second();
  side.store.holding = false;
  first(new Error('the disk is full'));
  await side.store.until(({ redeliveries }) => redeliveries === 1);
  expect(side.store.texts).toEqual(['0', '1', '0']);
});

it('reads no further while the window is full, and everything once it has room', async () => {
  const broker = await mosquitto({
    lines: ['listener {port} 127.0.0.1', 'allow_anonymous true', 'max_inflight_messages 0'],
  });
  const side = rig(broker.url, { inFlightMax: 50 });
  await served(side);
  side.store.holding = true;
  const sent = numbers(3_000);
  await publishAll(await publisher(broker.url), sent, 1);
  await side.store.until(({ messages }) => messages.length >= 150);
  side.external.windowChanged(false);
  // One chunk of a socket may have been on its way when the bound was reached.
  expect(side.store.messages.length).toBeLessThan(sent.length);
  side.store.holding = false;
  for (const receipt of side.store.held.splice(0)) receipt();
  await systemClock.sleep(50);
  const held = side.store.messages.length;
  await systemClock.sleep(50);
  expect(side.store.messages.length).toBe(held);
  side.external.windowChanged(true);
  await side.store.until(({ messages }) => messages.length >= sent.length);
  expect(sorted(side.store.texts)).toEqual(sent);
});

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'a broker that restarts by %s is found again, and loses nothing that it kept',
  async (signal) => {
    const broker = await mosquitto({ persistent: true });
    const side = rig(broker.url, { connections: 2 });
    await served(side, 2);
    const client = await publisher(broker.url);
    await publishAll(client, numbers(100), 1);
    await side.store.until(({ messages }) => messages.length >= 100);
    await broker.end(signal);
    await side.store.until(() => side.external.counts().connections === 0);
    expect(side.external.fault).toMatch(/does not serve us/);
    await broker.resume();
    await served(side, 2);
    expect(side.external.fault).toBeNull();
    await publishAll(client, numbers(200).slice(100), 1);
    await side.store.until(({ texts }) => new Set(texts).size >= 200);
    expect(sorted(new Set(side.store.texts))).toEqual(numbers(200));
  },
);

it('says that it leaves, hears the answers, and what comes meanwhile stays at the broker', async () => {
  const broker = await mosquitto();
  const word = { topic: 'plant/gateway', qos: 1, retain: true, device: null } as const;
  const state = {
    online: { ...word, payload: Buffer.from('online') },
    offline: { ...word, payload: Buffer.from('offline') },
  };
  const client = await publisher(broker.url);
  const words: string[] = [];
  const heard = new Store();
  client.on('message', (_topic, payload) => {
    words.push(payload.toString());
    heard.change();
  });
  await client.subscribeAsync(word.topic, { qos: 1 });
  // On this clock its patience never ends, so that only answers let it go on.
  const first = rig(broker.url, {
    connections: 1,
    state,
    clock: { ...systemClock, after: () => ({ cancel: () => {} }) },
  });
  await served(first, 1);
  await heard.until(() => words.length === 1);
  first.store.holding = true;
  await publishAll(client, ['0'], 1);
  await first.store.until(({ messages }) => messages.length === 1);
  const stopped = first.external.stop();
  await publishAll(client, ['1', '2'], 1);
  first.store.held[0]();
  await stopped;
  await first.external.stop();
  await heard.until(() => words.length === 2);
  expect([words, first.store.texts]).toEqual([['online', 'offline'], ['0']]);
  const second = rig(broker.url, { connections: 1 });
  await second.store.until(({ messages }) => messages.length === 2);
  expect(second.store.texts).toEqual(['1', '2']);
});

it('what the broker had retained is told apart from news', async () => {
  const broker = await mosquitto();
  const client = await publisher(broker.url);
  await client.publishAsync('devices/d1/status', 'online', { qos: 1, retain: true });
  const side = rig(broker.url);
  await served(side);
  await side.store.until(({ retained }) => retained.length > 0);
  // Mosquitto 2.0 sends it to every connection of a shared subscription as well, which others do not (MQTT 5 section 4.8.2).
  expect(new Set(side.store.retained.map(({ topic }) => topic))).toEqual(new Set(['devices/d1/status']));
  await client.publishAsync('devices/d1/status', 'offline', { qos: 1, retain: true });
  await side.store.until(({ messages }) => messages.length > 0);
  expect(side.store.texts).toEqual(['offline']);
});

it('without a group one connection subscribes plainly', async () => {
  const broker = await mosquitto();
  const side = rig(broker.url, { group: '', connections: 4 });
  await served(side, 1);
  await publishAll(await publisher(broker.url), numbers(50), 1);
  await side.store.until(({ messages }) => messages.length >= 50);
  expect([side.store.texts, side.store.messages[0].client]).toEqual([numbers(50), 'gateway-1']);
});

it('what is sent to devices is taken by the broker, or refused while it is away', async () => {
  const broker = await mosquitto();
  const side = rig(broker.url);
  await served(side);
  const client = await publisher(broker.url);
  await client.subscribeAsync('devices/d1/commands/+', { qos: 1 });
  const got = new Promise<string>((resolve) =>
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`)),
  );
  const message = {
    topic: 'devices/d1/commands/c1',
    payload: Buffer.from('{}'),
    qos: 1,
    retain: false,
    device: 'd1',
  } as const;
  expect(await side.external.publish(message)).toBe(true);
  expect(await got).toBe('devices/d1/commands/c1 {}');
  await broker.end();
  await side.store.until(() => side.external.counts().connections === 0);
  expect(await side.external.publish(message)).toBe(false);
  expect(side.external.counts().unsent).toBe(1);
});

describe('over TLS with certificates on both sides', () => {
  let authority: Authority;
  let server: Certificate;
  let gateway: Certificate;

  beforeAll(async () => {
    authority = await Authority.create();
    server = await authority.server();
    gateway = await authority.client({ commonName: 'gateway' });
  });

  afterAll(() => authority.remove());

  function secured(): Promise<Mosquitto> {
    return mosquitto({
      lines: [
        'listener {port} 127.0.0.1',
        `cafile ${authority.caPath}`,
        `certfile ${server.certPath}`,
        `keyfile ${server.keyPath}`,
        'require_certificate true',
        'use_identity_as_username true',
      ],
    });
  }

  it('every message comes', async () => {
    const broker = await secured();
    const url = `mqtts://127.0.0.1:${broker.port}`;
    const { cert, key } = gateway;
    const ca = authority.ca;
    const side = rig(url, { endpoint: { url, ca, cert, key } });
    await served(side);
    const client = await connectAsync(url, { ca, cert, key, clientId: 'publisher' });
    cleanups.push(() => client.endAsync(true));
    await publishAll(client, numbers(100), 1);
    await side.store.until(({ messages }) => messages.length >= 100);
    expect(sorted(side.store.texts)).toEqual(numbers(100));
  });

  it('a certificate of an unknown authority is explained', async () => {
    const broker = await secured();
    const url = `mqtts://127.0.0.1:${broker.port}`;
    const side = rig(url, { endpoint: { url, ca: null, cert: gateway.cert, key: gateway.key } });
    await side.store.until(() => side.warnings.length > 0);
    expect(side.external.fault).toMatch(/of no known authority .*mqtt.external.ca/);
  });
});

describe('a broker that does not serve us is explained', () => {
  it('when it cannot be reached', async () => {
    const broker = await mosquitto();
    await broker.end();
    const side = rig(broker.url);
    await side.store.until(() => side.warnings.length > 0);
    expect(side.external.fault).toMatch(/cannot be reached \(ECONNREFUSED\); see mqtt.external.url/);
  });

  it('when it refuses the subscription, with what may be the reason', async () => {
    // It lets everybody in, and answers every SUBSCRIBE of two filters with "failure".
    const server = createServer((socket) => {
      const packets = new WireClient(socket);
      void (async () => {
        await packets.next();
        packets.send(Buffer.from([packetType.connack << 4, 2, 0, 0]));
        const subscribe = await packets.next();
        packets.send(Buffer.from([packetType.suback << 4, 3, ...subscribe.body.subarray(0, 2), 0x80]));
      })().catch(() => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const side = rig(`mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 1 });
    await side.store.until(() => side.warnings.length > 0);
    expect(side.external.fault).toMatch(
      /refuses the subscription to \$share\/pulsegate\/devices\/#: .*mqtt.external.group/,
    );
  });

  it('when it wants another password', async () => {
    const broker = await mosquitto({ lines: ['listener {port} 127.0.0.1', 'allow_anonymous false'] });
    const side = rig(broker.url, { username: 'gateway', password: 'wrong' });
    await side.store.until(() => side.warnings.length > 0);
    expect(side.external.fault).toMatch(/see mqtt.external.username and .password/);
    expect(side.warnings.join()).not.toContain('wrong');
  });
});
