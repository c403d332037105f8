// Access at a whole gateway with keys: who a certificate is, what a filter that is refused never delivers, and how
// guessing ends.
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { publish, SetClock } from '../support/gateway.ts';
import { adminKey, isCutOff, Inbox, KeyedGateway } from '../support/gateway-keyed.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { type Answer, ask } from '../support/http-client.ts';
import { sample } from '../support/ledger-check.ts';
import { freePort } from '../support/mosquitto.ts';
import {
  connectPacket,
  disconnectPacket,
  packetType,
  pubackPacket,
  publishOf,
  subscribePacket,
  WireClient,
} from '../support/mqtt-wire.ts';

let gateway: KeyedGateway;
afterEach(() => gateway.stop());

const isRefused = (attempt: Promise<MqttClient>): Promise<void> =>
  expect(attempt).rejects.toThrow(/not authorized|bad username or password/i);

describe('a certificate', () => {
  let authority: Authority;
  let stranger: Authority;
  let server: Certificate;
  beforeAll(async () => {
    [authority, stranger] = await Promise.all([Authority.create(), Authority.create('A stranger')]);
    server = await authority.server();
  });
  afterAll(() => {
    authority.remove();
    stranger.remove();
  });

  let port: number;
  async function start(flags: Readonly<Record<string, unknown>>): Promise<void> {
    port = await freePort();
    gateway = await KeyedGateway.start({
      'mqtt.tls.port': port,
      'mqtt.tls.cert': server.certPath,
      'mqtt.tls.key': server.keyPath,
      'mqtt.tls.clientCa': authority.caPath,
      ...flags,
    });
  }

  function connect(certificate: Certificate | null, options: IClientOptions = {}): Promise<MqttClient> {
    const { cert, key } = certificate ?? {};
    return connectAsync(`mqtts://127.0.0.1:${port}`, { ca: authority.ca, cert, key, reconnectPeriod: 0, ...options });
  }

  test.each([
    ['by its common name', 'cn', { commonName: 'pump-1' }],
    ['by its DNS name', 'san', { commonName: 'x', alternativeNames: ['DNS:pump-1'] }],
    ['by its URI', 'san', { commonName: 'x', alternativeNames: ['URI:urn:dev:pump-1'] }],
  ])('names its device %s, which needs no token and writes below its own id only', async (_how, identity, subject) => {
    await start({ 'mqtt.tls.identity': identity });
    await gateway.createDevice('pump-1', { token: true });
    await gateway.createDevice('pump-2');
    const client = await connect(await authority.client(subject), { clientId: 'pump-1' });
    await publish(client, 'devices/pump-1/telemetry', { flow: 7 });
    expect(await gateway.latest('pump-1')).toEqual({ flow: 7 });
    await publish(client, 'devices/pump-2/telemetry', { flow: 8 });
    expect(await gateway.latest('pump-2')).toEqual({});
    const gone = isCutOff(client);
    await gateway.ask('POST', '/api/v1/devices/pump-1/block', {});
    await gone;
  });

  test('of another authority, of a device that nobody registered, or with another user name is refused', async () => {
    await start({});
    const token = await gateway.createDevice('pump-1');
    const good = await authority.client({ commonName: 'pump-1' });
    await expect(connect(await stranger.client({ commonName: 'pump-1' }))).rejects.toThrow();
    await isRefused(connect(await authority.client({ commonName: 'pump-9' })));
    await isRefused(connect(good, { username: 'pump-2', password: 'x' }));
    await (await connect(good, { username: 'pump-1', password: 'whatever' })).endAsync(true);
    // Without one, the token is as good as on the other listener.
    await (await connect(null, { username: 'pump-1', password: token })).endAsync(true);
    await isRefused(connect(null));
  });

  test('is demanded of everybody where that was asked for', async () => {
    await start({ 'mqtt.tls.requireCertificate': true });
    const token = await gateway.createDevice('pump-1');
    await expect(connect(null, { username: 'pump-1', password: token })).rejects.toThrow();
    await (await connect(await authority.client({ commonName: 'pump-1' }))).endAsync(true);
  });
});

/** Whether the subscription is granted. */
async function isGranted(client: MqttClient, filter: string, qos: 0 | 1 | 2 = 1): Promise<boolean> {
  return client.subscribeAsync(filter, { qos }).then(
    () => true,
    () => false,
  );
}

