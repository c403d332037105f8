import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { closeVerdict } from '../../src/contract/live.ts';
import type { LiveLimits } from '../../src/live/limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveTestClient } from '../support/live-client.ts';
import { LiveServer } from '../support/live-server.ts';
import { LiveSource } from '../support/live-source.ts';

const began = Date.UTC(2026, 8, 21, 12);
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(options: { limits?: Partial<LiveLimits>; clock?: FakeClock } = {}) {
  const server = await LiveServer.start(new LiveSource(), options);
  stops.push(() => server.stop());
  return server;
}

/** Commits one reading of a series and publishes it. */
function read(server: LiveServer, device: string, value: number): void {
  const time = began + server.source.last * 1_000;
  server.source.commit([{ device, metric: 'temperature', time, value }]);
  server.publishAll();
}

describe('what is refused', () => {
  test.each([
    ['{"op":', undefined, 'payload_not_json'],
    ['[1]', undefined, 'payload_not_json'],
    ['null', undefined, 'payload_not_json'],
    ['{"op":"listen","id":"x"}', 'x', 'op_unknown'],
    ['{"op":"__proto__"}', undefined, 'op_unknown'],
    ['{"id":"x"}', 'x', 'op_unknown'],
    ['{"op":"subscribe"}', undefined, 'validation_failed'],
    ['{"op":"subscribe","id":7}', undefined, 'validation_failed'],
    ['{"op":"subscribe","id":"x","devices":"d1"}', 'x', 'validation_failed'],
    ['{"op":"subscribe","id":"x","mode":"some"}', 'x', 'validation_failed'],
    ['{"op":"subscribe","id":"x","device":"a b"}', 'x', 'filter_invalid'],
    ['{"op":"subscribe","id":"x","metric":"(a|b)"}', 'x', 'filter_invalid'],
    ['{"op":"subscribe","id":"x","since":"yesterday"}', 'x', 'cursor_invalid'],
    ['{"op":"subscribe","id":"x","since":"e1:99999999999999999"}', 'x', 'cursor_invalid'],
    ['{"op":"subscribe","id":"x","topic":"devices"}', 'x', 'topic_not_available'],
    ['{"op":"subscribe","id":"x","topic":"commands"}', 'x', 'topic_not_available'],
    ['{"op":"unsubscribe","id":"x"}', 'x', 'subscription_unknown'],
  ])('%s is answered with an error and the connection goes on', async (text, id, code) => {
    const server = await serve();
    const client = await LiveTestClient.connect(server.url);
    client.sendText(text);
    const error = await client.next('error');
    expect({ id: error.id, code: error.code }).toEqual({ id, code });
    client.send({ op: 'ping', id: 'still here' });
    expect(await client.next('pong')).toEqual({ op: 'pong', id: 'still here' });
    expect(server.hub.stats()).toMatchObject({ messagesRefused: 1, subscriptions: 0 });
  });

  test('an id that is subscribed cannot be subscribed again, and can after it was unsubscribed', async () => {
    const server = await serve();
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a' });
    client.send({ op: 'subscribe', id: 'a', device: 'other' });
    expect(await client.next('error')).toMatchObject({ id: 'a', code: 'subscription_exists' });
    client.send({ op: 'unsubscribe', id: 'a' });
    client.send({ op: 'subscribe', id: 'a' });
    await client.next('unsubscribed');
    expect(await client.next('subscribed')).toMatchObject({ id: 'a' });
  });

  test('a subscription over the limit of the connection is refused', async () => {
    const server = await serve({ limits: { subscriptionsMax: 2 } });
    const client = await LiveTestClient.connect(server.url);
    for (const id of ['a', 'b', 'c']) client.send({ op: 'subscribe', id });
    expect(await client.next('error')).toMatchObject({ id: 'c', code: 'too_many_subscriptions' });
    expect(server.hub.stats().subscriptions).toBe(2);
  });

  test('one filter more than all clients together may have is refused, and is free again when its last user left', async () => {
    const server = await serve({ limits: { channelsMax: 1 } });
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', device: 'd1' });
    client.send({ op: 'subscribe', id: 'b', device: 'd1' });
    client.send({ op: 'subscribe', id: 'c', device: 'd2' });
    expect(await client.next('error')).toMatchObject({ id: 'c', code: 'too_many_subscriptions' });
    client.send({ op: 'unsubscribe', id: 'a' });
    client.send({ op: 'unsubscribe', id: 'b' });
    client.send({ op: 'subscribe', id: 'c', device: 'd2' });
    await client.next('unsubscribed');
    expect(await client.next('subscribed')).toMatchObject({ id: 'c' });
  });

  test('a message over the size limit closes with 1009, which says not to come back as you are', async () => {
    const server = await serve({ limits: { messageBytesMax: 1_000 } });
    const client = await LiveTestClient.connect(server.url);
    client.sendText(JSON.stringify({ op: 'ping', id: 'x'.repeat(1_000) }));
    expect((await client.closing()).code).toBe(1009);
    expect(closeVerdict(1009)).toBe('terminal');
  });

  test('more messages than the burst allows close with 4029, and what follows is not obeyed', async () => {
    const server = await serve({ limits: { commandBurst: 5 }, clock: new FakeClock() });
    const client = await LiveTestClient.connect(server.url);
    for (let sent = 0; sent < 6; sent++) client.send({ op: 'ping' });
    client.send({ op: 'subscribe', id: 'late' });
    expect((await client.closing()).code).toBe(4029);
    expect(client.all('pong')).toHaveLength(5);
    expect(client.all('subscribed')).toHaveLength(0);
  });

  test('the allowance for messages comes back with time', async () => {
    const clock = new FakeClock();
    const server = await serve({ limits: { commandBurst: 2, commandsPerSecond: 10 }, clock });
    const client = await LiveTestClient.connect(server.url);
    for (let round = 0; round < 20; round++) {
      client.send({ op: 'ping' });
      await client.next('pong');
      clock.advance(100);
    }
    expect(client.closed).toBeNull();
  });

  test('nonsense upon nonsense closes with 4000', async () => {
    const server = await serve({ limits: { badMessagesMax: 3 } });
    const client = await LiveTestClient.connect(server.url);
    for (let sent = 0; sent < 4; sent++) client.sendText('?');
    expect((await client.closing()).code).toBe(4000);
    expect(client.all('error')).toHaveLength(4);
  });

  test('a binary frame is refused', async () => {
    const server = await serve();
    const client = await LiveTestClient.connect(server.url);
    client.socket.send(Buffer.from('{"op":"ping"}'));
    expect(await client.next('error')).toMatchObject({ code: 'payload_not_json' });
  });

  test('an unknown subprotocol is refused with 400, ours is chosen from several', async () => {
    const server = await serve();
    const refused = new WebSocket(server.url, ['pulsegate.v9.json']);
    const status = await new Promise((resolve) => {
      refused.once('unexpected-response', (_request, response) => resolve(response.statusCode));
      refused.once('error', resolve);
    });
    expect(status).toBe(400);
    const chosen = new WebSocket(server.url, ['pulsegate.v9.json', 'pulsegate.v1.json']);
    await new Promise((resolve) => {
      chosen.once('open', resolve);
    });
    expect(chosen.protocol).toBe('pulsegate.v1.json');
    chosen.terminate();
  });

  test('a client over the limit is refused with 503 and a problem', async () => {
    const server = await serve({ limits: { clientsMax: 1 } });
    await LiveTestClient.connect(server.url);
    const refused = new WebSocket(server.url);
    const answer = await new Promise<{ status: number | undefined; type: string | undefined; body: string }>(
      (resolve) => {
        refused.once('unexpected-response', (_request, response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () =>
            resolve({ status: response.statusCode, type: response.headers['content-type'], body }),
          );
        });
      },
    );
    expect(answer).toMatchObject({ status: 503, type: 'application/problem+json' });
    expect(JSON.parse(answer.body)).toMatchObject({ status: 503, code: 'overloaded' });
    expect(server.hub.stats()).toMatchObject({ clients: 1, upgradesRefused: 1 });
  });
});

