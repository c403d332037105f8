// What external mode and the simulator rely on in mqtt.js, heard by a broker that only speaks bytes.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect, type MqttClient } from 'mqtt';
import { afterEach, expect, it } from 'vitest';
import { idOf, packetType, publishPacket, WireClient } from '../support/mqtt-wire.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A client of mqtt.js, and the other end of its connection. */
async function pair(): Promise<{ client: MqttClient; broker: WireClient }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const port = (server.address() as AddressInfo).port;
  const client = connect({ host: '127.0.0.1', port, protocolVersion: 4, reconnectPeriod: 0, clientId: 'receiver' });
  client.on('error', () => {});
  cleanups.push(() => client.endAsync(true));
  const [socket] = await once(server, 'connection');
  const broker = new WireClient(socket);
  cleanups.push(() => broker.end());
  await broker.next();
  broker.send(Buffer.from([packetType.connack << 4, 2, 0, 0]));
  await new Promise<void>((resolve) => client.once('connect', () => resolve()));
  return { client, broker };
}

/** Payloads as they are handed to `handleMessage`, and what each calls back. */
function handler(client: MqttClient): { events: string[]; next: () => Promise<(error?: Error) => void> } {
  const events: string[] = [];
  const waiting: ((error?: Error) => void)[] = [];
  let arrived = Promise.withResolvers<void>();
  client.on('message', (_topic, payload) => events.push(`message ${payload.toString()}`));
  client.handleMessage = (packet, done) => {
    events.push(`handle ${packet.payload.toString()}`);
    waiting.push(done);
    arrived.resolve();
  };
  return {
    events,
    next: async () => {
      await arrived.promise;
      arrived = Promise.withResolvers();
      return waiting.shift() ?? ((): void => {});
    },
  };
}

it('on MQTT 3.1.1 the PUBACK waits for handleMessage, one packet at a time, after the message event', async () => {
  const { client, broker } = await pair();
  const { events, next } = handler(client);
  broker.send(publishPacket('t', 'a', { qos: 1, id: 1 }), publishPacket('t', 'b', { qos: 1, id: 2 }));
  const first = await next();
  expect([events, broker.packets]).toEqual([['message a', 'handle a'], []]);
  first();
  const puback = await broker.next();
  expect([puback.type, idOf(puback)]).toEqual([packetType.puback, 1]);
  const second = await next();
  expect([events, broker.packets]).toEqual([['message a', 'handle a', 'message b', 'handle b'], []]);
  second();
  expect(idOf(await broker.next())).toBe(2);
});

it('an error from handleMessage suppresses the PUBACK', async () => {
  const { client, broker } = await pair();
  const { next } = handler(client);
  broker.send(publishPacket('t', 'a', { qos: 1, id: 1 }));
  (await next())(new Error('not stored'));
  // Whatever comes next from the client, it is not the acknowledgement.
  client.publish('after', '');
  expect((await broker.next()).type).toBe(packetType.publish);
});
