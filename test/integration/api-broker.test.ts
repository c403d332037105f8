import { connectAsync } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/contract/broker.ts';
import { Authority } from '../support/certificates.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';

// Where a gateway says that devices connect is where they are let in.

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function start(flags: Readonly<Record<string, unknown>>): Promise<RunningGateway> {
  const running = await startGateway(flags);
  stops.push(() => running.stop());
  return running;
}

test('the embedded broker is named with the ports that were picked, and takes connections at each', async () => {
  const authority = await Authority.create();
  stops.push(() => authority.remove());
  const { certPath, keyPath } = await authority.server();
  const running = await start({
    'http.basePath': '/telemetry',
    'mqtt.tls.cert': certPath,
    'mqtt.tls.key': keyPath,
    'mqtt.tls.port': 0,
  });
  const facts = await running.http.get(Broker, '/telemetry/api/v1/broker');
  expect(facts).toEqual({
    mode: 'embedded',
    url: running.mqtt.url,
    tlsUrl: expect.stringMatching(/^mqtts:\/\/127\.0\.0\.1:[1-9]\d*$/),
    webSocketPath: '/telemetry/mqtt',
  });
  for (const url of [facts.url, facts.tlsUrl ?? '', `ws://127.0.0.1:${running.http.port}${facts.webSocketPath}`]) {
    const client = await connectAsync(url, { clientId: 'a', reconnectPeriod: 0, ca: authority.ca });
    await client.endAsync(true);
  }
});

test('an external broker is named without the credentials for it, and nothing is offered beside it', async () => {
  const running = await start({ 'mqtt.mode': 'external', 'mqtt.external.url': 'mqtt://user:secret@127.0.0.1:1' });
  expect(await running.http.get(Broker, '/api/v1/broker')).toEqual({
    mode: 'external',
    url: 'mqtt://127.0.0.1:1',
    tlsUrl: null,
    webSocketPath: null,
  });
});

test('no WebSocket is offered where it is turned off', async () => {
  const running = await start({ 'mqtt.webSocket': false });
  expect(await running.http.get(Broker, '/api/v1/broker')).toMatchObject({ tlsUrl: null, webSocketPath: null });
});
