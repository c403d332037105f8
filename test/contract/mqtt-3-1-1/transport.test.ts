// MQTT 3.1.1 sections 4.2 and 6: the same bytes over TCP, TLS and WebSocket.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createWebSocketStream, WebSocket } from 'ws';
import { Authority, type Certificate } from '../../support/certificates.ts';
import { connectPacket, packetType, publishPacket, WireClient } from '../../support/mqtt-wire.ts';
import { ack, subscribe } from './packets.ts';
import { eventually, nextOf, nextPublish, Rig, settled } from './rig.ts';

let authority: Authority;
let certificate: Certificate;
const servers: Server[] = [];
const streams: Duplex[] = [];

beforeAll(async () => {
  authority = await Authority.create();
  certificate = await authority.server();
});
afterAll(() => authority.remove());
afterEach(() => {
  for (const stream of streams.splice(0)) stream.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A port whose connections go on over another transport. */
function bridge(dial: () => Duplex): Promise<number> {
  const server = createServer((near) => {
    const far = dial();
    streams.push(near, far);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  return listening(server);
}

async function startAll(): Promise<{ rig: Rig; webSocketUrl: string; ports: Readonly<Record<string, number>> }> {
  const { certPath: cert, keyPath: key } = certificate;
  const rig = await Rig.start({ tls: { cert, key, port: 0, clientCa: '', requireCertificate: false } });
  const http = createHttpServer();
  http.on('upgrade', (request, socket, head) => rig.broker.handleUpgrade(request, socket, head, '127.0.0.1'));
  const webSocketUrl = `ws://127.0.0.1:${await listening(http)}/mqtt`;
  const tls = { host: '127.0.0.1', port: rig.broker.tlsPort ?? 0, ca: authority.ca };
  const ports = {
    TCP: rig.port,
    TLS: await bridge(() => connectTls(tls)),
    WebSocket: await bridge(() => createWebSocketStream(new WebSocket(webSocketUrl, ['mqtt']))),
  };
  return { rig, webSocketUrl, ports };
}

it('a session, its messages and a retained one are the same over TCP, TLS and WebSocket', async () => {
  const { rig, ports } = await startAll();
  const publisher = await rig.open('p');
  for (const [name, port] of Object.entries(ports)) {
    const will = { topic: `gone/${name}`, payload: name, qos: 1 } as const;
    const first = await WireClient.open(port, name, { clean: false, will });
    first.send(subscribe(1, ['t', 2], ['state/#', 1], ['$SYS/#', 1]));
    expect((await nextOf(first, packetType.suback)).body).toEqual(Buffer.of(0, 1, 2, 1, 0x80));
    first.send(publishPacket(`state/${name}`, name, { qos: 2, id: 1, retain: true }));
    await nextOf(first, packetType.pubrec);
    first.send(ack(6, 1));
    await nextOf(first, packetType.pubcomp);
    first.end();
    await eventually(() => rig.sink.payloads.filter((payload) => payload === name).length === 2);
    for (let id = 1; id <= 60; id++) {
      publisher.send(publishPacket('t', String(id), { qos: 1, id }));
      await nextOf(publisher, packetType.puback);
    }
    const again = await WireClient.dial(port);
    again.send(connectPacket(name, { clean: false }));
    expect((await again.next()).body, name).toEqual(Buffer.of(1, 0));
    const payloads: string[] = [];
    while (payloads.at(-1) !== '60') {
      const { payload, id } = await nextPublish(again);
      payloads.push(payload);
      again.send(ack(4, id));
    }
    expect(payloads.filter((payload) => payload !== name)).toHaveLength(60);
    const late = await WireClient.open(port, `late ${name}`);
    late.send(subscribe(1, [`state/${name}`, 0]));
    expect(await nextPublish(late)).toMatchObject({ payload: name, retain: true, qos: 0 });
    await settled(again);
    again.end();
    late.end();
  }
});

it('over WebSocket the subprotocol is mqtt, and without one there is no connection', async () => {
  const { webSocketUrl } = await startAll();
  const webSocket = new WebSocket(webSocketUrl, ['other', 'mqtt']);
  await once(webSocket, 'open');
  expect(webSocket.protocol).toBe('mqtt');
  webSocket.terminate();
  for (const offered of [[], ['other']]) {
    const refused = new WebSocket(webSocketUrl, offered);
    const [error] = (await once(refused, 'error')) as [Error];
    expect(error.message).toContain('400');
  }
});

it('over WebSocket a frame of text closes the connection, and frames need not end where packets do', async () => {
  const { rig, webSocketUrl } = await startAll();
  const webSocket = new WebSocket(webSocketUrl, ['mqtt']);
  await once(webSocket, 'open');
  const answers: Buffer[] = [];
  webSocket.on('message', (bytes: Buffer) => answers.push(bytes));
  const bytes = Buffer.concat([connectPacket('a'), publishPacket('t', 'x', { qos: 1, id: 5 })]);
  for (const byte of bytes) webSocket.send(Buffer.of(byte));
  webSocket.send(Buffer.concat([Buffer.of(0xc0, 0), Buffer.of(0xc0, 0)]));
  const expected = Buffer.from([0x20, 2, 0, 0, 0x40, 2, 0, 5, 0xd0, 0, 0xd0, 0]);
  await eventually(() => Buffer.concat(answers).length >= expected.length);
  expect(Buffer.concat(answers).toSorted()).toEqual(expected.toSorted());
  expect(rig.sink.payloads).toEqual(['x']);
  webSocket.send('text');
  await once(webSocket, 'close');
});
