// MQTT 3.1.1 sections 3.8 to 3.12 and 4.7: what is asked for, and what matches it.
import { expect, it } from 'vitest';
import { disconnectPacket, packetType, publishPacket, type WireClient } from '../../support/mqtt-wire.ts';
import { ack, raw, readPublish, subscribe, text, uint16, unsubscribe } from './packets.ts';
import { nextOf, nextPublish, Rig, settled } from './rig.ts';

const unsuback = 11;

async function publish(client: WireClient, topic: string, payload: string, qos: 0 | 1 | 2 = 1): Promise<void> {
  client.send(publishPacket(topic, payload, { qos, id: 1 }));
  if (qos === 1) await nextOf(client, packetType.puback);
  if (qos === 2) {
    await nextOf(client, packetType.pubrec);
    client.send(ack(6, 1));
    await nextOf(client, packetType.pubcomp);
  }
}

it('a SUBACK has the id of its SUBSCRIBE and a code for each filter, in their order', async () => {
  const rig = await Rig.start();
  const client = await rig.open('a');
  client.send(subscribe(513, ['a', 2], ['$SYS/#', 1], ['b/+', 0], ['c/#', 1]));
  expect((await nextOf(client, packetType.suback)).body).toEqual(
    Buffer.concat([uint16(513), Buffer.of(2, 0x80, 0, 1)]),
  );
});

it('a SUBSCRIBE with a reserved bit or QoS 3 closes the connection', async () => {
  const rig = await Rig.start();
  for (const options of [3, 4, 0x80, 0x10]) expect(await rig.closesClient(subscribe(1, ['t', options]))).toEqual([]);
});

it('a SUBSCRIBE or UNSUBSCRIBE without a filter closes the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.closesClient(raw(0x82, uint16(1)))).toEqual([]);
  expect(await rig.closesClient(raw(0xa2, uint16(1)))).toEqual([]);
});

it('a filter that is no UTF-8, empty, or has NUL in it subscribes to nothing', async () => {
  const rig = await Rig.start();
  expect(await rig.closesClient(subscribe(1, [Buffer.from([0x61, 0xed, 0xa0, 0x80]), 0]))).toEqual([]);
  expect(await rig.closesClient(raw(0xa2, uint16(1), text(Buffer.from([0xff]))))).toEqual([]);
  expect(await rig.closesClient(subscribe(1, ['', 0]))).toEqual([]);
  const client = await rig.open('a');
  client.send(subscribe(1, ['a\0b', 0]));
  const answer = await client.next().catch(() => null);
  if (answer) expect(answer.body.at(-1)).toBe(0x80);
});

it('a wildcard that does not fill its level, or # before the end, is not granted', async () => {
  const rig = await Rig.start();
  for (const filter of ['a/#/b', 'a#', 'a/b#', 'a+', 'a/+b', '+a', 'a/b+/c', '#/a', '++']) {
    const client = await rig.open('a');
    client.send(subscribe(1, [filter, 0]));
    const answer = await client.next().catch(() => null);
    if (answer) expect(answer.body.at(-1), filter).toBe(0x80);
  }
});

it('wildcards match what section 4.7.1 says', async () => {
  const rig = await Rig.start();
  const matches: readonly (readonly [filter: string, topic: string, isMatch: boolean])[] = [
    ['sport/#', 'sport', true],
    ['sport/#', 'sport/a/b', true],
    ['#', 'a/b', true],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['a/+/c', 'a/b/c', true],
    ['a/+/c', 'a/b/d/c', false],
    ['a', 'A', false],
    ['a', 'a/', false],
    ['a//b', 'a/b', false],
    ['a', ' a', false],
    ['\u00e9', 'e\u0301', false],
  ];
  const publisher = await rig.open('p');
  for (const [index, [filter, topic, isMatch]] of matches.entries()) {
    for (const clean of [true, false]) {
      const subscriber = await rig.subscriber(`s ${index} ${clean}`, filter, 1, clean);
      await publish(publisher, topic, 'x');
      const found = (await settled(subscriber)).filter(({ type }) => type === packetType.publish);
      expect(found.length, `${filter} and ${topic}`).toBe(isMatch ? 1 : 0);
      subscriber.end();
    }
  }
});

it('a filter with a wildcard in front finds no topic that begins with $', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.open('s');
  subscriber.send(subscribe(1, ['#', 1], ['+/monitor/#', 1], ['+/+/new/clients', 1]));
  await nextOf(subscriber, packetType.suback);
  // The broker itself says on $SYS that somebody came.
  await rig.open('other');
  expect(await settled(subscriber)).toEqual([]);
});

it('a message arrives with the lower of its own QoS and the one that was granted', async () => {
  const rig = await Rig.start();
  const publisher = await rig.open('p');
  for (const clean of [true, false]) {
    for (const [filter, granted] of [
      ['exact/t', 0],
      ['exact/t', 1],
      ['exact/t', 2],
      ['exact/+', 0],
      ['exact/+', 1],
      ['exact/#', 2],
    ] as const) {
      const subscriber = await rig.subscriber(`s ${clean} ${filter} ${granted}`, filter, granted, clean);
      for (const published of [0, 1, 2] as const) {
        await publish(publisher, 'exact/t', `${published}`, published);
        const { payload, qos, id } = await nextPublish(subscriber);
        expect([payload, qos], `${filter} granted ${granted}, ${clean}`).toEqual([
          `${published}`,
          Math.min(published, granted),
        ]);
        if (qos === 1) subscriber.send(ack(4, id));
        if (qos === 2) subscriber.send(ack(5, id), ack(7, id));
      }
      subscriber.end();
    }
  }
});

