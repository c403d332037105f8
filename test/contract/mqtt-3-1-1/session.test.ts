// MQTT 3.1.1 sections 3.1.2.4, 4.1, 4.4 and 4.5: what is remembered, also over a kill of the gateway.
import { describe, expect, it } from 'vitest';
import { connectPacket, disconnectPacket, packetType, publishPacket, WireClient } from '../../support/mqtt-wire.ts';
import { ack, type Published, readPublish, subscribe, uint16, unsubscribe } from './packets.ts';
import { eventually, nextOf, nextPublish, Rig, settled } from './rig.ts';

/** Connects without a clean session and says whether the CONNACK spoke of one. */
async function resume(rig: Rig, clientId: string): Promise<{ client: WireClient; isPresent: boolean }> {
  const client = await rig.dial();
  client.send(connectPacket(clientId, { clean: false }));
  const { type, body } = await client.next();
  expect([type, body[1]]).toEqual([packetType.connack, 0]);
  return { client, isPresent: body[0] === 1 };
}

async function publish(client: WireClient, topic: string, payload: string, qos: 1 | 2 = 1, id = 1): Promise<void> {
  client.send(publishPacket(topic, payload, { qos, id }));
  await nextOf(client, qos === 1 ? packetType.puback : packetType.pubrec);
  if (qos === 1) return;
  client.send(ack(6, id));
  await nextOf(client, packetType.pubcomp);
}

/** Ends the connection without a word, and waits until the broker has noticed. */
async function vanish(rig: Rig, client: WireClient): Promise<void> {
  const before = rig.broker.counts().connections;
  client.end();
  await eventually(() => rig.broker.counts().connections < before);
}

