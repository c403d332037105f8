// MQTT 3.1.1 sections 1.5, 2, 3.3 to 3.7 and 4.3: messages on their way in and out.
import { expect, it } from 'vitest';
import { packetType, pingPacket, publishPacket, type WireClient } from '../../support/mqtt-wire.ts';
import { ack, raw, readPublish, subscribe, text, uint16 } from './packets.ts';
import { eventually, nextOf, nextPublish, Rig, settled } from './rig.ts';

/** Publishes and waits for the end of the exchange. */
async function publish(
  client: WireClient,
  topic: string,
  payload: string,
  options: { qos?: 0 | 1 | 2; id?: number; retain?: boolean; dup?: boolean } = {},
): Promise<void> {
  const { qos = 1, id = 1 } = options;
  client.send(publishPacket(topic, payload, { ...options, qos, id }));
  if (qos === 0) await settled(client);
  if (qos === 1) await nextOf(client, packetType.puback);
  if (qos === 2) {
    await nextOf(client, packetType.pubrec);
    client.send(ack(6, id));
    await nextOf(client, packetType.pubcomp);
  }
}

it('a topic that is no UTF-8, or has NUL in it, closes the connection', async () => {
  const rig = await Rig.start();
  for (const topic of [Buffer.from([0x61, 0xed, 0xa0, 0x80]), Buffer.from([0x61, 0xff]), Buffer.from('a\0b')]) {
    expect(await rig.closesClient(raw(0x32, text(topic), uint16(1), Buffer.from('x')))).toEqual([]);
  }
  expect(rig.sink.messages).toEqual([]);
});

it('it does so whatever its QoS, and whatever of the connection is still being answered', async () => {
  const rig = await Rig.start();
  const topic = text(Buffer.from([0x61, 0xff]));
  const before = [subscribe(1, ['t', 1]), publishPacket('t', 'x', { qos: 2, id: 2 })];
  for (const packet of [raw(0x30, topic), raw(0x32, topic, uint16(3)), raw(0x31, topic), raw(0x34, topic, uint16(3))]) {
    // As one piece: the broker has not answered what comes before when it sees the topic.
    await rig.closesClient(Buffer.concat([...before, packet]));
  }
  expect(rig.sink.messages.map((message) => message.topic).filter((seen) => seen !== 't')).toEqual([]);
});

it('U+FEFF at the beginning of a topic stays where it is', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', '\uFEFFa', 1);
  const other = await rig.subscriber('o', 'a', 1);
  const client = await rig.open('p');
  await publish(client, '\uFEFFa', 'x');
  expect((await nextPublish(subscriber)).topic).toBe('\uFEFFa');
  expect(rig.sink.messages[0]?.topic).toBe('\uFEFFa');
  expect(await settled(other)).toEqual([]);
});

it('reserved flags of a fixed header close the connection, whatever the packet', async () => {
  const rig = await Rig.start();
  const packets = {
    PUBACK: raw(0x41, uint16(1)),
    PUBREC: raw(0x51, uint16(1)),
    PUBREL: raw(0x60, uint16(1)),
    PUBCOMP: raw(0x71, uint16(1)),
    SUBSCRIBE: raw(0x80, uint16(1), text('t'), Buffer.of(0)),
    UNSUBSCRIBE: raw(0xa0, uint16(1), text('t')),
    PINGREQ: Buffer.of(0xc1, 0),
    DISCONNECT: Buffer.of(0xe1, 0),
  };
  for (const [name, bytes] of Object.entries(packets)) expect(await rig.closesClient(bytes), name).toEqual([]);
});

it('packet types that are reserved, or only a server sends, close the connection', async () => {
  const rig = await Rig.start();
  for (const first of [0x00, 0x20, 0x90, 0xb0, 0xd0, 0xf0]) {
    expect(await rig.closesClient(raw(first, uint16(1))), String(first)).toEqual([]);
  }
});

