import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { get as getOverTls } from 'node:https';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Aedes } from 'aedes';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { DeviceTokenBook } from '../../src/access/device-tokens.ts';
import { FailedAttempts } from '../../src/access/failed-attempts.ts';
import { newKey } from '../../src/access/keys.ts';
import { RequestJudge } from '../../src/access/request-judge.ts';
import { livePath, type Upgraded } from '../../src/api/admission.ts';
import { createApi } from '../../src/api/app.ts';
import { HttpServer } from '../../src/api/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { ServerFrame } from '../../src/contract/live.ts';
import { errorCodes } from '../../src/contract/error-codes.ts';
import { Problem } from '../../src/contract/rest.ts';
import { LiveHub } from '../../src/live/hub.ts';
import { Strangers } from '../support/api-strangers.ts';
import { Authority } from '../support/certificates.ts';
import { LiveSource } from '../support/live-source.ts';
import { Nginx } from '../support/nginx.ts';

// A real nginx in front, the way its manual says, with the gateway below /telemetry/: once with the path taken away by
// nginx, once with `http.basePath`. Clients are 127.0.0.2 and so on, which nobody trusts; nginx itself is 127.0.0.1.

const page = 'https://dash.example';
const proxyLines = [
  'proxy_http_version 1.1;',
  'proxy_set_header Host $http_host;',
  'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
  'proxy_set_header X-Forwarded-Proto $scheme;',
  'proxy_set_header X-Forwarded-Host $http_host;',
  'proxy_set_header Upgrade $http_upgrade;',
  'proxy_set_header Connection $connection_upgrade;',
  'proxy_read_timeout 1h;',
];

/** What stands behind the listener: the API over strangers, the live hub, an MQTT broker; and who came to them. */
class Upstream {
  readonly strangers = new Strangers();
  readonly source = new LiveSource();
  readonly upgraded: Upgraded[] = [];
  readonly server: HttpServer;
  readonly hub: LiveHub;
  readonly broker: Aedes;
  readonly key: string;
  port = 0;
  readonly #websockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'mqtt' });

  constructor(broker: Aedes, options: { basePath: string; tls?: { cert: string; key: string } }) {
    this.broker = broker;
    const { strangers, source } = this;
    const { key, record } = newKey(strangers.random, { name: 'k', createdAt: '2026-01-01T00:00:00.000Z' });
    this.key = key;
    strangers.keys.push(record);
    this.hub = new LiveHub({
      epoch: () => source.epoch,
      position: () => source.published,
      directory: source,
      latest: source,
      openAlerts: source.openAlerts,
      readLog: source.readLog,
      clock: systemClock,
      log: silentLog,
      version: '0.0.0-test',
    });
    this.hub.start();
    const api = createApi(
      strangers.ports({
        basePath: options.basePath,
        corsOrigins: [page],
        proxies: { trustProxy: true, trustedProxies: ['127.0.0.1'] },
        access: new RequestJudge({
          policy: () => ({ openMode: false, keys: strangers.keys, corsOrigins: [page] }),
          tokens: new DeviceTokenBook(),
          devices: { refusal: () => null, isGateway: () => false },
          failures: new FailedAttempts({ clock: systemClock, perMinute: 5 }),
          now: () => systemClock.now(),
        }),
      }),
    );
    this.server = new HttpServer({
      api,
      host: '127.0.0.1',
      port: 0,
      clock: systemClock,
      log: silentLog,
      tls: options.tls ?? null,
      upgrades: new Map([
        [
          livePath,
          {
            isPublic: false,
            take: (incoming, socket, head, upgraded) => {
              this.upgraded.push(upgraded);
              this.hub.handleUpgrade(incoming, socket, head);
            },
          },
        ],
        [
          '/mqtt',
          {
            isPublic: true,
            take: (incoming, socket, head, upgraded) => {
              this.upgraded.push(upgraded);
              this.#websockets.handleUpgrade(incoming, socket, head, (websocket) =>
                this.broker.handle(createWebSocketStream(websocket)),
              );
            },
          },
        ],
      ]),
    });
  }

  static async start(options: { basePath: string; tls?: { cert: string; key: string } }): Promise<Upstream> {
    const upstream = new Upstream(await Aedes.createBroker(), options);
    ({ port: upstream.port } = await upstream.server.start());
    return upstream;
  }

  async stop(): Promise<void> {
    await this.server.stop(1_000);
    await this.hub.stop(1_000);
    await new Promise<void>((resolve) => this.broker.close(resolve));
  }
}

let taken: Upstream;
let kept: Upstream;
let secured: Upstream;
let nginx: Nginx;
let authority: Authority;

