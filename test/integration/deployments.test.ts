// The examples of config/deployments are taken as they stand, but for addresses and certificates of this machine.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { GatewayClient } from '../../src/cli/gateway-client.ts';
import { loadConfig } from '../../src/config/load.ts';
import { KeyCreated } from '../../src/contract/key.ts';
import { ServerFrame } from '../../src/contract/live.ts';
import { createGateway } from '../../src/gateway.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { startGatewayHere, untilReadiness, type GatewayHere } from '../support/gateway-here.ts';
import { ask as get, send } from '../support/http-client.ts';
import { freePort, Mosquitto } from '../support/mosquitto.ts';
import { findNginx } from '../support/system-packages.ts';
import { tempFolder } from '../support/temp-folder.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../config/deployments/${name}`, import.meta.url));

describe('behind nginx.conf', () => {
  const folder = tempFolder();
  let authority: Authority;
  let certificate: Certificate;
  let upstream: GatewayHere;
  let nginx: ChildProcess;
  let key: string;
  let port: number;

  beforeAll(async () => {
    authority = await Authority.create();
    certificate = await authority.server();
    // The key is made in open mode, as with `keys create`; then the gateway goes behind the proxy.
    const data = join(folder.path, 'data');
    const first = await startGatewayHere(data);
    const made = await send(first.httpPort, 'POST', '/api/v1/keys', { name: 'me', scopes: ['admin'] });
    ({ key } = KeyCreated.parse(made.json()));
    await first.gateway.stop();
    upstream = await startGatewayHere(data, { 'http.trustProxy': true });
    port = await freePort();
    nginx = await startNginx();
  });
  afterAll(async () => {
    nginx.kill('SIGTERM');
    await once(nginx, 'exit');
    await upstream.gateway.stop();
    authority.remove();
    folder.remove();
  });

  async function startNginx(): Promise<ChildProcess> {
    const program = findNginx();
    if (program === undefined) throw new Error('nginx is not installed');
    const server = readFileSync(example('nginx.conf'), 'utf8')
      .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
      .replace('127.0.0.1:8080', `127.0.0.1:${upstream.httpPort}`)
      .replace(/ssl_certificate .*;/, `ssl_certificate ${certificate.certPath};`)
      .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${certificate.keyPath};`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const main = [
      'daemon off;',
      'worker_processes 1;',
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      `pid ${folder.path}/nginx.pid;`,
      'error_log stderr notice;',
      'events { worker_connections 64; }',
      'http {',
      'access_log off;',
      ...temporary.map((name) => `${name}_temp_path ${folder.path}/${name};`),
      server,
      '}',
    ];
    const file = join(folder.path, 'nginx.conf');
    writeFileSync(file, main.join('\n'));
    const child = spawn(program, ['-p', folder.path, '-c', file, '-e', 'stderr'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('start worker process ')) resolve();
      });
      child.once('exit', () => reject(new Error(`nginx ended: ${said}`)));
    });
    return child;
  }

  /** One request through nginx, as a page of its own origin sends it. */
  function ask(path: string, headers: Record<string, string>, body?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = request(
        `https://127.0.0.1:${port}${path}`,
        {
          ca: authority.ca,
          method: body === undefined ? 'GET' : 'POST',
          headers: { origin: `https://127.0.0.1:${port}`, 'content-type': 'application/json', ...headers },
        },
        (answer) => {
          answer.resume();
          answer.once('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      sent.once('error', reject);
      sent.end(body);
    });
  }

  test('the own pages may ask with a key, and nobody without one', async () => {
    expect(await ask('/', {})).not.toBe(403);
    expect(await ask('/api/v1/devices', { authorization: `Bearer ${key}` })).toBe(200);
    expect(await ask('/api/v1/devices', {})).toBe(401);
  });

  test('as much can be posted as to the gateway itself', async () => {
    const many = Array.from({ length: 40_000 }, (_, n) => ({ device: 'd', metric: 'm', value: n, time: 1.6e12 + n }));
    const body = JSON.stringify(many);
    expect(body.length).toBeGreaterThan(2 ** 21);
    const authorization = `Bearer ${key}`;
    expect(await ask('/api/v1/devices', { authorization }, '{"id":"d"}')).toBe(201);
    expect(await ask('/api/v1/readings', { authorization }, body)).toBe(200);
  });

  test('dashboards watch', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/api/v1/live`, {
      ca: authority.ca,
      headers: { authorization: `Bearer ${key}`, origin: `https://127.0.0.1:${port}` },
    });
    const [first] = (await once(socket, 'message')) as [Buffer];
    expect(ServerFrame.parse(JSON.parse(first.toString())).op).toBe('hello');
    socket.terminate();
  });

  test('devices speak MQTT over WebSocket', async () => {
    const options = { username: 'me', password: key, reconnectPeriod: 0, ca: authority.ca };
    const client = await connectAsync(`wss://127.0.0.1:${port}/mqtt`, options);
    await client.endAsync(true);
    await expect(connectAsync(`wss://127.0.0.1:${port}/mqtt`, { ...options, password: 'wrong' })).rejects.toThrow(
      /user ?name or password/i,
    );
  });
});