// Each of these is asked once of a broker that goes on, and once of one that was killed and started again.
describe.each([
  ['while the gateway runs', async (): Promise<void> => {}],
  ['over a kill of the gateway', (rig: Rig): Promise<void> => rig.killAndStart()],
])('%s', (_name, interlude) => {
  it('session present says whether there is a session, one without subscriptions included', async () => {
    const rig = await Rig.start();
    const first = await resume(rig, 'a');
    expect(first.isPresent).toBe(false);
    await vanish(rig, first.client);
    await interlude(rig);
    const second = await resume(rig, 'a');
    expect(second.isPresent).toBe(true);
    second.client.send(subscribe(1, ['t', 1]));
    expect((await nextOf(second.client, packetType.suback)).body.at(-1)).toBe(1);
    await vanish(rig, second.client);
    await interlude(rig);
    expect((await resume(rig, 'a')).isPresent).toBe(true);
    expect((await resume(rig, 'b')).isPresent).toBe(false);
  });

  it('a clean session ends the one before, and leaves none', async () => {
    const rig = await Rig.start();
    const lasting = await rig.subscriber('a', 't', 1, false);
    await vanish(rig, lasting);
    await publish(await rig.open('p'), 't', 'owed');
    await interlude(rig);
    const clean = await rig.dial();
    clean.send(connectPacket('a'));
    expect((await clean.next()).body).toEqual(Buffer.of(0, 0));
    expect(await settled(clean)).toEqual([]);
    await vanish(rig, clean);
    await interlude(rig);
    const { client, isPresent } = await resume(rig, 'a');
    expect(isPresent).toBe(false);
    await publish(await rig.open('p'), 't', 'x');
    expect(await settled(client)).toEqual([]);
  });

  it('subscriptions and what was unsubscribed are remembered', async () => {
    const rig = await Rig.start();
    const before = await rig.open('a', { clean: false });
    before.send(subscribe(1, ['keep/+', 1], ['drop', 1], ['zero', 0]), unsubscribe(2, 'drop'));
    await nextOf(before, 11);
    await vanish(rig, before);
    await interlude(rig);
    const { client } = await resume(rig, 'a');
    const publisher = await rig.open('p');
    for (const topic of ['keep/x', 'drop', 'zero']) await publish(publisher, topic, topic);
    const topics = (await settled(client)).map((packet) => readPublish(packet).topic);
    expect(topics.toSorted()).toEqual(['keep/x', 'zero']);
  });

  it('what a client missed comes in its order, the acknowledged once, QoS 0 and foreign topics not at all', async () => {
    const rig = await Rig.start();
    await vanish(rig, await rig.subscriber('a', 't/#', 2, false));
    const publisher = await rig.open('p');
    for (let serial = 1; serial <= 120; serial++) {
      await publish(publisher, 't/line', String(serial), serial % 2 === 0 ? 1 : 2, serial);
    }
    publisher.send(publishPacket('t/line', 'not owed'));
    await publish(publisher, 'u', 'not asked for');
    await interlude(rig);
    const { client } = await resume(rig, 'a');
    for (let serial = 1; serial <= 120; serial++) {
      const { payload, qos, dup, retain, id } = await nextPublish(client);
      expect({ payload, qos, dup, retain }).toEqual({
        payload: String(serial),
        qos: serial % 2 === 0 ? 1 : 2,
        dup: false,
        retain: false,
      });
      client.send(ack(qos === 1 ? 4 : 5, id));
      if (qos === 2) client.send(ack(7, id));
    }
    await eventually(() => rig.store.counts().queued === 0);
    await vanish(rig, client);
    await interlude(rig);
    expect(await settled((await resume(rig, 'a')).client)).toEqual([]);
  });

  it('what was sent and not acknowledged is sent again in its order, under its id and with DUP', async () => {
    const rig = await Rig.start();
    const first = await rig.subscriber('a', 't', 2, false);
    const publisher = await rig.open('p');
    const sent: { payload: string; id: number }[] = [];
    for (let serial = 1; serial <= 6; serial++) {
      await publish(publisher, 't', String(serial), 2, serial);
      const { payload, id } = await nextPublish(first);
      sent.push({ payload, id });
    }
    // The third was received, the fourth is over: of one the PUBREL is owed, of the other nothing.
    first.send(ack(5, sent[2].id), ack(5, sent[3].id));
    await nextOf(first, packetType.pubrel);
    await nextOf(first, packetType.pubrel);
    first.send(ack(7, sent[3].id));
    await eventually(() => rig.store.counts().queued === 5);
    await vanish(rig, first);
    await rig.store.stop();
    await interlude(rig);
    const { client } = await resume(rig, 'a');
    const again = (await settled(client)).filter(({ type }) => type !== packetType.connack);
    const messages = again.filter(({ type }) => type === packetType.publish).map(readPublish);
    expect(messages.map(({ payload, id, dup }) => ({ payload, id, dup }))).toEqual(
      [0, 1, 4, 5].map((index) => ({ ...sent[index], dup: true })),
    );
    const releases = again.filter(({ type }) => type === packetType.pubrel);
    expect(releases.map(({ body }) => body)).toEqual([uint16(sent[2].id)]);
  });

  it('a QoS 2 message that was taken is not taken again when its sender comes back', async () => {
    const rig = await Rig.start();
    const subscriber = await rig.subscriber('s', 't', 1, false);
    const sender = await rig.open('p', { clean: false });
    sender.send(publishPacket('t', 'once', { qos: 2, id: 7 }));
    await nextOf(sender, packetType.pubrec);
    subscriber.send(ack(4, (await nextPublish(subscriber)).id));
    await eventually(() => rig.store.counts().queued === 0);
    await vanish(rig, sender);
    await vanish(rig, subscriber);
    await rig.store.stop();
    await interlude(rig);
    const watching = (await resume(rig, 's')).client;
    const { client } = await resume(rig, 'p');
    client.send(publishPacket('t', 'once', { qos: 2, id: 7, dup: true }));
    expect((await nextOf(client, packetType.pubrec)).body).toEqual(uint16(7));
    expect(await settled(watching)).toEqual([]);
    client.send(ack(6, 7));
    await nextOf(client, packetType.pubcomp);
    client.send(publishPacket('t', 'another', { qos: 2, id: 7 }));
    await nextOf(client, packetType.pubrec);
    expect((await nextPublish(watching)).payload).toBe('another');
  });

  it('retained messages stay, and belong to no session', async () => {
    const rig = await Rig.start();
    const sender = await rig.open('p', { clean: false });
    for (const [id, topic] of [
      [1, 'state/a'],
      [2, 'state/b'],
    ] as const) {
      sender.send(publishPacket(topic, topic, { qos: 1, id, retain: true }));
      await nextOf(sender, packetType.puback);
    }
    sender.send(publishPacket('state/b', '', { qos: 1, id: 3, retain: true }));
    await nextOf(sender, packetType.puback);
    await vanish(rig, sender);
    await vanish(rig, await rig.open('p'));
    await interlude(rig);
    const late = await rig.subscriber('late', 'state/+', 1);
    expect((await settled(late)).map(readPublish)).toMatchObject([
      { topic: 'state/a', payload: 'state/a', retain: true },
    ]);
  });
});

it('a session whose client is there keeps what was not acknowledged when the gateway is killed', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('a', 't', 1, false);
  const publisher = await rig.open('p');
  for (let serial = 1; serial <= 20; serial++) await publish(publisher, 't', String(serial), 1, serial);
  subscriber.socket.pause();
  await rig.killAndStart();
  const { client } = await resume(rig, 'a');
  for (let serial = 1; serial <= 20; serial++) expect((await nextPublish(client)).payload).toBe(String(serial));
  expect(await settled(client)).toEqual([]);
});

it('a client has at most a window of messages under way, and the rest as it acknowledges', async () => {
  const rig = await Rig.start();
  await vanish(rig, await rig.subscriber('a', 't', 1, false));
  const publisher = await rig.open('p');
  for (let serial = 1; serial <= 130; serial++) await publish(publisher, 't', String(serial), 1, serial);
  const { client } = await resume(rig, 'a');
  await publish(publisher, 't', '131');
  const window: Published[] = [];
  while (window.length < 50) window.push(await nextPublish(client));
  expect(window.map(({ payload }) => payload)).toEqual(Array.from({ length: 50 }, (_, index) => String(index + 1)));
  expect(await settled(client)).toEqual([]);
  for (const { id } of window) client.send(ack(4, id));
  for (let serial = 51; serial <= 131; serial++) {
    const { payload, id } = await nextPublish(client);
    expect(payload).toBe(String(serial));
    client.send(ack(4, id));
  }
});