describe('where a subscription begins', () => {
  test('a cursor of another epoch is answered with a gap and the present', async () => {
    const server = await serve();
    read(server, 'd1', 20);
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', since: 'other:1' });
    expect(await client.next('subscribed')).toMatchObject({ cursor: 'e1:1', recovered: false });
    expect(await client.next('gap')).toEqual({
      op: 'gap',
      id: 'a',
      after: 'other:1',
      resumed: 'e1:1',
      reason: 'epoch_changed',
    });
    expect((await client.next('snapshot')).done).toBe(true);
  });

  test('a cursor ahead of everything is answered with a gap', async () => {
    const server = await serve();
    read(server, 'd1', 20);
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', since: 'e1:7' });
    expect(await client.next('gap')).toMatchObject({ after: 'e1:7', resumed: 'e1:1', reason: 'ahead' });
  });

  test('the oldest kept position resumes without a gap and the one before it does not', async () => {
    const source = new LiveSource();
    for (let value = 1; value <= 10; value++) {
      source.commit([{ device: 'd1', metric: 'temperature', time: began + value, value }]);
      source.publishNext(() => {});
    }
    source.trim(5);
    const server = await LiveServer.start(source);
    stops.push(() => server.stop());
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'kept', since: 'e1:4' });
    expect(await client.next('subscribed')).toMatchObject({ id: 'kept', recovered: true, cursor: 'e1:4' });
    const frame = await client.next('readings');
    expect(frame.cursor).toBe('e1:10');
    expect('readings' in frame && frame.readings.map(({ value }) => value)).toEqual([5, 6, 7, 8, 9, 10]);
    client.send({ op: 'subscribe', id: 'trimmed', since: 'e1:3' });
    expect(await client.next('gap')).toMatchObject({ id: 'trimmed', after: 'e1:3', reason: 'trimmed' });
  });

  test('the open alerts are the snapshot of the alerts topic, transitions follow', async () => {
    const server = await serve();
    const alert = {
      id: 'al_1',
      rule: { id: 'ru_1', name: 'Fridge warm' },
      device: 'fridge-1',
      metric: 'temperature',
      severity: 'critical' as const,
      state: 'firing' as const,
      value: 9.5,
      threshold: 8,
      startedAt: began,
      firedAt: began + 30_000,
      resolvedAt: null,
      reason: null,
    };
    server.source.commit([], [{ id: 't1', type: 'alert.firing', sequence: 1, at: began, alert }]);
    server.publishAll();
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', topic: 'alerts', device: 'fridge-*' });
    const snapshot = await client.next('snapshot');
    expect(snapshot).toMatchObject({
      done: true,
      alerts: [{ id: 'al_1', unit: 'Cel', startedAt: '2026-09-21T12:00:00.000Z', resolvedAt: null }],
    });
    const resolved = { ...alert, state: 'resolved' as const, value: 4, resolvedAt: began + 60_000 };
    server.source.commit(
      [],
      [{ id: 't2', type: 'alert.resolved', sequence: 2, at: began, alert: { ...resolved, reason: 'cleared' } }],
    );
    server.publishAll();
    expect(await client.next('alert')).toMatchObject({
      id: 'a',
      cursor: 'e1:2',
      type: 'alert.resolved',
      sequence: 2,
      alert: { id: 'al_1', state: 'resolved', resolvedAt: '2026-09-21T12:01:00.000Z', reason: 'cleared' },
    });
  });

  test('of several transitions in one commit only the last moves the cursor past the commit', async () => {
    const server = await serve();
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', topic: 'alerts' });
    await client.next('snapshot');
    const transitions = ['fridge-1', 'fridge-2', 'fridge-3'].map((device, index) => ({
      id: `t${index}`,
      type: 'alert.firing' as const,
      sequence: 1,
      at: began,
      alert: {
        id: `al_${index}`,
        rule: { id: 'ru_1', name: 'Fridge warm' },
        device,
        metric: 'temperature',
        severity: 'info' as const,
        state: 'firing' as const,
        value: 9,
        threshold: 8,
        startedAt: began,
        firedAt: began,
        resolvedAt: null,
        reason: null,
      },
    }));
    server.source.commit([], transitions);
    server.publishAll();
    const frames = [await client.next('alert'), await client.next('alert'), await client.next('alert')];
    expect(frames.map(({ cursor, alert }) => [cursor, alert.device])).toEqual([
      ['e1:0', 'fridge-1'],
      ['e1:0', 'fridge-2'],
      ['e1:1', 'fridge-3'],
    ]);
  });

  test('clients that resume from nearby positions share one pass over the log', async () => {
    const source = new LiveSource();
    for (let value = 1; value <= 400; value++) {
      source.commit([{ device: 'd1', metric: 'temperature', time: began + value, value }]);
      source.publishNext(() => {});
    }
    const server = await LiveServer.start(source, { limits: { pageReadingsMax: 50 } });
    stops.push(() => server.stop());
    const clients = await Promise.all(Array.from({ length: 20 }, () => LiveTestClient.connect(server.url)));
    for (const [index, client] of clients.entries()) client.send({ op: 'subscribe', id: 'a', since: `e1:${index}` });
    for (const client of clients) {
      await client.until(() => client.all('readings').at(-1)?.cursor === 'e1:400');
    }
    // 8 pages hold the 400 commits; the first may be read once more by who comes from before it.
    expect(source.logReads).toBeLessThanOrEqual(10);
    for (const [index, client] of clients.entries()) {
      const seen = client.all('readings').flatMap((frame) => ('readings' in frame ? frame.readings : []));
      expect(seen.map(({ value }) => value)).toEqual(Array.from({ length: 400 - index }, (_, at) => at + 1 + index));
    }
  });

  test('a log that cannot be read closes with 1013, which says to come back later', async () => {
    const source = new LiveSource();
    source.commit([{ device: 'd1', metric: 'temperature', time: began, value: 1 }]);
    source.publishNext(() => {});
    source.fault = new Error('disk on fire');
    const server = await LiveServer.start(source);
    stops.push(() => server.stop());
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', since: 'e1:0' });
    const { code, reason } = await client.closing();
    expect([code, closeVerdict(code)]).toEqual([1013, 'back_off']);
    expect(reason).not.toContain('fire');
  });

  test('an unsubscribed filter sends nothing more, also when it was still reading the log', async () => {
    const source = new LiveSource();
    source.commit([{ device: 'd1', metric: 'temperature', time: began, value: 1 }]);
    source.publishNext(() => {});
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const server = await LiveServer.start(source);
    stops.push(() => server.stop());
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', since: 'e1:0' });
    client.send({ op: 'unsubscribe', id: 'a' });
    await client.next('unsubscribed');
    gate.resolve();
    client.send({ op: 'subscribe', id: 'b', since: 'e1:0' });
    await client.next('readings');
    expect(client.frames.filter((frame) => 'id' in frame && frame.id === 'a').map(({ op }) => op)).toEqual([
      'unsubscribed',
    ]);
  });
});