describe('what a device may not see it does not get', () => {
  let a: MqttClient;
  let b: MqttClient;
  let tokens: { readonly a: string; readonly b: string };
  beforeEach(async () => {
    gateway = await KeyedGateway.start({ 'mqtt.denySubscribe': 'devices/+/secret/#' });
    tokens = { a: await gateway.createDevice('a'), b: await gateway.createDevice('b') };
    a = await gateway.connectDevice('a', tokens.a);
    b = await gateway.connectDevice('b', tokens.b);
  });

  test('by any filter that reaches beyond its own id', async () => {
    const granted: string[] = [];
    const filters = ['#', '+/#', 'devices/#', 'devices/+/telemetry', 'devices/b/#', 'devices/b/telemetry', '$SYS/#'];
    filters.push(
      'devices/a',
      'devices/a/secret/x',
      'devices/a/#',
      '$share/g/devices/b/#',
      'homie/5/b/#',
      'v1/gateway/#',
    );
    filters.push('devices/a/telemetry', 'devices/a/commands/+', 'homie/5/a/#', 'v1/devices/me/rpc/request/+');
    for (const filter of filters) if (await isGranted(a, filter)) granted.push(filter);
    // Not devices/a/#: it has devices/a/secret in common with what is denied to everybody.
    expect(granted).toEqual([
      'devices/a',
      'devices/a/telemetry',
      'devices/a/commands/+',
      'homie/5/a/#',
      'v1/devices/me/rpc/request/+',
    ]);
  });

  test('nor does it write in the name of another, or of the gateway', async () => {
    const operator = await gateway.connect({ username: 'me', password: adminKey });
    const heard = new Inbox(operator);
    await operator.subscribeAsync('devices/#', { qos: 1 }).catch(() => {});
    await operator.subscribeAsync(['devices/+/telemetry/#', 'devices/+/commands/+', 'devices/+/throttle'], { qos: 1 });
    for (const topic of ['devices/b/telemetry', 'devices/b/commands/1', 'devices/a/commands/1', 'devices/a/throttle']) {
      await publish(a, topic, { x: 1 });
    }
    await publish(a, 'devices/a/telemetry', { x: 2 });
    await heard.came(1);
    expect(heard.topics).toEqual(['devices/a/telemetry']);
    expect([await gateway.latest('a'), await gateway.latest('b')]).toEqual([{ x: 2 }, {}]);
    expect(sample(await gateway.metrics(), 'pulsegate_mqtt_publishes_refused_total')).toBe(4);
  });

  test('of a SUBSCRIBE that is granted in part: not live, not queued over a reconnect, not retained', async () => {
    await a.endAsync();
    const session = { clean: false, username: 'a', password: tokens.a };
    const operator = await gateway.connect({ username: 'me', password: adminKey });
    /** On the topic that is refused first, so that it would come first. */
    const say = async (text: string, retain = false): Promise<void> => {
      for (const device of ['b', 'a']) await operator.publishAsync(`devices/${device}/x`, text, { qos: 1, retain });
    };

    const first = await WireClient.open(gateway.mqttPort, 'a', session);
    first.send(subscribePacket(1, 'devices/a/x', 'devices/b/x'));
    expect([...(await first.next()).body]).toEqual([0, 1, 1, 0x80]);
    await say('live');
    const live = publishOf(await first.next());
    expect(live).toMatchObject({ topic: 'devices/a/x', payload: 'live' });
    first.send(pubackPacket(live.id), disconnectPacket);
    await first.closed;

    await say('queued');
    await say('retained', true);
    const second = await WireClient.open(gateway.mqttPort, 'a', session);
    const got: string[] = [];
    const take = async (): Promise<void> => {
      const found = await second.next();
      if (found.type !== packetType.publish) return;
      const { topic, payload, id } = publishOf(found);
      got.push(`${topic} ${payload}`);
      second.send(pubackPacket(id));
    };
    for (let count = 0; count < 2; count++) await take();
    second.send(subscribePacket(2, 'devices/b/x', 'devices/a/x'));
    // The SUBACK and the retained message, in whichever order.
    for (let count = 0; count < 2; count++) await take();
    await say('last');
    await take();
    expect(got).toEqual(['queued', 'retained', 'retained', 'last'].map((text) => `devices/a/x ${text}`));
    second.end();
  });

  test('as a will: neither one that is meant for others nor that of another', async () => {
    const will = { topic: 'devices/b/telemetry', payload: Buffer.from('{"x":9}'), qos: 1 as const, retain: true };
    await isRefused(gateway.connectDevice('a', tokens.a, { will }));
    const heard = new Inbox(b);
    expect(await isGranted(b, 'devices/b/telemetry')).toBe(true);
    await publish(b, 'devices/b/telemetry', { x: 1 });
    await heard.came(1);
    expect(heard.texts).toEqual(['{"x":1}']);
    expect(await gateway.latest('b')).toEqual({ x: 1 });
  });
});