it('a session lives on while its client is there, whatever the time', async () => {
  const rig = await Rig.start({ sessions: { sessionExpiry: 0 } });
  const subscriber = await rig.subscriber('a', 't', 1, false);
  await publish(await rig.open('p'), 't', 'x');
  expect((await nextPublish(subscriber)).payload).toBe('x');
  expect(rig.store.counts()).toMatchObject({ sessions: 1, expiredSessions: 0 });
});

describe('a will', () => {
  const will = { topic: 'w', payload: 'gone', qos: 1 } as const;

  it('goes out when the connection ends without a DISCONNECT, once', async () => {
    const rig = await Rig.start();
    const watcher = await rig.subscriber('s', 'w', 1);
    await vanish(rig, await rig.open('a', { will }));
    expect(await nextPublish(watcher)).toMatchObject({ payload: 'gone', qos: 1, retain: false });
    expect(await settled(watcher)).toEqual([]);
    expect(rig.store.counts().wills).toBe(0);
  });

  it('goes out when another connection takes the client id, or the client breaks the protocol', async () => {
    const rig = await Rig.start();
    const watcher = await rig.subscriber('s', 'w', 1);
    const first = await rig.open('a', { will });
    const second = await rig.open('a', { will: { ...will, payload: 'second' } });
    await first.closed;
    expect((await nextPublish(watcher)).payload).toBe('gone');
    expect(rig.store.counts().wills).toBe(1);
    second.send(Buffer.of(0xf0, 0));
    expect((await nextPublish(watcher)).payload).toBe('second');
  });

  it('does not go out after a DISCONNECT, or where there is none', async () => {
    const rig = await Rig.start();
    const watcher = await rig.subscriber('s', '#', 1);
    const polite = await rig.open('a', { will });
    polite.send(disconnectPacket);
    await polite.closed;
    await vanish(rig, await rig.open('b'));
    expect(await settled(watcher)).toEqual([]);
    await eventually(() => rig.store.counts().wills === 0);
  });

  it('is retained when it says so, and only then', async () => {
    const rig = await Rig.start();
    await vanish(rig, await rig.open('a', { will: { ...will, topic: 'w/kept', retain: true } }));
    await vanish(rig, await rig.open('b', { will: { ...will, topic: 'w/passing' } }));
    await eventually(() => rig.sink.messages.length === 2);
    const late = await rig.subscriber('late', 'w/+', 1);
    expect((await settled(late)).map((packet) => readPublish(packet).topic)).toEqual(['w/kept']);
  });

  it('of a client that was connected when the gateway was killed goes out at the next start, that of others does not', async () => {
    const rig = await Rig.start();
    await vanish(rig, await rig.subscriber('s', 'w/+', 1, false));
    await rig.open('a', { will: { ...will, topic: 'w/a', payload: 'killed', retain: true } });
    const polite = await rig.open('b', { will: { ...will, topic: 'w/b' } });
    polite.send(disconnectPacket);
    await polite.closed;
    await vanish(rig, await rig.open('c', { will: { ...will, topic: 'w/c', payload: 'before' } }));
    await eventually(() => rig.store.counts().wills === 1 && rig.store.counts().queued === 1);
    await rig.store.stop();
    await rig.killAndStart();
    await eventually(() => rig.sink.messages.length === 1);
    const { client } = await resume(rig, 's');
    const found = [await nextPublish(client), await nextPublish(client)].map(({ payload }) => payload);
    expect(found.toSorted()).toEqual(['before', 'killed']);
    const late = await rig.subscriber('late', 'w/a', 1);
    expect(await nextPublish(late)).toMatchObject({ payload: 'killed', retain: true });
    await eventually(() => rig.store.counts().wills === 0);
    await rig.store.stop();
    await rig.killAndStart();
    expect(rig.store.counts().wills).toBe(0);
  });
});

it('a QoS 2 message that its sender sent again is not delivered again after a kill', async () => {
  const rig = await Rig.start();
  const before = await rig.subscriber('s', 't', 2, false);
  const sender = await rig.open('p', { clean: false });
  for (const dup of [false, true]) {
    sender.send(publishPacket('t', 'x', { qos: 2, id: 1, dup }));
    await nextOf(sender, packetType.pubrec);
  }
  const { id } = await nextPublish(before);
  before.send(ack(5, id));
  await nextOf(before, packetType.pubrel);
  before.send(ack(7, id));
  await settled(before);
  before.send(subscribe(2, ['u', 2]));
  await nextOf(before, packetType.suback);
  await rig.killAndStart();
  const after = await rig.open('s', { clean: false });
  expect(await settled(after)).toEqual([]);
});