it('a retained message arrives with the lower of its own QoS and the one that was granted', async () => {
  const rig = await Rig.start();
  const publisher = await rig.open('p');
  publisher.send(publishPacket('state/a', 'x', { qos: 2, id: 1, retain: true }));
  await nextOf(publisher, packetType.pubrec);
  publisher.send(ack(6, 1));
  await nextOf(publisher, packetType.pubcomp);
  for (const filter of ['state/a', 'state/+', '#']) {
    for (const granted of [0, 1, 2]) {
      const subscriber = await rig.subscriber(`s ${filter} ${granted}`, filter, granted);
      expect((await nextPublish(subscriber)).qos, `${filter} granted ${granted}`).toBe(granted);
    }
  }
});

it('overlapping filters deliver a message once, with the highest QoS of those that match', async () => {
  const rig = await Rig.start();
  const publisher = await rig.open('p');
  for (const clean of [true, false]) {
    const subscriber = await rig.open(`s ${clean}`, { clean });
    subscriber.send(subscribe(1, ['a/+', 0], ['a/#', 2], ['a/b', 1]));
    await nextOf(subscriber, packetType.suback);
    await publish(publisher, 'a/b', 'x', 2);
    const found = (await settled(subscriber)).filter(({ type }) => type === packetType.publish).map(readPublish);
    expect(found.map(({ qos }) => qos)).toContain(2);
    expect(found.filter(({ qos }) => qos > 0)).toHaveLength(1);
  }
});

it('a filter that is subscribed to again takes the place of the one before', async () => {
  const rig = await Rig.start();
  const publisher = await rig.open('p');
  for (const clean of [true, false]) {
    const subscriber = await rig.subscriber(`s ${clean}`, 'a/b', 0, clean);
    subscriber.send(subscribe(2, ['a/b', 1]));
    await nextOf(subscriber, packetType.suback);
    await publish(publisher, 'a/b', 'x', 2);
    const found = (await settled(subscriber)).filter(({ type }) => type === packetType.publish).map(readPublish);
    expect(found.map(({ qos }) => qos)).toEqual([1]);
  }
});

it('a SUBSCRIBE with several filters does what several would', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.open('s', { clean: false });
  subscriber.send(subscribe(1, ['a', 0], ['b', 1], ['a', 1]));
  await nextOf(subscriber, packetType.suback);
  const publisher = await rig.open('p');
  await publish(publisher, 'a', 'one');
  await publish(publisher, 'b', 'two');
  expect((await settled(subscriber)).map(readPublish)).toMatchObject([
    { payload: 'one', qos: 1 },
    { payload: 'two', qos: 1 },
  ]);
});

it.fails('a SUBSCRIBE with a filter twice has a code for each of them', async () => {
  const rig = await Rig.start();
  const client = await rig.open('a');
  client.send(subscribe(1, ['a', 0], ['a', 1]));
  expect((await nextOf(client, packetType.suback)).body).toHaveLength(4);
});

it('an UNSUBSCRIBE ends exactly the filters it names, and is answered under its id', async () => {
  const rig = await Rig.start();
  const publisher = await rig.open('p');
  for (const clean of [true, false]) {
    const subscriber = await rig.open(`s ${clean}`, { clean });
    subscriber.send(subscribe(1, ['a/+', 1], ['a/b', 1], ['c', 1]));
    await nextOf(subscriber, packetType.suback);
    subscriber.send(unsubscribe(770, 'a/+', 'A/b', 'c'));
    expect((await nextOf(subscriber, unsuback)).body).toEqual(uint16(770));
    for (const topic of ['a/x', 'c', 'a/b']) await publish(publisher, topic, topic);
    expect((await settled(subscriber)).map((packet) => readPublish(packet).topic)).toEqual(['a/b']);
  }
});

it('an UNSUBSCRIBE of what was never asked for is answered', async () => {
  const rig = await Rig.start();
  for (const clean of [true, false]) {
    const client = await rig.open(`s ${clean}`, { clean });
    client.send(unsubscribe(3, 'never'));
    expect((await nextOf(client, unsuback)).body).toEqual(uint16(3));
  }
});

it('a message under way when its filter is given up is still delivered to its end', async () => {
  const rig = await Rig.start();
  const subscriber = await rig.subscriber('s', 't', 2, false);
  await publish(await rig.open('p'), 't', 'x', 2);
  const { id } = await nextPublish(subscriber);
  subscriber.send(unsubscribe(2, 't'));
  await nextOf(subscriber, unsuback);
  subscriber.end();
  const again = await rig.open('s', { clean: false });
  expect(await nextPublish(again)).toMatchObject({ id, dup: true });
  again.send(ack(5, id));
  expect((await nextOf(again, 6)).body).toEqual(uint16(id));
});

it('DISCONNECT ends the connection from here, too', async () => {
  const rig = await Rig.start();
  expect(await rig.closesClient(disconnectPacket)).toEqual([]);
});