it('packet id 0 closes the connection', async () => {
  const rig = await Rig.start();
  const packets = [
    publishPacket('t', 'x', { qos: 1, id: 0 }),
    publishPacket('t', 'x', { qos: 2, id: 0 }),
    subscribe(0, ['t', 0]),
    raw(0xa2, uint16(0), text('t')),
  ];
  for (const bytes of packets) expect(await rig.closesClient(bytes)).toEqual([]);
  expect(rig.sink.messages).toEqual([]);
});

it('answers carry the packet id of what they answer', async () => {
  const rig = await Rig.start();
  const client = await rig.open('a');
  client.send(publishPacket('t', 'x', { qos: 1, id: 17 }));
  expect((await nextOf(client, packetType.puback)).body).toEqual(uint16(17));
  client.send(publishPacket('t', 'x', { qos: 2, id: 65_535 }));
  expect((await nextOf(client, packetType.pubrec)).body).toEqual(uint16(65_535));
  client.send(ack(6, 65_535));
  expect((await nextOf(client, packetType.pubcomp)).body).toEqual(uint16(65_535));
});

it('a PUBLISH of QoS 3 closes the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.closesClient(raw(0x36, text('t'), uint16(1), Buffer.from('x')))).toEqual([]);
});

it('a topic with a wildcard, or an empty one, closes the connection', async () => {
  const rig = await Rig.start();
  for (const topic of ['a/+', 'a/#', '+', '#', '']) {
    expect(await rig.closesClient(publishPacket(topic, 'x', { qos: 1, id: 1 })), topic).toEqual([]);
  }
  expect(rig.sink.messages).toEqual([]);
});

it('every packet is answered while its connection is open, an empty payload and the longest topic, too', async () => {
  const rig = await Rig.start();
  const client = await rig.open('a');
  await publish(client, 'x'.repeat(65_535), '');
  expect(rig.sink.messages[0]?.topic).toHaveLength(65_535);
  client.send(pingPacket);
  expect(await nextOf(client, packetType.pingresp)).toMatchObject({ flags: 0, body: Buffer.alloc(0) });
});

it('the DUP flag of a publisher is not passed on, and QoS 0 leaves without one', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', 't', 2);
  const client = await rig.open('p');
  client.send(publishPacket('t', 'one', { qos: 1, id: 9, dup: true }), publishPacket('t', 'two'));
  const found = [await nextPublish(subscriber), await nextPublish(subscriber)];
  expect(new Map(found.map(({ payload, dup }) => [payload, dup]))).toEqual(
    new Map([
      ['one', false],
      ['two', false],
    ]),
  );
});

it('a retained message reaches who subscribes later, with RETAIN 1, its QoS and its payload', async () => {
  const rig = await Rig.start();
  const client = await rig.open('p');
  await publish(client, 'state/a', 'on', { retain: true });
  const late = await rig.subscriber('late', 'state/+', 1);
  expect(await nextPublish(late)).toMatchObject({ topic: 'state/a', payload: 'on', retain: true, qos: 1, dup: false });
});

it('a subscription that is made again is sent the retained messages again', async () => {
  const rig = await Rig.start();
  await publish(await rig.open('p'), 'state/a', 'on', { retain: true });
  const subscriber = await rig.subscriber('s', 'state/a', 0);
  await nextPublish(subscriber);
  subscriber.send(subscribe(2, ['state/a', 0]));
  expect(await nextPublish(subscriber)).toMatchObject({ payload: 'on', retain: true });
});

it('a message reaches a subscription that was there before it with RETAIN 0', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', 'state/a', 1);
  const lasting = await rig.subscriber('k', 'state/a', 1, false);
  await publish(await rig.open('p'), 'state/a', 'on', { retain: true });
  expect(await nextPublish(subscriber)).toMatchObject({ payload: 'on', retain: false });
  expect(await nextPublish(lasting)).toMatchObject({ payload: 'on', retain: false });
});

