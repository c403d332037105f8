import { Buffer } from 'node:buffer';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:net';
import { Webhook as ReferenceWebhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseWebhookSecret } from '../../src/domain/webhook-secret.ts';
import { CourierBench } from '../support/courier-bench.ts';
import { settled } from '../support/memory-outbox.ts';
import type { Reply } from '../support/webhook-receiver.ts';

const ok: Reply = (response) => void response.writeHead(204).end();
const hang: Reply = () => {};
const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    void response.writeHead(code, headers).end('no');

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

let bench: CourierBench;

beforeEach(() => {
  bench = new CourierBench();
});
afterEach(async () => {
  await bench.close();
});

describe('a delivery', () => {
  it('arrives as Standard Webhooks asks: the exact body, signed, with id, time and a user agent', async () => {
    const receiver = await bench.receiver('wh_a');
    await bench.courier.start();
    const [record] = bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);

    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/hook', body: record?.body });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'Pulsegate/1.2.3',
      'webhook-id': record?.id,
      'webhook-timestamp': String(Math.floor(bench.clock.now() / 1_000)),
    });
    const secret = bench.secrets.get('wh_a')?.[0] ?? '';
    expect(parseWebhookSecret(secret)).toHaveLength(32);
    const signed = new ReferenceWebhook(secret).sign(record?.id ?? '', new Date(bench.clock.now()), record?.body ?? '');
    expect(request?.headers['webhook-signature']).toBe(signed);
    expect(bench.outbox.attempts).toEqual([
      {
        deliveryId: record?.id,
        webhookId: 'wh_a',
        number: 1,
        startedAt: bench.clock.now(),
        durationMs: 0,
        outcome: 'succeeded',
        status: 204,
        error: null,
        excerpt: null,
        nextAttemptAt: null,
      },
    ]);
    expect(bench.courier.stats()).toMatchObject({ queued: 0, inFlight: 0, attemptsSucceeded: 1 });
  });

  it('is signed with every secret while they rotate', async () => {
    const receiver = await bench.receiver('wh_a');
    bench.secrets.set('wh_a', [...(bench.secrets.get('wh_a') ?? []), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']);
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);
    expect(receiver.requests[0]?.headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/);
  });

  it('is never sent unsigned: without a usable secret it waits', async () => {
    const receiver = await bench.receiver('wh_a');
    const secrets = bench.secrets.get('wh_a') ?? [];
    bench.secrets.set('wh_a', []);
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);
    bench.secrets.set('wh_a', ['whsec_short']);
    bench.clock.advance(5 * second);
    await bench.outbox.recorded(2);
    expect(bench.outbox.attempts.map((attempt) => attempt.error)).toEqual(['secret_missing', 'secret_missing']);
    bench.secrets.set('wh_a', secrets);
    bench.clock.advance(30 * second);
    await bench.outbox.recorded(3);
    expect(receiver.requests).toHaveLength(1);
    expect(bench.outbox.count('succeeded')).toBe(1);
  });

  it('is tried on the schedule to the millisecond under one id with a fresh timestamp, and given up after ten', async () => {
    const receiver = await bench.receiver('wh_a', status(500));
    await bench.courier.start();
    const start = bench.clock.now();
    const [id] = bench.commitMany('wh_a', 1);
    const pauses = [
      0,
      5 * second,
      30 * second,
      2 * minute,
      10 * minute,
      30 * minute,
      2 * hour,
      5 * hour,
      10 * hour,
      10 * hour,
    ];
    let expected = start;
    for (const [index, pause] of pauses.entries()) {
      if (pause > 0) {
        bench.clock.advance(pause - 1);
        await settled();
        expect(receiver.requests).toHaveLength(index);
        bench.clock.advance(1);
      }
      await bench.outbox.recorded(index + 1);
      expected += pause;
      const next = pauses[index + 1];
      expect(bench.outbox.attempts[index]).toMatchObject({
        number: index + 1,
        startedAt: expected,
        outcome: next === undefined ? 'failed' : 'retry',
        nextAttemptAt: next === undefined ? null : expected + next,
      });
    }
    expect(new Set(receiver.ids)).toEqual(new Set([id]));
    expect(receiver.requests.map((request) => Number(request.headers['webhook-timestamp']))).toEqual(
      bench.outbox.attempts.map((attempt) => Math.floor(attempt.startedAt / 1_000)),
    );
    expect(new Set(receiver.requests.map((request) => request.headers['webhook-signature'])).size).toBe(10);
    expect(bench.clock.timers).toBe(0);
    expect(bench.outbox.delivery(id ?? '')).toMatchObject({ state: 'failed', attempts: 10 });
    expect(bench.courier.stats()).toMatchObject({ queued: 0, attemptsRetried: 9, attemptsFailed: 1 });
    expect(bench.lines).toEqual(['warn webhook endpoint does not take deliveries', 'error deliveries were given up']);
  });

  it.each([
    [200, 'succeeded'],
    [202, 'succeeded'],
    [204, 'succeeded'],
    [299, 'succeeded'],
    [301, 'retry'],
    [304, 'retry'],
    [400, 'retry'],
    [401, 'retry'],
    [404, 'retry'],
    [408, 'retry'],
    [410, 'failed'],
    [425, 'retry'],
    [429, 'retry'],
    [500, 'retry'],
    [503, 'retry'],
  ])('that is answered %i counts as %s', async (code, outcome) => {
    await bench.receiver('wh_a', status(code));
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);
    expect(bench.outbox.attempts).toMatchObject([{ outcome, status: code, error: null }]);
  });

  it.each([
    ['seconds', '3600', 3_600_000],
    ['an HTTP date', 'Mon, 21 Sep 2026 12:10:00 GMT', 600_000],
    ['less than the schedule has', '1', 5_000],
    ['more than a day', '9999999', 86_400_000],
    ['nonsense', 'later', 5_000],
  ])('waits for Retry-After given as %s', async (_, header, wait) => {
    await bench.receiver('wh_a', status(429, { 'retry-after': header }));
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);
    expect(bench.outbox.attempts[0]?.nextAttemptAt).toBe(bench.clock.now() + wait);
    expect(bench.clock.untilNext).toBe(wait);
  });

  it('is not carried on to where a redirect points', async () => {
    const elsewhere = await bench.receiver('wh_b');
    for (const code of [301, 302, 303, 307, 308]) {
      const id = `wh_${code}`;
      await bench.receiver(id, status(code, { location: elsewhere.url }));
    }
    await bench.courier.start();
    for (const code of [301, 302, 303, 307, 308]) bench.commit(bench.delivery(`wh_${code}`));
    await bench.outbox.recorded(5);
    expect(elsewhere.requests).toEqual([]);
    expect(bench.outbox.attempts.map((attempt) => attempt.outcome)).toEqual(Array(5).fill('retry'));
  });
});

