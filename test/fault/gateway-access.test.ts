// Closed by default, asked at the doors of a whole gateway: HTTP, the WebSocket upgrade and MQTT.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { KeyCreated } from '../../src/contract/key.ts';
import { type GatewayHere, startGatewayHere } from '../support/gateway-here.ts';
import { ask, send } from '../support/http-client.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let here: GatewayHere;
let cleanups: (() => unknown)[];
beforeEach(() => {
  folder = tempFolder();
  cleanups = [() => folder.remove()];
});
afterEach(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

async function start(settings: Readonly<Record<string, unknown>> = {}): Promise<void> {
  here = await startGatewayHere(folder.path, settings);
  cleanups.push(() => here.gateway.stop());
}

/** The status with which an upgrade is refused, or 101. */
function upgrade(headers: Readonly<Record<string, string>>): Promise<number> {
  const socket = new WebSocket(here.liveUrl, { headers });
  return new Promise((resolve, reject) => {
    socket.on('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    socket.on('open', () => {
      resolve(101);
      socket.terminate();
    });
    socket.on('error', reject);
  });
}

function connectMqtt(password?: string): Promise<MqttClient> {
  const credentials = password === undefined ? {} : { username: 'pump-1', password };
  return connectAsync(`mqtt://127.0.0.1:${here.mqttPort}`, {
    clientId: 'pump-1',
    protocolVersion: 4,
    reconnectPeriod: 0,
    ...credentials,
  });
}

async function status(path: string, init: RequestInit): Promise<number> {
  return (await fetch(`http://127.0.0.1:${here.httpPort}/api/v1/${path}`, init)).status;
}

it('open mode asks for a media type only where a body is read', async () => {
  await start();
  const answers = await Promise.all([
    status('devices', { method: 'PUT' }),
    status('nowhere', { method: 'POST' }),
    status('readings', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }),
  ]);
  expect(answers).toEqual([405, 404, 415]);
});

describe('with a key', () => {
  let key: string;
  beforeEach(async () => {
    const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
    const created = await promisify(execFile)(process.execPath, [
      main,
      'keys',
      'create',
      'tests',
      '--data',
      folder.path,
    ]);
    key = created.stdout.trim();
    await start();
  });

  it('HTTP answers 401 without it or with another one, and the truth with it', async () => {
    const path = '/api/v1/latest';
    expect((await ask(here.httpPort, path)).status).toBe(401);
    const wrong = { authorization: `Bearer ${key.slice(0, -1)}?` };
    expect((await ask(here.httpPort, path, { headers: wrong })).status).toBe(401);
    expect((await ask(here.httpPort, path, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
    expect((await ask(here.httpPort, '/readyz')).status).toBe(200);
    expect((await ask(here.httpPort, '/metrics')).status).toBe(401);
  });

  it('a live client is let in only with it', async () => {
    expect(await upgrade({})).toBe(401);
    expect(await upgrade({ authorization: `Bearer ${key}` })).toBe(101);
  });

  it('a live client goes when its key goes, and the others stay', async () => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const body = JSON.stringify({ name: 'screen', scopes: ['read'] });
    const made = await ask(here.httpPort, '/api/v1/keys', { method: 'POST', headers, body });
    const screen = KeyCreated.parse(made.json());
    const connect = async (own: string): Promise<WebSocket> => {
      const url = `ws://127.0.0.1:${here.httpPort}/api/v1/live`;
      const socket = new WebSocket(url, { headers: { authorization: `Bearer ${own}` } });
      await once(socket, 'open');
      return socket;
    };
    const [staying, going] = [await connect(key), await connect(screen.key)];
    const gone = once(going, 'close');
    expect((await ask(here.httpPort, `/api/v1/keys/${screen.id}`, { method: 'DELETE', headers })).status).toBe(204);
    await gone;
    expect(staying.readyState).toBe(WebSocket.OPEN);
    staying.terminate();
  });

  it('MQTT refuses without it or with another one, and takes readings with it', async () => {
    const registered = await ask(here.httpPort, '/api/v1/devices', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ id: 'pump-1', token: false }),
    });
    expect(registered.status).toBe(201);
    await expect(connectMqtt()).rejects.toMatchObject({ code: 5 });
    await expect(connectMqtt('pulse_guess')).rejects.toMatchObject({ code: 4 });
    const client = await connectMqtt(key);
    await client.publishAsync('devices/pump-1/telemetry', '{"flow":7}', { qos: 1 });
    await client.endAsync();
    const latest = await ask(here.httpPort, '/api/v1/devices/pump-1/latest', {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(latest.json()).toMatchObject({ values: { flow: { value: 7 } } });
  });

  it('its data folder may be served beyond loopback, which it could not be before', async () => {
    await here.gateway.stop();
    await start({ 'http.host': '0.0.0.0', 'mqtt.host': '0.0.0.0' });
    expect((await ask(here.httpPort, '/api/v1/latest')).status).toBe(401);
  });
});

describe('without a key a page elsewhere cannot', () => {
  const foreign = [
    ['read by an Origin of its own', { origin: 'http://evil.example' }],
    ['read by an opaque Origin', { origin: 'null' }],
    ['read by a name of its own that points here', { host: 'evil.example' }],
    ['read through a proxy', { 'x-forwarded-for': '192.0.2.1' }],
  ] as const;

  it.each(foreign)('%s, nor open the live stream so', async (_name, headers) => {
    await start();
    expect((await ask(here.httpPort, '/api/v1/latest')).status).toBe(200);
    expect((await ask(here.httpPort, '/api/v1/latest', { headers })).status).toBe(403);
    expect(await upgrade({})).toBe(101);
    expect(await upgrade(headers)).toBe(403);
  });

  it('write with a content type that a form may send', async () => {
    await start();
    const row = [{ device: 'pump-1', metric: 'flow', time: Date.now(), value: 1 }];
    const headers = { 'content-type': 'text/plain' };
    const asForm = await ask(here.httpPort, '/api/v1/readings', { method: 'POST', headers, body: JSON.stringify(row) });
    expect(asForm.status).toBe(415);
    expect((await ask(here.httpPort, '/api/v1/devices/pump-1/latest')).status).toBe(404);
    expect((await send(here.httpPort, 'POST', '/api/v1/readings', row)).status).toBe(200);
  });
});