beforeAll(async () => {
  authority = await Authority.create();
  taken = await Upstream.start({ basePath: '' });
  kept = await Upstream.start({ basePath: '/gateway' });
  secured = await Upstream.start({ basePath: '', tls: await authority.server() });
  nginx = await Nginx.start([
    `location /telemetry/ { proxy_pass http://127.0.0.1:${taken.port}/; proxy_set_header X-Forwarded-Prefix /telemetry;`,
    ...proxyLines,
    `} location /gateway { proxy_pass http://127.0.0.1:${kept.port};`,
    ...proxyLines,
    '}',
  ]);
});
afterAll(async () => {
  await nginx.stop();
  await Promise.all([taken.stop(), kept.stop(), secured.stop()]);
  authority.remove();
});

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One request from an address of this machine. */
function ask(
  path: string,
  options: {
    from?: string;
    port?: number;
    method?: string;
    headers?: Record<string, string>;
    body?: string;
  } = {},
): Promise<Answered> {
  const { from = '127.0.0.2', port = nginx.port, method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, localAddress: from, path, method, headers, agent: false },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function codeOf(answer: Answered): string {
  const { code, status } = Problem.parse(JSON.parse(answer.text));
  expect(answer.status).toBe(status);
  expect(errorCodes).toHaveProperty(code);
  return code;
}

describe.each([
  ['/telemetry', () => taken],
  ['/gateway', () => kept],
])('below %s', (prefix, upstream) => {
  const authorization = (): Record<string, string> => ({ authorization: `Bearer ${upstream().key}` });

  test('REST answers with a key and refuses without one', async () => {
    const { status, text } = await ask(`${prefix}/api/v1/devices`, { headers: authorization() });
    expect([status, JSON.parse(text)]).toEqual([200, { items: [], next: null }]);
    expect(codeOf(await ask(`${prefix}/api/v1/devices`))).toBe('unauthorized');
    expect((await ask(`${prefix}/healthz`)).status).toBe(200);
  });

  test('what was made is found where Location says', async () => {
    const made = await ask(`${prefix}/api/v1/keys`, {
      method: 'POST',
      headers: { ...authorization(), 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'reader', scopes: ['read'] }),
    });
    const location = made.headers.location ?? '';
    expect(location).toMatch(new RegExp(`^${prefix}/api/v1/keys/\\w{8}$`));
    expect((await ask(location, { headers: authorization() })).status).toBe(200);
  });

  test('the live stream comes through as it is made', async () => {
    const { source, hub, upgraded } = upstream();
    const socket = new WebSocket(`ws://127.0.0.1:${nginx.port}${prefix}/api/v1/live`, {
      headers: authorization(),
      localAddress: '127.0.0.2',
    });
    const frames: ServerFrame[] = [];
    const news = new Promise<void>((resolve) => {
      socket.on('message', (message: Buffer) => {
        const frame = ServerFrame.parse(JSON.parse(message.toString()));
        frames.push(frame);
        if (frame.op === 'hello') socket.send(JSON.stringify({ op: 'subscribe', id: 'a', topic: 'readings' }));
        if (frame.op === 'snapshot' && frame.done) {
          source.commit([{ device: 'one', metric: 'x', time: 1_790_000_000_000, value: 7 }]);
          source.publishNext((batch) => hub.publish(batch));
        }
        if (frame.op === 'readings') resolve();
      });
    });
    await news;
    expect(frames.at(-1)).toMatchObject({ readings: [{ device: 'one', metric: 'x', value: 7 }] });
    expect(upgraded.at(-1)).toMatchObject({ caller: { kind: 'key' }, remoteAddress: '127.0.0.2' });
    socket.close();
    await once(socket, 'close');
  });

  test('an upgrade without a key is refused as a problem', async () => {
    expect(await refusedUpgrade(`${prefix}/api/v1/live`, {})).toBe('unauthorized');
    expect(await refusedUpgrade(`${prefix}/api/v1/other`, authorization())).toBe('not_found');
  });

  test('MQTT is spoken over WebSocket without a key of HTTP, and not by pages elsewhere', async () => {
    const { broker, upgraded } = upstream();
    const url = `ws://127.0.0.1:${nginx.port}${prefix}/mqtt`;
    const client = await connectAsync(url, { reconnectPeriod: 0, wsOptions: { localAddress: '127.0.0.3' } });
    const heard = once(broker, 'publish');
    await client.publishAsync('devices/one/telemetry/x', '7', { qos: 1 });
    await heard;
    await client.endAsync();
    expect(upgraded.at(-1)).toEqual({ caller: { kind: 'anyone' }, remoteAddress: '127.0.0.3' });
    expect(await refusedUpgrade(`${prefix}/mqtt`, { origin: 'https://evil.example' })).toBe('origin_not_allowed');
  });

  test('a preflight of a listed page is answered, and its request goes through; others are not', async () => {
    const preflight = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
    const allowed = await ask(`${prefix}/api/v1/devices`, {
      method: 'OPTIONS',
      headers: { origin: page, ...preflight },
    });
    expect([allowed.status, allowed.headers['access-control-allow-origin']]).toEqual([204, page]);
    expect(allowed.headers['access-control-allow-headers']).toContain('authorization');
    const asked = await ask(`${prefix}/api/v1/devices`, { headers: { origin: page, ...authorization() } });
    expect([asked.status, asked.headers['access-control-allow-origin']]).toEqual([200, page]);
    const evil = { origin: 'https://evil.example' };
    const refused = await ask(`${prefix}/api/v1/devices`, { method: 'OPTIONS', headers: { ...evil, ...preflight } });
    expect(codeOf(refused)).toBe('origin_not_allowed');
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
  });

  test('a page of the gateway’s own name may ask under the scheme that nginx was asked with', async () => {
    const own = `127.0.0.1:${nginx.port}`;
    const asked = (origin: string): Promise<Answered> =>
      ask(`${prefix}/api/v1/devices`, { headers: { host: own, origin, ...authorization() } });
    expect((await asked(`http://${own}`)).status).toBe(200);
    expect(codeOf(await asked(`https://${own}`))).toBe('origin_not_allowed');
  });
});

