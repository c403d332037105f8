// The three ways in to the embedded broker: TCP is in broker.test.ts, here are TLS and WebSocket.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connectAsync } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { TlsOptions } from '../../src/ingest/embedded/listeners.ts';
import { alternativeNames } from '../../src/ingest/embedded/listeners.ts';
import { type BrokerRig, eventually, startBroker, TestGatekeeper } from '../support/broker-rig.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { connectPacket, publishPacket } from '../support/mqtt-wire.ts';

const cleanups: (() => unknown)[] = [];
let authority: Authority;
let stranger: Authority;
let server: Certificate;
let device: Certificate;
beforeAll(async () => {
  [authority, stranger] = await Promise.all([Authority.create(), Authority.create('A stranger')]);
  const alternatives = ['DNS:pump-1.plant', 'URI:urn:dev:pump-1'];
  [server, device] = await Promise.all([
    authority.server(),
    authority.client({ commonName: 'pump-1', alternativeNames: alternatives }),
  ]);
});
afterAll(() => {
  authority.remove();
  stranger.remove();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function startTls(tls: Partial<TlsOptions> = {}): Promise<BrokerRig & { readonly url: string }> {
  const files = { cert: server.certPath, key: server.keyPath };
  const options = { ...files, port: 0, clientCa: authority.caPath, requireCertificate: false, ...tls };
  const rig = await startBroker(cleanups, { tls: options });
  return { ...rig, url: `mqtts://127.0.0.1:${rig.broker.tlsPort}` };
}

async function startWebSocket(): Promise<BrokerRig & { readonly url: string }> {
  const gatekeeper = new TestGatekeeper();
  const rig = await startBroker(cleanups, { packetBytesMax: 100_000 }, { gatekeeper });
  const http: Server = createServer();
  http.on('upgrade', (request, socket, head) => rig.broker.handleUpgrade(request, socket, head, '192.0.2.7'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  cleanups.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return { ...rig, url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/mqtt` };
}

async function openSocket(url: string, protocol: string | string[] = 'mqtt'): Promise<WebSocket> {
  const socket = new WebSocket(url, protocol);
  cleanups.push(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

/** The next message of the server. */
function message(socket: WebSocket): Promise<number[]> {
  return new Promise((resolve) => socket.once('message', (data: Buffer) => resolve([...data])));
}

function closing(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.once('close', (code) => resolve(code)));
}

/** Why there was no upgrade. */
function refusal(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => socket.once('error', (error) => resolve(error.message)));
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('MQTT over TLS', () => {
  const client = { protocolVersion: 4, reconnectPeriod: 0, clientId: 'a' } as const;

  it('carries messages and their acknowledgements, large ones, too', async () => {
    const { url, sink } = await startTls();
    const mqtt = await connectAsync(url, { ...client, ca: authority.ca });
    cleanups.push(() => mqtt.endAsync(true));
    for (const size of [10, 200_000]) await mqtt.publishAsync('t', 'x'.repeat(size), { qos: 1 });
    expect(sink.payloads.map(({ length }) => length)).toEqual([10, 200_000]);
  });

  it('knows a device by its certificate: common name and alternative names reach the gatekeeper', async () => {
    const { url, gatekeeper, sink } = await startTls({ requireCertificate: true });
    const { cert, key } = device;
    const mqtt = await connectAsync(url, { ...client, ca: authority.ca, cert, key });
    cleanups.push(() => mqtt.endAsync(true));
    expect(gatekeeper.asked[0].certificate).toEqual({
      commonName: 'pump-1',
      names: ['pump-1.plant', 'urn:dev:pump-1'],
    });
    await mqtt.publishAsync('devices/pump-1/telemetry', '{"x":1}', { qos: 1 });
    expect(sink.messages[0].sender).toEqual({ device: 'pump-1', forOthers: false });
  });

  it('takes a certificate of somebody else for none', async () => {
    const { url, gatekeeper } = await startTls();
    const { cert, key } = await stranger.client({ commonName: 'pump-1' });
    const mqtt = await connectAsync(url, { ...client, ca: authority.ca, cert, key });
    cleanups.push(() => mqtt.endAsync(true));
    expect(gatekeeper.asked[0].certificate).toBeNull();
  });

  it('ends whoever has no certificate of ours when one is required', async () => {
    const { broker, gatekeeper } = await startTls({ requireCertificate: true });
    const { cert, key } = await stranger.client({ commonName: 'pump-1' });
    for (const identity of [{}, { cert, key }]) {
      const socket = connectTls({ host: '127.0.0.1', port: broker.tlsPort ?? 0, ca: authority.ca, ...identity });
      // In TLS 1.3 the client has done its part before the server has looked at the certificate.
      socket.on('error', () => {});
      socket.write(connectPacket('pump-1'));
      await closed(socket);
    }
    expect(gatekeeper.asked).toEqual([]);
    await eventually(() => broker.counts().halfOpen === 0);
  });

  it('tells why a CONNECT is refused', async () => {
    const { url } = await startTls();
    const refused = connectAsync(url, { ...client, ca: authority.ca, username: 'a', password: 'wrong' });
    await expect(refused).rejects.toMatchObject({ code: 4 });
  });

  it('speaks TLS 1.2 at least', async () => {
    const { broker } = await startTls();
    const { ca } = authority;
    const port = broker.tlsPort ?? 0;
    const old = connectTls({ host: '127.0.0.1', port, ca, maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await expect(once(old, 'secureConnect')).rejects.toThrow();
  });

  it('counts a handshake as half open, and ends one that is not finished in time', async () => {
    const { broker, clock } = await startTls();
    const silent = await dialPlain(broker.tlsPort ?? 0);
    await eventually(() => broker.counts().halfOpen === 1);
    clock.advance(5_000);
    await once(silent, 'close');
    expect(broker.counts()).toMatchObject({ halfOpen: 0, halfOpenTimedOut: 1 });
  });

  it('does not start with a file that is not there, and says which option names it', async () => {
    await expect(startTls({ cert: '/nowhere/cert.pem' })).rejects.toThrow(/^mqtt\.tls\.cert: ENOENT/);
  });
});

describe('alternative names of a certificate', () => {
  it('are read one by one, also when they hold what separates them', () => {
    expect(alternativeNames('DNS:a, IP Address:10.0.0.1, URI:urn:b, email:x@y')).toEqual(['a', 'urn:b']);
    expect(alternativeNames('URI:"a, DNS:admin", DNS:b')).toEqual(['a, DNS:admin', 'b']);
    expect(alternativeNames('')).toEqual([]);
  });
});

describe('MQTT over WebSocket', () => {
  it('carries messages both ways, and the gatekeeper hears of the address that the proxy told of', async () => {
    const { url, sink, gatekeeper } = await startWebSocket();
    const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, clientId: 'page' });
    cleanups.push(() => client.endAsync(true));
    await client.subscribeAsync('t', { qos: 1 });
    const heard = new Promise((resolve) => client.once('message', (topic, { length }) => resolve([topic, length])));
    await client.publishAsync('t', 'x'.repeat(90_000), { qos: 1 });
    expect(await heard).toEqual(['t', 90_000]);
    expect(sink.messages).toHaveLength(1);
    expect(gatekeeper.asked[0].remoteAddress).toBe('192.0.2.7');
  });

  it.each(['mqtt', 'mqttv3.1'])('is agreed on as %s', async (protocol) => {
    const { url } = await startWebSocket();
    expect((await openSocket(url, ['other', protocol])).protocol).toBe(protocol);
  });

  it('is refused to whoever offers another subprotocol, or none', async () => {
    const { url, broker } = await startWebSocket();
    for (const protocols of [['graphql-ws'], []]) {
      const socket = new WebSocket(url, protocols);
      expect(await refusal(socket)).toContain('400');
    }
    await eventually(() => broker.counts().halfOpen === 0);
  });

  it('may cut a packet over frames and put several into one', async () => {
    const { url } = await startWebSocket();
    const socket = await openSocket(url);
    const connect = connectPacket('a');
    const connack = message(socket);
    socket.send(connect.subarray(0, 5));
    socket.send(connect.subarray(5));
    expect(await connack).toEqual([0x20, 2, 0, 0]);
    const answers = message(socket);
    socket.send(
      Buffer.concat([publishPacket('t', 'x', { qos: 1, id: 1 }), publishPacket('t', 'y', { qos: 1, id: 2 })]),
    );
    expect(await answers).toEqual([0x40, 2, 0, 1, 0x40, 2, 0, 2]);
  });

  it('ends with 1003 at a frame of text', async () => {
    const { url, sink, broker } = await startWebSocket();
    const socket = await openSocket(url);
    const connack = message(socket);
    socket.send(connectPacket('a'));
    await connack;
    socket.send(publishPacket('t', 'x').toString('latin1'));
    const code = await closing(socket);
    expect([code, sink.messages]).toEqual([1003, []]);
    await eventually(() => broker.counts().connections === 0);
  });

  it('ends with 1009 at a frame that is larger than the largest packet', async () => {
    const { url } = await startWebSocket();
    const socket = await openSocket(url);
    const connack = message(socket);
    socket.send(connectPacket('a'));
    await connack;
    socket.send(new Uint8Array(100_006));
    expect(await closing(socket)).toBe(1009);
  });

  it('ends a client that said goodbye, and its socket with it', async () => {
    const { url, broker } = await startWebSocket();
    const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, clientId: 'page' });
    expect(broker.counts().connections).toBe(1);
    await client.endAsync();
    await eventually(() => broker.counts().connections === 0);
  });

  it('tells why a CONNECT is refused', async () => {
    const { url } = await startWebSocket();
    const options = { protocolVersion: 4, reconnectPeriod: 0, username: 'a', password: 'wrong' } as const;
    await expect(connectAsync(url, options)).rejects.toMatchObject({ code: 4 });
  });

  it('whose pages fall silent before CONNECT end in time', async () => {
    const { url, clock, broker } = await startWebSocket();
    const socket = await openSocket(url);
    expect(broker.counts().halfOpen).toBe(1);
    clock.advance(5_000);
    await once(socket, 'close');
    expect(broker.counts().halfOpenTimedOut).toBe(1);
  });

  it('does not start after the broker has stopped', async () => {
    const { url, broker, clock } = await startWebSocket();
    const stopping = broker.stop();
    clock.advance(5_000);
    await stopping;
    const socket = new WebSocket(url, 'mqtt');
    expect(await refusal(socket)).toContain('hang up');
  });
});

async function dialPlain(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}