describe('an endpoint that misbehaves', () => {
  it('and never answers is left after 15 s', async () => {
    const receiver = await bench.receiver('wh_a', hang);
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await receiver.received(1);
    bench.clock.advance(15 * second - 1);
    await settled();
    expect(bench.outbox.attempts).toEqual([]);
    bench.clock.advance(1);
    await bench.outbox.recorded(1);
    expect(bench.outbox.attempts).toMatchObject([
      { outcome: 'retry', status: null, error: 'timeout', durationMs: 15 * second },
    ]);
  });

  it('and drips its headers is left after 15 s', async () => {
    const dripping = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nX-Slow: ', () => dripping.resolve()));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    bench.register('wh_a', `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`);
    try {
      await bench.courier.start();
      bench.commit(bench.delivery('wh_a'));
      await dripping.promise;
      bench.clock.advance(15 * second);
      await bench.outbox.recorded(1);
      expect(bench.outbox.attempts).toMatchObject([{ outcome: 'retry', status: null, error: 'timeout' }]);
    } finally {
      server.close();
    }
  });

  it('and drips its body after a 200 is left after 15 s, the 200 standing', async () => {
    const headersRead = Promise.withResolvers<void>();
    const onHeaders = (): void => headersRead.resolve();
    subscribe('undici:request:headers', onHeaders);
    try {
      await bench.receiver('wh_a', (response) => void response.writeHead(200).write('a'));
      await bench.courier.start();
      bench.commit(bench.delivery('wh_a'));
      await headersRead.promise;
      await settled();
      expect(bench.outbox.attempts).toEqual([]);
      bench.clock.advance(15 * second);
      await bench.outbox.recorded(1);
      expect(bench.outbox.attempts).toMatchObject([{ outcome: 'succeeded', status: 200, durationMs: 15 * second }]);
    } finally {
      unsubscribe('undici:request:headers', onHeaders);
    }
  });

  it('and answers with a flood is read for 64 KiB at most and quoted for 4 KiB', async () => {
    let sent = 0;
    const hungUp = Promise.withResolvers<void>();
    await bench.receiver('wh_a', (response) => {
      response.writeHead(200);
      const flood = (): void => {
        while (!response.destroyed && response.write('é'.repeat(8_192))) sent += 16_384;
      };
      response.on('drain', flood);
      response.on('close', () => hungUp.resolve());
      flood();
    });
    await bench.courier.start();
    bench.commit(bench.delivery('wh_a'));
    await bench.outbox.recorded(1);
    await hungUp.promise;
    expect(bench.outbox.attempts).toMatchObject([{ outcome: 'succeeded', excerpt: 'é'.repeat(2_048) }]);
    // What the sockets of both sides hold comes on top, but a flood it is not.
    expect(sent).toBeLessThan(16 * 1_048_576);
  });

  it('and quotes a character that the 4 KiB cut in half, a NUL, or bytes that are no text, is quoted as clean text', async () => {
    const bodies = [`a${'é'.repeat(2_048)}`, 'a\0b', Buffer.from([0x61, 0xff, 0x62])];
    await bench.receiver('wh_a', (response) => void response.writeHead(500).end(bodies.shift()));
    await bench.courier.start();
    bench.commitMany('wh_a', 1, 'first');
    await bench.outbox.recorded(1);
    bench.commitMany('wh_a', 1, 'second');
    await bench.outbox.recorded(2);
    bench.commitMany('wh_a', 1, 'third');
    await bench.outbox.recorded(3);
    expect(bench.outbox.attempts.map((attempt) => attempt.excerpt)).toEqual([
      `a${'é'.repeat(2_047)}`,
      'a\uFFFDb',
      'a\uFFFDb',
    ]);
  });

  it('shows as a class of failure and nothing of the network', async () => {
    const closed = await bench.receiver('wh_refused');
    await closed.close();
    await bench.receiver('wh_reset', (response) => void response.socket?.resetAndDestroy());
    await bench.receiver('wh_empty', (response) => void response.socket?.end());
    const plain = await bench.receiver('wh_plain');
    bench.register('wh_tls', plain.url.replace('http:', 'https:'));
    bench.register('wh_private', 'http://10.0.0.1/');
    bench.register('wh_userinfo', plain.url.replace('//', '//user:secret@'));
    bench.register('wh_broken', 'not a url');
    bench.register('wh_unknown', 'http://nowhere.example:8080/');
    bench.register('wh_names', 'http://unanswered.example:8080/');
    bench.limits = { ...bench.limits, connectTimeout: 50 };
    bench.lookup = (name) =>
      name === 'nowhere.example'
        ? Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
        : new Promise(() => {});
    bench.reopen();
    await bench.courier.start();
    const ids = ['refused', 'reset', 'empty', 'tls', 'private', 'userinfo', 'broken', 'unknown', 'names'];
    bench.commit(...ids.map((id) => bench.delivery(`wh_${id}`)));
    await bench.outbox.recorded(ids.length);
    const errors = Object.fromEntries(bench.outbox.attempts.map((attempt) => [attempt.webhookId, attempt.error]));
    expect(errors).toEqual({
      wh_refused: 'connection_refused',
      wh_reset: 'connection_reset',
      wh_empty: 'connection_reset',
      wh_tls: 'tls_failed',
      wh_private: 'target_not_allowed',
      wh_userinfo: 'target_not_allowed',
      wh_broken: 'target_not_allowed',
      wh_unknown: 'name_not_resolved',
      wh_names: 'connect_timeout',
    });
    expect(bench.outbox.attempts.map((attempt) => attempt.outcome)).toEqual(ids.map(() => 'retry'));
  });

  it('and says 410 is reported once that is recorded, and gets nothing more until somebody changes it', async () => {
    const receiver = await bench.receiver('wh_a', status(410));
    bench.limits = { ...bench.limits, endpointConcurrency: 1 };
    bench.reopen();
    await bench.courier.start();
    bench.outbox.failingRecords = 1;
    bench.commitMany('wh_a', 5);
    await bench.outbox.until(() => bench.outbox.failingRecords === 0);
    await settled();
    expect(bench.gone).toEqual([]);
    bench.clock.advance(second);
    await bench.outbox.recorded(1);
    expect(bench.gone).toEqual(['wh_a']);
    bench.change('wh_a', { enabled: false });
    bench.clock.advance(hour);
    await settled();
    expect(receiver.requests).toHaveLength(1);
    expect([bench.outbox.count('failed'), bench.outbox.count('pending')]).toEqual([1, 4]);

    receiver.reply = ok;
    bench.change('wh_a', { enabled: true });
    await bench.outbox.recorded(5);
    expect(bench.outbox.count('succeeded')).toBe(4);
  });
});

