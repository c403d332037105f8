// MQTT 3.1.1 sections 3.1 and 3.2: who gets in, and how the others hear of it.
import { expect, it } from 'vitest';
import { connectPacket, packetType, pingPacket, publishPacket } from '../../support/mqtt-wire.ts';
import { openGatekeeper } from '../../support/open-gatekeeper.ts';
import { raw, rawConnect, text, uint16 } from './packets.ts';
import { nextOf, Rig } from './rig.ts';

const clean = 0x02;
const willFlag = 0x04;
const willRetain = 0x20;
const passwordFlag = 0x40;
const userFlag = 0x80;
const illFormed = Buffer.from([0x61, 0xed, 0xa0, 0x80, 0x62]);

it('a connection whose first packet is no CONNECT is closed without an answer', async () => {
  const rig = await Rig.start();
  for (const first of [pingPacket, publishPacket('t', 'x'), raw(0x82, uint16(1), text('t'), Buffer.of(0))]) {
    expect(await rig.untilClosed(first)).toEqual([]);
  }
  expect(rig.sink.messages).toEqual([]);
});

it('a second CONNECT closes the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.closesClient(connectPacket('misbehaving'))).toEqual([]);
});

it('another protocol name closes the connection without a CONNACK', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(rawConnect(clean, [text('a')], { name: 'MQTX' }))).toEqual([]);
});

it('a protocol level that is not served gets return code 1 with session present 0, and is closed', async () => {
  const rig = await Rig.start();
  const packets = await rig.untilClosed(connectPacket('a', { level: 5 }));
  expect(packets.map(({ type, body }) => [type, ...body])).toEqual([[packetType.connack, 0, 1]]);
});

it('a reserved flag in a CONNECT closes the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(rawConnect(clean | 1, [text('a')]))).toEqual([]);
  const flagged = rawConnect(clean, [text('a')]);
  flagged[0] |= 1;
  expect(await rig.untilClosed(flagged)).toEqual([]);
});

it('a will that contradicts its flags closes the connection', async () => {
  const rig = await Rig.start();
  const will = [text('w'), text('gone')];
  expect(await rig.untilClosed(rawConnect(clean | willFlag | 0x18, [text('a'), ...will])), 'QoS 3').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean | willFlag, [text('a')])), 'no fields').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean | willFlag, [text('a'), text('w')])), 'no message').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean | 0x08, [text('a')])), 'QoS without a will').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean | willRetain, [text('a')])), 'retain without a will').toEqual([]);
});

it('a user name or password that contradicts its flag closes the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(rawConnect(clean | userFlag, [text('a')])), 'no user name').toEqual([]);
  const both = clean | userFlag | passwordFlag;
  expect(await rig.untilClosed(rawConnect(both, [text('a'), text('user')])), 'no password').toEqual([]);
  const alone = rawConnect(clean | passwordFlag, [text('a'), text('secret')]);
  expect(await rig.untilClosed(alone), 'a password without a user name').toEqual([]);
});

it('fields of a CONNECT that no flag announces close the connection', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(rawConnect(clean, [text('a'), text('user')]))).toEqual([]);
});

it('a CONNECT that ends too soon is closed without a CONNACK', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(raw(0x10, text('MQTT'), Buffer.of(4, clean)))).toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean, [])), 'no client id').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean, [uint16(9), Buffer.from('a')])), 'a short client id').toEqual([]);
});

it('text that is no UTF-8 closes the connection, in each field of a CONNECT', async () => {
  const rig = await Rig.start();
  expect(await rig.untilClosed(rawConnect(clean, [text(illFormed)])), 'client id').toEqual([]);
  const will = rawConnect(clean | willFlag, [text('a'), text(illFormed), text('x')]);
  expect(await rig.untilClosed(will), 'will topic').toEqual([]);
  expect(await rig.untilClosed(rawConnect(clean | userFlag, [text('a'), text(illFormed)])), 'user name').toEqual([]);
});

it('NUL in the client id, will topic or user name gets nobody in', async () => {
  const rig = await Rig.start();
  const attempts = [
    rawConnect(clean, [text('a\0b')]),
    rawConnect(clean | willFlag, [text('a'), text('w\0'), text('x')]),
    rawConnect(clean | userFlag, [text('a'), text('u\0')]),
  ];
  for (const attempt of attempts) {
    const packets = await rig.untilClosed(attempt);
    expect(packets.map(({ body }) => body[1])).not.toContain(0);
  }
});

it('client ids of 1 to 23 letters and digits are let in, and longer ones, too', async () => {
  const rig = await Rig.start();
  for (const id of ['0', 'ABCDEFGHIJKLMNOPQRSTUVW', 'abcdefghijklmnopqrstuvw', 'xyzXYZ0123456789', 'x'.repeat(200)]) {
    await rig.open(id);
  }
});

it('clients without a client id each get one of their own', async () => {
  const rig = await Rig.start();
  const one = await rig.open('');
  const other = await rig.open('');
  for (const client of [one, other]) {
    client.send(pingPacket);
    expect((await client.next()).type).toBe(packetType.pingresp);
  }
});

it('an empty client id without a clean session gets return code 2 with session present 0, and is closed', async () => {
  const rig = await Rig.start();
  const packets = await rig.untilClosed(connectPacket('', { clean: false }));
  expect(packets.map(({ type, body }) => [type, ...body])).toEqual([[packetType.connack, 0, 2]]);
});

it('a client id that connects again closes the connection that had it', async () => {
  const rig = await Rig.start();
  const first = await rig.open('twin');
  const second = await rig.open('twin');
  await first.closed;
  second.send(pingPacket);
  expect((await second.next()).type).toBe(packetType.pingresp);
});

it('the first packet to a client is its CONNACK with return code 0, whatever it sent meanwhile', async () => {
  const rig = await Rig.start();
  const client = await rig.dial();
  client.send(connectPacket('eager'), pingPacket, publishPacket('t', 'x', { qos: 1, id: 1 }));
  expect(await client.next()).toMatchObject({ type: packetType.connack, flags: 0, body: Buffer.from([0, 0]) });
  await nextOf(client, packetType.puback);
});

it('nothing behind a refused CONNECT is processed, and a refusal says session present 0', async () => {
  const rig = await Rig.start({
    parts: { gatekeeper: openGatekeeper(() => ({ allowed: false, detail: 'nobody today' })) },
  });
  const packets = await rig.untilClosed(connectPacket('a'), publishPacket('t', 'x', { qos: 1, id: 1 }));
  expect(packets.map(({ type, body }) => [type, ...body])).toEqual([[packetType.connack, 0, 5]]);
  expect(rig.sink.messages).toEqual([]);
});

it('a client that is silent for one and a half times its keepalive is closed, and its will goes out', async () => {
  const rig = await Rig.start();
  const silent = await rig.open('silent', { keepalive: 1, will: { topic: 'w', payload: 'lost', qos: 1 } });
  await silent.closed;
  while (rig.sink.messages.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(rig.sink.payloads).toEqual(['lost']);
});
