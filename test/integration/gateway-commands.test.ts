// Commands at a whole gateway: kept first, handed over when the device is there, and ended by its answer or by time;
// over the embedded broker and over the user's own.
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { Command, CommandList } from '../../src/contract/command.ts';
import { publish, SetClock } from '../support/gateway.ts';
import { Inbox, KeyedGateway } from '../support/gateway-keyed.ts';
import { Mosquitto } from '../support/mosquitto.ts';

let gateway: KeyedGateway;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await gateway.stop();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const make = (draft: object, status = 202): Promise<Command> =>
  gateway.read(Command, status, 'POST', '/devices/lock/commands', draft);
const state = async (id: string): Promise<string> =>
  (await gateway.read(Command, 200, 'GET', `/devices/lock/commands/${id}`)).state;
const final = (id: string): Promise<Command> =>
  gateway.read(Command, 200, 'GET', `/devices/lock/commands/${id}?wait=20s`);

const reply = (client: MqttClient, id: string, body: object): Promise<void> =>
  publish(client, `devices/lock/commands/${id}/reply`, body);

describe('a command', () => {
  test('goes to the device that is there, and its answer is what REST waits for', async () => {
    gateway = await KeyedGateway.start();
    const device = await gateway.connectDevice('lock', await gateway.createDevice('lock'));
    const other = await gateway.connectDevice('other', await gateway.createDevice('other'));
    const [inbox, notForIt] = [new Inbox(device), new Inbox(other)];
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    await other.subscribeAsync('devices/other/commands/+', { qos: 1 });
    const asked = gateway.ask('POST', '/api/v1/devices/lock/commands?wait=20s', {
      name: 'unlock',
      params: { for: 30 },
    });
    await inbox.came(1);
    const sent = JSON.parse(inbox.texts[0] ?? '');
    expect(sent).toMatchObject({ name: 'unlock', params: { for: 30 } });
    expect(inbox.messages[0]).toMatchObject({ topic: `devices/lock/commands/${sent.id}`, qos: 1, retain: false });
    // Another device cannot answer for it.
    await publish(other, `devices/lock/commands/${sent.id}/reply`, { status: 'failed' });
    await reply(device, sent.id, { status: 'succeeded', result: { bolt: 'open' } });
    const answer = await asked;
    expect([answer.status, answer.json()]).toMatchObject([200, { state: 'succeeded', result: { bolt: 'open' } }]);
    // An answer that comes again changes nothing.
    await reply(device, sent.id, { status: 'failed' });
    expect(await state(sent.id)).toBe('succeeded');
    expect(notForIt.messages).toEqual([]);
  });

  test('waits for a device that is away, and is handed over when it comes', async () => {
    gateway = await KeyedGateway.start();
    const token = await gateway.createDevice('lock');
    const { id } = await make({ name: 'unlock' });
    expect(await state(id)).toBe('queued');
    const device = await gateway.connectDevice('lock', token);
    const inbox = new Inbox(device);
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    await inbox.came(1);
    expect(inbox.topics).toEqual([`devices/lock/commands/${id}`]);
    await reply(device, id, { status: 'failed', result: 'jammed' });
    expect(await final(id)).toMatchObject({ state: 'failed', result: 'jammed' });
  });

  test('reaches the device that comes and listens, though an operator who watches everything had it before', async () => {
    gateway = await KeyedGateway.start();
    const key = await gateway.createMqttKey({ publish: [], subscribe: ['#'] });
    const operator = await gateway.connect({ username: 'operator', password: key });
    const watched = new Inbox(operator);
    await operator.subscribeAsync('#', { qos: 1 });
    const token = await gateway.createDevice('lock');
    const { id } = await make({ name: 'unlock' });
    await watched.came(1);
    const device = await gateway.connectDevice('lock', token);
    const inbox = new Inbox(device);
    await watched.came(2);
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    await inbox.came(1);
    expect(inbox.topics).toEqual([`devices/lock/commands/${id}`]);
  });

  test('goes with its device: who is registered under the same id later does not get it', async () => {
    gateway = await KeyedGateway.start();
    await gateway.createDevice('lock');
    await make({ name: 'unlock' });
    expect((await gateway.ask('DELETE', '/api/v1/devices/lock')).status).toBe(204);
    const device = await gateway.connectDevice('lock', await gateway.createDevice('lock'));
    const inbox = new Inbox(device);
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    await make({ name: 'lock' });
    await inbox.came(1);
    expect(inbox.texts.map((text) => JSON.parse(text).name)).toEqual(['lock']);
    const { items } = await gateway.read(CommandList, 200, 'GET', '/devices/lock/commands');
    expect(items.at(-1)).toMatchObject({ name: 'unlock', state: 'cancelled' });
  });

  test('expires when its time is over, and an answer that comes later is too late', async () => {
    const clock = new ExpiringClock();
    gateway = await KeyedGateway.start({}, { clock });
    const token = await gateway.createDevice('lock');
    const { id } = await make({ name: 'unlock', ttl: '10m' });
    expect(await state(id)).toBe('queued');
    clock.pass(600_000);
    expect(await final(id)).toMatchObject({ state: 'expired' });
    const device = await gateway.connectDevice('lock', token);
    const inbox = new Inbox(device);
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    const { id: next } = await make({ name: 'lock' });
    await inbox.came(1);
    expect(inbox.topics).toEqual([`devices/lock/commands/${next}`]);
    await reply(device, id, { status: 'succeeded' });
    expect(await state(id)).toBe('expired');
    await reply(device, next, { status: 'succeeded' });
  });
});

test.each([4, 5])(
  'through a broker of the user over MQTT %d a command goes out and its answer comes in',
  async (protocol) => {
    const broker = await Mosquitto.start();
    cleanups.push(() => broker.remove());
    gateway = await KeyedGateway.start({
      'mqtt.mode': 'external',
      'mqtt.external.url': broker.url,
      'mqtt.external.protocol': protocol,
    });
    await gateway.createDevice('lock');
    const device = await connectAsync(broker.url, { clientId: 'lock', reconnectPeriod: 0 });
    cleanups.push(() => device.endAsync(true));
    const inbox = new Inbox(device);
    await device.subscribeAsync('devices/lock/commands/+', { qos: 1 });
    while ((await gateway.ask('GET', '/readyz')).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const { id } = await make({ name: 'unlock', params: [1] });
    await inbox.came(1);
    expect(JSON.parse(inbox.texts[0] ?? '')).toMatchObject({ id, name: 'unlock', params: [1] });
    await reply(device, id, { status: 'succeeded', result: 7 });
    expect(await final(id)).toMatchObject({ state: 'succeeded', result: 7 });
  },
);

/** The wall clock that the test sets, and timers that fall due with it. */
class ExpiringClock extends SetClock {
  readonly #timers = new Set<{ readonly due: number; readonly action: () => void }>();

  /** Timers of minutes wait for the test; shorter ones run as always. */
  override after(delayMs: number, action: () => void): ReturnType<SetClock['after']> {
    if (delayMs < 300_000) return super.after(delayMs, action);
    const timer = { due: this.wall + delayMs, action };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  pass(ms: number): void {
    this.wall += ms;
    for (const timer of this.#timers) {
      if (timer.due > this.wall) continue;
      this.#timers.delete(timer);
      timer.action();
    }
  }
}