describe('order', () => {
  it('within a rule and series holds whatever fails, the next following only a success or a giving up', async () => {
    const receiver = await bench.receiver('wh_a', status(500));
    await bench.courier.start();
    const line = bench.commitMany('wh_a', 3, 'one rule and series');
    const others = bench.commitMany('wh_a', 2);
    await bench.outbox.recorded(3);
    expect(receiver.ids.toSorted()).toEqual([line[0], ...others].toSorted());
    receiver.reply = (response, { headers }) =>
      void response.writeHead(headers['webhook-id'] === line[0] ? 500 : 204).end();
    while (bench.clock.untilNext !== null) {
      const before = bench.outbox.attempts.length;
      bench.clock.advance(bench.clock.untilNext);
      await bench.outbox.recorded(before + 1);
    }
    await bench.outbox.until(() => bench.outbox.count('pending') === 0);
    expect(line.map((id) => bench.outbox.delivery(id)?.state)).toEqual(['failed', 'succeeded', 'succeeded']);
    expect(receiver.ids.filter((id) => line.includes(id))).toEqual([...Array(10).fill(line[0]), line[1], line[2]]);
  });

  it('holds within one commit that is read back from the store', async () => {
    const receiver = await bench.receiver('wh_a');
    const ids = bench.outbox
      .commit(Array.from({ length: 50 }, () => bench.delivery('wh_a', 'line')))
      .map(({ id }) => id);
    bench.limits = { ...bench.limits, windowMax: 7 };
    bench.reopen();
    await bench.courier.start();
    await bench.outbox.recorded(50);
    expect(receiver.ids).toEqual(ids);
  });
});