describe('signs of life', () => {
  test('a heartbeat moves the cursor past commits that the filter does not let through', async () => {
    const clock = new FakeClock();
    const server = await serve({ clock });
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', device: 'nobody' });
    await client.next('snapshot');
    for (let value = 0; value < 5; value++) read(server, 'd1', value);
    clock.advance(10_000);
    expect(await client.next('heartbeat')).toEqual({ op: 'heartbeat', cursor: 'e1:5' });
    expect(client.all('readings')).toHaveLength(0);
  });

  test('a heartbeat comes after the readings that its cursor covers', async () => {
    const clock = new FakeClock();
    const server = await serve({ clock });
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a' });
    await client.next('snapshot');
    read(server, 'd1', 1);
    clock.advance(10_000);
    await client.next('heartbeat');
    expect(client.frames.map(({ op }) => op)).toEqual(['hello', 'subscribed', 'snapshot', 'readings', 'heartbeat']);
  });

  test('no heartbeat runs ahead of a subscription that still reads the log', async () => {
    const clock = new FakeClock();
    const source = new LiveSource();
    source.commit([{ device: 'd1', metric: 'temperature', time: began, value: 1 }]);
    source.publishNext(() => {});
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const server = await LiveServer.start(source, { clock });
    stops.push(() => server.stop());
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a', since: 'e1:0' });
    client.send({ op: 'ping' });
    await client.next('pong');
    clock.advance(10_000);
    gate.resolve();
    await client.next('readings');
    expect(client.all('heartbeat')).toHaveLength(0);
    clock.advance(10_000);
    expect(await client.next('heartbeat')).toEqual({ op: 'heartbeat', cursor: 'e1:1' });
  });

  test('a client that answers pings stays, one that is silent is ended 8 s after the ping', async () => {
    const clock = new FakeClock();
    const server = await serve({ clock });
    const alive = await LiveTestClient.connect(server.url);
    const silent = await LiveTestClient.connect(server.url);
    // The protocol answers pings by itself; a socket that is not read does not.
    const pinged = new Promise((resolve) => {
      alive.socket.once('ping', resolve);
    });
    silent.socket.pause();
    clock.advance(25_000);
    await pinged;
    // A round trip after the ping: its pong has arrived.
    alive.send({ op: 'ping' });
    await alive.next('pong');
    clock.advance(8_000);
    expect(server.hub.stats().deadClosed).toBe(1);
    silent.socket.resume();
    expect((await silent.closing()).code).toBe(1006);
    expect(alive.closed).toBeNull();
  });
});

