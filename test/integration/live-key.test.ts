import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { KeyCreated } from '../../src/contract/key.ts';
import { liveSubprotocol } from '../../src/contract/live.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';

// A page in a browser can set no header of a WebSocket: its key comes as a subprotocol beside the one that is spoken.

let running: RunningGateway;
let lines: string[];
let key: string;

beforeEach(async () => {
  lines = [];
  const write = (facts: object, message: string): void => void lines.push(`${JSON.stringify(facts)} ${message}`);
  const log = { debug: write, info: write, warn: write, error: write };
  running = await startGateway({}, { log });
  ({ key } = await running.http.post(KeyCreated, '/api/v1/keys', { name: 'page', scopes: ['admin'] }, 201));
});
afterEach(() => running.stop());

interface Outcome {
  /** HTTP status of a refusal; 101 when the connection was upgraded. */
  readonly status: number;
  readonly protocol: string;
  /** Everything the other end sent before the connection was closed: headers, and a body or the first frame. */
  readonly answer: string;
}

function offer(protocols: string[], options: { path?: string; authorization?: string } = {}): Promise<Outcome> {
  const { path = '/api/v1/live', authorization } = options;
  const url = `ws://127.0.0.1:${running.http.port}${path}`;
  const socket = new WebSocket(url, protocols, authorization === undefined ? {} : { headers: { authorization } });
  return new Promise((resolve, reject) => {
    let head = '';
    socket.on('upgrade', (response) => (head = JSON.stringify(response.headers)));
    socket.on('message', (data: Buffer) => {
      resolve({ status: 101, protocol: socket.protocol, answer: `${head}${data.toString()}` });
      socket.terminate();
    });
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => {
        const answer = JSON.stringify(response.headers) + body;
        resolve({ status: response.statusCode ?? 0, protocol: '', answer });
      });
    });
    socket.on('error', reject);
  });
}

describe('a key among the subprotocols', () => {
  test('lets a page in, and the answer names the protocol that is spoken and nothing of the key', async () => {
    const { status, protocol, answer } = await offer([liveSubprotocol, `pulsegate.key.${key}`]);
    expect([status, protocol]).toEqual([101, liveSubprotocol]);
    expect(answer).toContain('"op":"hello"');
    expect(answer).not.toContain(key);
  });

  test('is refused when it is wrong or missing, without being repeated', async () => {
    const wrong = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`;
    const refused = await offer([liveSubprotocol, `pulsegate.key.${wrong}`]);
    expect(refused.status).toBe(401);
    expect(refused.answer).not.toContain(wrong);
    expect((await offer([liveSubprotocol])).status).toBe(401);
    expect((await offer([liveSubprotocol, 'pulsegate.key.'])).status).toBe(401);
  });

  test('is not chosen as the protocol when it is offered alone', async () => {
    const { status, answer } = await offer([`pulsegate.key.${key}`]);
    expect(status).toBe(400);
    expect(answer).not.toContain(key);
  });

  test('does not stand in for a header that says otherwise, and is no key to anything but the live stream', async () => {
    const protocols = [liveSubprotocol, `pulsegate.key.${key}`];
    expect((await offer(protocols, { authorization: 'Bearer nonsense' })).status).toBe(401);
    expect((await offer(protocols, { path: '/api/v1/other' })).status).toBe(401);
    const headers = { 'sec-websocket-protocol': protocols.join(', ') };
    expect((await running.http.ask('/api/v1/devices', { headers })).status).toBe(401);
  });

  test('is in no line of the log', async () => {
    await offer([liveSubprotocol, `pulsegate.key.${key}`]);
    await offer([`pulsegate.key.${key}`]);
    expect(lines.join('\n')).not.toContain(key);
  });
});