describe('one endpoint', () => {
  it('that hangs holds up no other, and keeps no more than one slot once it has hung', async () => {
    const hanging = await bench.receiver('wh_hang', hang);
    const fine = await Promise.all(Array.from({ length: 5 }, (_, index) => bench.receiver(`wh_${index}`)));
    await bench.courier.start();
    bench.commitMany('wh_hang', 200);
    await hanging.received(4);
    for (let index = 0; index < 5; index++) bench.commitMany(`wh_${index}`, 40);
    await bench.outbox.recorded(200);
    expect(fine.map((receiver) => new Set(receiver.ids).size)).toEqual(Array(5).fill(40));
    expect(hanging.requests).toHaveLength(4);

    bench.clock.advance(15 * second);
    await hanging.received(5);
    await bench.outbox.recorded(204);
    expect(bench.courier.stats()).toMatchObject({ inFlight: 1 });
  });

  it('has at most four attempts under way, and all of them together no more than the common limit', async () => {
    bench.limits = { ...bench.limits, concurrencyMax: 10 };
    bench.reopen();
    let held: (() => void)[] = [];
    let mostHeld = 0;
    const hold: Reply = (response) => {
      held.push(() => void response.writeHead(204).end());
      mostHeld = Math.max(mostHeld, held.length);
    };
    const receivers = await Promise.all(Array.from({ length: 5 }, (_, index) => bench.receiver(`wh_${index}`, hold)));
    await bench.courier.start();
    bench.commitMany('wh_0', 30);
    await receivers[0]?.received(4);
    expect(bench.courier.stats().inFlight).toBe(4);
    for (let index = 1; index < 5; index++) bench.commitMany(`wh_${index}`, 30);
    const total = (): number => receivers.reduce((sum, receiver) => sum + receiver.requests.length, 0);
    for (let answered = 0; answered < 150; ) {
      await waitForRequests(Math.min(answered + 10, 150));
      expect(held.length).toBeLessThanOrEqual(10);
      const release = held;
      held = [];
      for (const answer of release) answer();
      answered += release.length;
      await bench.outbox.recorded(answered);
    }
    expect(total()).toBe(150);
    expect(mostHeld).toBe(10);

    async function waitForRequests(count: number): Promise<void> {
      while (total() < count)
        await Promise.race(receivers.map((receiver) => receiver.received(receiver.requests.length + 1)));
    }
  });

  it('that is disabled gets nothing and keeps what is pending until it is enabled again', async () => {
    const receiver = await bench.receiver('wh_a');
    bench.change('wh_a', { enabled: false });
    await bench.courier.start();
    bench.commitMany('wh_a', 3);
    await settled();
    expect(receiver.requests).toEqual([]);
    bench.change('wh_a', { enabled: true });
    await bench.outbox.recorded(3);
    expect(receiver.requests).toHaveLength(3);
  });

  it('whose URL changes gets the next attempt at the new one', async () => {
    const old = await bench.receiver('wh_a', status(503));
    const next = await bench.receiver('wh_new');
    await bench.courier.start();
    const [id] = bench.commitMany('wh_a', 1);
    await bench.outbox.recorded(1);
    bench.change('wh_a', { url: next.url });
    bench.clock.advance(5 * second);
    await bench.outbox.recorded(2);
    expect([old.ids, next.ids]).toEqual([[id], [id]]);
  });

  it('that is removed gets nothing more, what is under way is cut off and leaves no attempt', async () => {
    const receiver = await bench.receiver('wh_a', hang);
    await bench.courier.start();
    bench.commitMany('wh_a', 10);
    await receiver.received(4);
    bench.webhooks.delete('wh_a');
    bench.outbox.cancel('wh_a');
    bench.courier.webhookRemoved('wh_a');
    bench.commit(bench.delivery('wh_a'));
    while (bench.courier.stats().attemptsAborted < 4) await settled();
    bench.clock.advance(24 * hour);
    await settled();
    expect(receiver.requests).toHaveLength(4);
    expect(bench.outbox.attempts).toEqual([]);
    expect(bench.courier.stats()).toMatchObject({ endpoints: 0, queued: 0, inFlight: 0 });
  });
});