describe('stopping', () => {
  test('stop closes with 1001 after what was pending, and refuses newcomers', async () => {
    const server = await serve();
    const client = await LiveTestClient.connect(server.url);
    client.send({ op: 'subscribe', id: 'a' });
    await client.next('snapshot');
    read(server, 'd1', 1);
    read(server, 'd1', 2);
    const stopped = server.hub.stop();
    expect((await client.closing()).code).toBe(1001);
    await stopped;
    const values = client.all('readings').flatMap((frame) => ('readings' in frame ? frame.readings : []));
    expect(values.map(({ value }) => value)).toEqual([1, 2]);
    const late = new WebSocket(server.url);
    const status = await new Promise((resolve) => {
      late.once('unexpected-response', (_request, response) => resolve(response.statusCode));
    });
    expect(status).toBe(503);
  });

  test('a client that does not close in time is ended at the deadline', async () => {
    const clock = new FakeClock();
    const server = await serve({ clock });
    const client = await LiveTestClient.connect(server.url);
    client.socket.pause();
    let hasStopped = false;
    const stopped = server.hub.stop(2_000).then(() => {
      hasStopped = true;
    });
    clock.advance(1_999);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(hasStopped).toBe(false);
    clock.advance(1);
    await stopped;
    client.socket.resume();
    await client.closing();
    expect(server.hub.stats().clients).toBe(0);
  });

  test('stop may come before start and twice', async () => {
    const server = await serve();
    await server.hub.stop();
    await server.hub.stop();
    expect(server.hub.stats().clients).toBe(0);
  });
});
