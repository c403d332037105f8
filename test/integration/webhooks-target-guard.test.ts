import type { LookupAddress } from 'node:dns';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Sender } from '../../src/webhooks/sender.ts';
import { type Lookup, TargetGuard } from '../../src/webhooks/target-guard.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const limits = { connectTimeout: 3_000, attemptTimeout: 15_000, answerReadMax: 65_536, excerptMax: 4_096 };
const senders: Sender[] = [];

async function post(url: string, allowTargets: readonly string[], lookup?: Lookup): Promise<unknown> {
  const guard = new TargetGuard(lookup ? { allowTargets, lookup } : { allowTargets });
  const sender = new Sender({ guard, clock: systemClock, limits });
  senders.push(sender);
  return await sender.post(url, { headers: {}, body: '{}', signal: new AbortController().signal });
}

function resolvesTo(...addresses: string[]): Lookup {
  return () =>
    Promise.resolve(addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })));
}

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.close()));
});

/** Listens on every address, on a port that the guard lets public targets use: nothing but the address protects it. */
describe('a listener on this machine', () => {
  let server: Server;
  let port = 0;
  let connections = 0;

  beforeAll(async () => {
    for (port = 8_123; ; port += 7) {
      server = createServer((socket) => {
        connections++;
        socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      });
      const listens = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(port, () => resolve(true));
      });
      if (listens) return;
    }
  });
  afterAll(() => void server.close());

  const spellings = [
    '127.0.0.1',
    '127.0.0.1.',
    '127.1',
    '127.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0',
    '0x7f000001',
    '0x7f.0.0.1',
    '0X7F.1',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '0177.0x0.0.01',
    '%31%32%37%2e0.0.1',
    '１２７.０.０.１',
    '127。0。0。1',
    'localhost',
    'LOCALHOST',
    'localhost.',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:7f00:0001]',
    '[::127.0.0.1]',
    '[::ffff:0:127.0.0.1]',
    '[64:ff9b::127.0.0.1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fe80::1]',
    '[fc00::1]',
    '[ff02::1]',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '255.255.255.255',
  ];

  it.each(spellings)('is not reached as %s', async (host) => {
    expect(await post(`http://${host}:${port}/`, [])).toEqual({ kind: 'unanswered', error: 'target_not_allowed' });
    expect(connections).toBe(0);
  });

  it('is not reached through a name that resolves to it, alone or beside a public address', async () => {
    const answers = [
      ['127.0.0.1'],
      ['93.184.216.34', '127.0.0.1'],
      ['127.0.0.1', '93.184.216.34'],
      ['2606:4700::1111', '::1'],
      ['93.184.216.34', '::ffff:127.0.0.1'],
      ['fe80::1%lo'],
      ['not an address'],
      [],
    ];
    for (const addresses of answers) {
      const answer = await post(`http://inward.example:${port}/`, [], resolvesTo(...addresses));
      expect(answer, addresses.join()).toEqual({ kind: 'unanswered', error: 'target_not_allowed' });
    }
    expect(connections).toBe(0);
  });

  it('is not reached by a name that was allowed a moment ago: every new connection is judged again', async () => {
    let asked = 0;
    const rebinding: Lookup = (name) => resolvesTo(asked++ === 0 ? '127.0.0.2' : '127.0.0.1')(name);
    const sender = new Sender({
      guard: new TargetGuard({ allowTargets: ['127.0.0.2'], lookup: rebinding }),
      clock: systemClock,
      limits,
    });
    senders.push(sender);
    const request = { headers: {}, body: '{}', signal: new AbortController().signal };
    const first = await sender.post(`http://rebinding.example:${port}/`, request);
    const reachedAtFirst = connections;
    const second = await sender.post(`http://rebinding.example:${port}/`, request);
    expect(first).not.toEqual({ kind: 'unanswered', error: 'target_not_allowed' });
    expect(second).toEqual({ kind: 'unanswered', error: 'target_not_allowed' });
    expect([asked, connections]).toEqual([2, reachedAtFirst]);
  });

  it('is reached once its range is allowed, which shows that the refusals above came from the guard', async () => {
    const before = connections;
    expect(await post(`http://127.0.0.1:${port}/`, ['127.0.0.0/8'])).toMatchObject({ status: 204 });
    expect(await post(`http://0x7f.1:${port}/`, ['127.0.0.0/8'])).toMatchObject({ status: 204 });
    expect(await post(`http://inward.example:${port}/`, ['127.0.0.1'], resolvesTo('127.0.0.1'))).toMatchObject({
      status: 204,
    });
    expect(await post(`http://localhost:${port}/`, ['127.0.0.0/8'])).toMatchObject({ status: 204 });
    expect(connections).toBe(before + 4);
  });
});

describe('a port other than 80, 443 and 8000 to 9000', () => {
  it('is reached only where every address of the target is in an allowed range', async () => {
    const receiver = await WebhookReceiver.open();
    try {
      const named = `http://receiver.example:${receiver.port}/`;
      expect(await post(receiver.url, ['127.0.0.0/8'])).toMatchObject({ status: 204 });
      expect(await post(named, ['127.0.0.0/8'], resolvesTo('127.0.0.1'))).toMatchObject({ status: 204 });
      const refused = { kind: 'unanswered', error: 'target_not_allowed' };
      expect(await post(named, ['127.0.0.0/8'], resolvesTo('127.0.0.1', '93.184.216.34'))).toEqual(refused);
      expect(await post(`http://93.184.216.34:${receiver.port}/`, ['127.0.0.0/8'])).toEqual(refused);
      expect(receiver.requests).toHaveLength(2);
    } finally {
      await receiver.close();
    }
  });
});