test('wrong keys bar the client that sent them, whatever it says of itself, and nobody else behind nginx', async () => {
  const right = { authorization: `Bearer ${taken.key}` };
  const devices = '/telemetry/api/v1/devices';
  for (let attempt = 1; attempt <= 5; attempt++) {
    const headers = { authorization: 'Bearer pulse_guess', 'x-forwarded-for': `6.6.6.${attempt}` };
    expect(codeOf(await ask(devices, { from: '127.0.0.7', headers }))).toBe('unauthorized');
  }
  const barred = await ask(devices, { from: '127.0.0.7', headers: { ...right, 'x-forwarded-for': '6.6.6.9' } });
  expect(codeOf(barred)).toBe('rate_limited');
  expect((await ask(devices, { from: '127.0.0.8', headers: right })).status).toBe(200);
});

test('past nginx nothing that a client says of its way is believed', async () => {
  const right = { authorization: `Bearer ${taken.key}` };
  const direct = { port: taken.port, from: '127.0.0.9' };
  const evil = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', origin: 'https://evil.example' };
  expect(codeOf(await ask('/api/v1/devices', { ...direct, headers: { ...right, ...evil } }))).toBe(
    'origin_not_allowed',
  );
  for (let attempt = 1; attempt <= 5; attempt++) {
    const headers = { authorization: 'Bearer pulse_guess', 'x-forwarded-for': '127.0.0.10' };
    await ask('/api/v1/devices', { ...direct, headers });
  }
  expect(codeOf(await ask('/api/v1/devices', { ...direct, headers: right }))).toBe('rate_limited');
  expect((await ask('/telemetry/api/v1/devices', { from: '127.0.0.10', headers: right })).status).toBe(200);
});

test('with a certificate of its own the listener speaks HTTPS and WSS', async () => {
  const authorization = { authorization: `Bearer ${secured.key}` };
  const status = await new Promise((resolve, reject) => {
    getOverTls(
      { host: 'localhost', port: secured.port, path: '/api/v1/devices', ca: authority.ca, headers: authorization },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      },
    ).on('error', reject);
  });
  expect(status).toBe(200);
  const url = `wss://localhost:${secured.port}/api/v1/live`;
  const origin = `https://localhost:${secured.port}`;
  const socket = new WebSocket(url, { ca: authority.ca, headers: { ...authorization, origin } });
  const [hello] = await once(socket, 'message');
  expect(JSON.parse(String(hello))).toMatchObject({ op: 'hello' });
  socket.close();
  await once(socket, 'close');
});

test('a connection that never finishes its TLS handshake does not keep the listener from stopping', async () => {
  const upstream = await Upstream.start({ basePath: '', tls: await authority.server() });
  const idle = connect(upstream.port, '127.0.0.1');
  idle.on('error', () => {});
  await once(idle, 'connect');
  // Those who came later were served, so this one was accepted, too.
  const client = connectTls({ host: 'localhost', port: upstream.port, ca: authority.ca });
  await once(client, 'secureConnect');
  const ended = Promise.all([once(idle, 'close'), once(client, 'close')]);
  await upstream.stop();
  await ended;
});

/** The code with which an upgrade is refused. */
function refusedUpgrade(path: string, headers: Record<string, string>): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${nginx.port}${path}`, { headers, localAddress: '127.0.0.4' });
  return new Promise((resolve, reject) => {
    socket.on('open', () => reject(new Error('the upgrade went ahead')));
    socket.on('error', () => {});
    socket.on('unexpected-response', (sent, answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => {
        sent.destroy();
        resolve(codeOf({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      });
    });
  });
}