test('mosquitto.yaml is a whole configuration: what is published at the broker is stored', async () => {
  const broker = await Mosquitto.start({ persistent: true });
  const folder = tempFolder();
  const file = example('mosquitto.yaml');
  const flags = { 'data.dir': folder.path, 'http.port': 0, 'mqtt.external.url': broker.url };
  expect(loadConfig({ file }).mqtt.external.url).toBe('mqtt://127.0.0.1:1883');
  const gateway = createGateway(loadConfig({ file, flags }));
  await gateway.start();
  const httpPort = Number(new URL(gateway.httpUrl).port);
  await untilReadiness(httpPort, 200);
  const device = await connectAsync(broker.url);
  await device.publishAsync('devices/boiler/telemetry', '{"temperature":61}', { qos: 1 });
  await device.endAsync();
  await expect.poll(() => gateway.ledger.readings.stored).toBe(1);
  await gateway.stop();
  await broker.remove();
  folder.remove();
});

test('with small.yaml the gateway keeps what its comments say', async () => {
  const { storage } = loadConfig({ file: example('small.yaml') });
  expect(storage).toMatchObject({ maxBytes: 4 * 1_024 ** 3, resumeBytesMax: 64 * 1_024 ** 2 });
  const folder = tempFolder();
  const flags = { 'data.dir': folder.path, 'http.port': 0, 'mqtt.port': 0 };
  const gateway = createGateway(loadConfig({ file: example('small.yaml'), flags }));
  await gateway.start();
  const answer = await get(Number(new URL(gateway.httpUrl).port), '/api/v1/retention');
  expect(answer.json()).toEqual({ rules: [], default: { raw: '90d', minute: '365d', hour: 'forever' } });
  await gateway.stop();
  folder.remove();
});

describe('a certificate', () => {
  const nowhere = '/nowhere.pem';
  const notPem = example('nginx.conf');

  test.each([
    ['that cannot be read', { 'mqtt.tls.cert': nowhere, 'mqtt.tls.key': nowhere }, /^mqtt\.tls\.cert: .*nowhere/],
    ['without its key', { 'mqtt.tls.cert': notPem }, /^mqtt\.tls\.key is missing/],
    ['that is none', { 'mqtt.tls.cert': notPem, 'mqtt.tls.key': notPem }, /^mqtt\.tls: .* no certificate/],
    ['of HTTP that is none', { 'http.tls.cert': notPem, 'http.tls.key': notPem }, /^http\.tls: .* no certificate/],
  ])('%s stops the start, and the option is named', async (_what, flags, message) => {
    await expect(startGateway(flags)).rejects.toMatchObject({
      name: expect.stringMatching(/^(?:Rejected|StartRefused)Error$/),
      message: expect.stringMatching(message),
    });
  });

  test('of an authority that nobody knows is explained to whoever asks from the shell', async () => {
    const authority = await Authority.create();
    const { certPath, keyPath } = await authority.server();
    const running = await startGateway({ 'http.tls.cert': certPath, 'http.tls.key': keyPath });
    const client = new GatewayClient({ url: running.gateway.httpUrl }, {});
    await expect(client.ask('GET', '/devices')).rejects.toThrow('NODE_EXTRA_CA_CERTS');
    await running.stop();
    authority.remove();
  });
});