it('a retained message of QoS 0 takes the place of the one before', async () => {
  const rig = await Rig.start();
  const client = await rig.open('p');
  await publish(client, 'state/a', 'old', { retain: true });
  await publish(client, 'state/a', 'new', { retain: true, qos: 0 });
  const late = await rig.subscriber('late', 'state/a', 1);
  expect(await nextPublish(late)).toMatchObject({ payload: 'new', qos: 0 });
});

it('an empty retained message reaches subscribers, takes the retained one away and is not kept', async () => {
  const rig = await Rig.start();
  const client = await rig.open('p');
  await publish(client, 'state/a', 'on', { retain: true });
  const before = await rig.subscriber('before', 'state/a', 1);
  await nextPublish(before);
  await publish(client, 'state/a', '', { retain: true, id: 2 });
  expect(await nextPublish(before)).toMatchObject({ payload: '', retain: false });
  expect(await settled(await rig.subscriber('late', 'state/a', 1))).toEqual([]);
});

it('a message without RETAIN leaves the retained one as it is, and is not kept', async () => {
  const rig = await Rig.start();
  const client = await rig.open('p');
  await publish(client, 'state/a', 'kept', { retain: true });
  await publish(client, 'state/a', 'passing', { id: 2 });
  await publish(client, 'state/a', '', { id: 3 });
  const late = await rig.subscriber('late', 'state/#', 1);
  expect((await settled(late)).map((packet) => readPublish(packet).payload)).toEqual(['kept']);
});

it('a QoS 2 message that comes again before its PUBREL is acknowledged and delivered once', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', 't', 2);
  const client = await rig.open('p');
  client.send(publishPacket('t', 'once', { qos: 2, id: 4 }));
  await nextOf(client, packetType.pubrec);
  client.send(publishPacket('t', 'once', { qos: 2, id: 4, dup: true }));
  expect((await nextOf(client, packetType.pubrec)).body).toEqual(uint16(4));
  client.send(ack(6, 4));
  await nextOf(client, packetType.pubcomp);
  client.send(publishPacket('t', 'again', { qos: 2, id: 4 }));
  await nextOf(client, packetType.pubrec);
  expect([(await nextPublish(subscriber)).payload, (await nextPublish(subscriber)).payload]).toEqual(['once', 'again']);
  expect(rig.sink.payloads).toEqual(['once', 'again']);
});

it('a packet id that was acknowledged stands for another message, DUP or not', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', 't', 1);
  const client = await rig.open('p');
  await publish(client, 't', 'one', { id: 5 });
  await publish(client, 't', 'two', { id: 5, dup: true });
  expect([(await nextPublish(subscriber)).payload, (await nextPublish(subscriber)).payload]).toEqual(['one', 'two']);
});

it('a PUBREL is answered by a PUBCOMP, also where nothing is known of it', async () => {
  const rig = await Rig.start();
  const client = await rig.open('a');
  client.send(ack(6, 99));
  expect((await nextOf(client, packetType.pubcomp)).body).toEqual(uint16(99));
});

it('a QoS 2 message to a subscriber goes through PUBREC, PUBREL and PUBCOMP under one id', async () => {
  const rig = await Rig.start();
  for (const clean of [true, false]) {
    const subscriber = await rig.subscriber(`s ${clean}`, 't', 2, clean);
    const client = await rig.open('p');
    client.send(publishPacket('t', 'x', { qos: 2, id: 1 }));
    const { qos, id, dup } = await nextPublish(subscriber);
    expect([qos, dup]).toEqual([2, false]);
    subscriber.send(ack(5, id));
    const release = await nextOf(subscriber, 6);
    expect([release.flags, release.body.readUInt16BE(0)]).toEqual([2, id]);
    subscriber.send(ack(7, id));
    expect(await settled(subscriber)).toEqual([]);
  }
});