test("an operator's key gets the filters that it was given, and less as soon as it is given less", async () => {
  gateway = await KeyedGateway.start({ 'device.autoCreate': 'always' });
  const rights = { publish: ['devices/+/telemetry'], subscribe: ['devices/+/telemetry', 'plant/+/#'] };
  const key = await gateway.createMqttKey(rights);
  const client = await gateway.connect({ username: 'grafana', password: key });
  for (const [filter, granted] of [
    ['devices/+/telemetry', true],
    ['devices/a/telemetry', true],
    ['plant/1/x/+', true],
    ['plant/#', false],
    ['devices/#', false],
    ['devices/+/+', false],
  ] as const) {
    expect([filter, await isGranted(client, filter)]).toEqual([filter, granted]);
  }
  await publish(client, 'devices/a/telemetry', { x: 1 });
  await publish(client, 'devices/a/status', 'online');
  expect(await gateway.latest('a')).toEqual({ x: 1 });
  const gone = isCutOff(client);
  const keys = await gateway.ask('GET', '/api/v1/keys');
  const [, id] = /"id":"([^"]+)","name":"mqtt"/.exec(keys.text) ?? [];
  expect(
    (await gateway.ask('PATCH', `/api/v1/keys/${id}`, { mqtt: { publish: [], subscribe: ['plant/1/#'] } })).status,
  ).toBe(200);
  await gone;
  const again = await gateway.connect({ username: 'grafana', password: key });
  expect([await isGranted(again, 'devices/a/telemetry'), await isGranted(again, 'plant/1/#')]).toEqual([false, true]);
  // REST is not among its scopes.
  const headers = { authorization: `Bearer ${key}` };
  expect((await ask(gateway.httpPort, '/api/v1/latest', { headers })).status).toBe(403);
});

test('the sixth wrong credential of a minute is refused early, over MQTT and HTTP together, and counted', async () => {
  const clock = new HurryingClock();
  gateway = await KeyedGateway.start({ 'access.failuresPerMinute': 5 }, { clock });
  const token = await gateway.createDevice('a');
  const held = await gateway.connectDevice('a', token);
  const http = (authorization: string): Promise<Answer> =>
    ask(gateway.httpPort, '/api/v1/latest', { headers: { authorization } });
  for (let count = 0; count < 2; count++) {
    await isRefused(gateway.connectDevice('a', 'wrong'));
    expect((await http('Bearer wrong')).status).toBe(401);
  }
  expect((await http(`Bearer ${adminKey}`)).status).toBe(200);
  await isRefused(gateway.connectDevice('a', 'wrong'));

  // Neither a wrong nor a right one is looked at now, by either way in.
  const refused = await http(`Bearer ${adminKey}`);
  expect([refused.status, Number(refused.headers['retry-after']) > 0]).toEqual([429, true]);
  const early = await WireClient.dial(gateway.mqttPort);
  early.send(connectPacket('a-2', { username: 'a', password: token }));
  await early.closed;
  expect(early.packets.map(({ body }) => body[1])).not.toContain(0);
  // Who is in stays in.
  await publish(held, 'devices/a/telemetry', { x: 1 });
  expect(gateway.gateway.ledger.messages.accepted).toBe(1);

  clock.ahead += 60_000;
  expect((await http(`Bearer ${adminKey}`)).status).toBe(200);
  const counted = [...(await gateway.metrics())].filter(([name]) => name.includes('connects_refused'));
  expect(Object.fromEntries(counted)).toEqual({
    'pulsegate_mqtt_connects_refused_total{reason="barred"}': 1,
    'pulsegate_mqtt_connects_refused_total{reason="credentials"}': 3,
  });
});

/** The monotonic hand can be moved on. */
class HurryingClock extends SetClock {
  ahead = 0;

  override monotonic(): number {
    return super.monotonic() + this.ahead;
  }
}