it('messages under way to one client have ids of their own', async () => {
  const rig = await Rig.start();
  for (const clean of [true, false]) {
    const subscriber = await rig.subscriber(`s ${clean}`, 't', 1, clean);
    const client = await rig.open('p');
    for (let id = 1; id <= 40; id++) client.send(publishPacket('t', String(id), { qos: 1, id }));
    const ids = new Set<number>();
    for (let count = 0; count < 40; count++) ids.add((await nextPublish(subscriber)).id);
    expect(ids.size).toBe(40);
    expect(ids.has(0)).toBe(false);
  }
});

it('the sender hears of a message only when it is accepted, and of all of them in order', async () => {
  const rig = await Rig.start();
  await rig.subscriber('s', 't', 1, false);
  rig.sink.hold = true;
  const client = await rig.open('p');
  for (const [id, topic] of [
    [1, 't'],
    [2, 'u'],
    [3, 't'],
    [4, 'u'],
  ] as const) {
    client.send(publishPacket(topic, String(id), { qos: 1, id }));
  }
  await eventually(() => rig.sink.held.length === 4);
  for (const receipt of rig.sink.held.splice(0).toReversed()) receipt();
  const ids: number[] = [];
  while (ids.length < 4) ids.push((await nextOf(client, packetType.puback)).body.readUInt16BE(0));
  expect(ids).toEqual([1, 2, 3, 4]);
});

it('a QoS 2 message that comes again before its PUBREC reaches subscribers once', async () => {
  for (const clean of [true, false]) {
    const rig = await Rig.start();
    const subscriber = await rig.subscriber('s', 't', 1);
    const sender = await rig.open('p', { clean });
    rig.sink.hold = true;
    const first = publishPacket('t', 'x', { qos: 2, id: 1 });
    sender.send(Buffer.concat([first, publishPacket('t', 'x', { qos: 2, id: 1, dup: true })]));
    await eventually(() => rig.sink.held.length === 1);
    for (const receipt of rig.sink.held.splice(0)) receipt();
    for (let answers = 0; answers < 2; answers++) await nextOf(sender, packetType.pubrec);
    expect((await nextPublish(subscriber)).payload).toBe('x');
    expect(await settled(subscriber)).toEqual([]);
    expect(rig.sink.payloads).toEqual(['x']);
  }
});

it('PUBRECs leave in the order of their messages', async () => {
  const rig = await Rig.start();
  const client = await rig.open('p', { clean: false });
  for (let id = 20; id > 0; id--) client.send(publishPacket('t', 'x', { qos: 2, id }));
  const ids: number[] = [];
  while (ids.length < 20) ids.push((await nextOf(client, packetType.pubrec)).body.readUInt16BE(0));
  expect(ids).toEqual(Array.from({ length: 20 }, (_, index) => 20 - index));
});

it('PUBRECs leave in that order, too, where only some of the messages have subscribers', async () => {
  for (const clean of [true, false]) {
    const rig = await Rig.start();
    const subscriber = await rig.subscriber('s', 'watched', 2);
    const sender = await rig.open('p', { clean });
    const topics = ['watched', 'other', '$forbidden', 'watched', 'other', '$forbidden', 'other'];
    sender.send(...topics.map((topic, index) => publishPacket(topic, `${index}`, { qos: 2, id: index + 1 })));
    const ids: number[] = [];
    while (ids.length < topics.length) ids.push((await nextOf(sender, packetType.pubrec)).body.readUInt16BE(0));
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect((await nextPublish(subscriber)).payload).toBe('0');
  }
});

it('messages of one client and topic reach each subscriber in their order', async () => {
  const rig = await Rig.start();
  const subscribers = [await rig.subscriber('s', 't', 1), await rig.subscriber('k', 't', 1, false)];
  const client = await rig.open('p');
  const count = 200;
  for (let id = 1; id <= count; id++) client.send(publishPacket('t', String(id), { qos: 1, id }));
  for (const subscriber of subscribers) {
    for (let expected = 1; expected <= count; expected++) {
      const { payload, id } = await nextPublish(subscriber);
      expect(payload).toBe(String(expected));
      subscriber.send(ack(4, id));
    }
  }
});
