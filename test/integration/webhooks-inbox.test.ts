import { Webhook as ReferenceWebhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomId, seededRandom } from '../../src/base/random.ts';
import { type Inbox, startInbox } from '../../src/cli/inbox.ts';
import type { Transition } from '../../src/domain/alert.ts';
import { planDeliveries } from '../../src/webhooks/plan.ts';
import { newWebhookSecret } from '../../src/domain/webhook-secret.ts';
import { signDelivery } from '../../src/webhooks/signature.ts';
import { CourierBench } from '../support/courier-bench.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sampleTransition, sampleWebhook } from '../support/webhook-samples.ts';

const secret = newWebhookSecret(seededRandom(1));
const random = seededRandom(2);
let clock: FakeClock;
let lines: string[];
let inbox: Inbox;

beforeEach(async () => {
  clock = new FakeClock();
  lines = [];
  inbox = await startInbox({
    port: 0,
    secrets: () => [newWebhookSecret(seededRandom(9)), secret],
    print: (line) => void lines.push(line),
    clock,
  });
});
afterEach(async () => {
  await inbox.stop();
});

function bodyOf(transition: Transition): string {
  const [delivery] = planDeliveries({
    transitions: [transition],
    webhooks: [sampleWebhook()],
    cursor: 'e:1',
    at: 0,
    publicUrl: null,
    nameOf: () => '',
    newId: (prefix) => randomId(prefix, random),
  });
  return delivery?.body ?? '';
}

async function post(body: string, change: Record<string, string> = {}, signedWith = secret): Promise<number> {
  const timestamp = Number(change['webhook-timestamp'] ?? Math.floor(clock.now() / 1_000));
  const signature = signDelivery({ id: 'dlv_1', timestamp, body }, [signedWith]);
  const response = await fetch(`http://127.0.0.1:${inbox.port}/`, {
    method: 'POST',
    headers: {
      'webhook-id': 'dlv_1',
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signature,
      ...change,
    },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

describe('the inbox', () => {
  it('prints one line for a verified event and answers 204', async () => {
    expect(await post(bodyOf(sampleTransition(1)))).toBe(204);
    expect(lines).toEqual(['✔ alert.firing    heart_rate 131 > 120  wearable-01  (signature verified)']);
    expect(inbox.count()).toBe(1);
  });

  it('prints and counts a repetition once, and takes it all the same', async () => {
    for (let time = 0; time < 3; time++) expect(await post(bodyOf(sampleTransition(1)))).toBe(204);
    expect([lines.length, inbox.count()]).toEqual([1, 1]);
  });

  it('prints what the courier brings, a resolved alert included, each once', async () => {
    const bench = new CourierBench();
    const own = await startInbox({
      port: 0,
      secrets: () => bench.secrets.get('wh_inbox') ?? [],
      print: (line) => void lines.push(line),
      clock: bench.clock,
    });
    try {
      bench.register('wh_inbox', `http://127.0.0.1:${own.port}/`);
      await bench.courier.start();
      bench.commit({ ...bench.delivery('wh_inbox', 'line'), body: bodyOf(sampleTransition(1)) });
      bench.commit({ ...bench.delivery('wh_inbox', 'line'), body: bodyOf(sampleTransition(2)) });
      await bench.outbox.recorded(2);
      expect(bench.outbox.count('succeeded')).toBe(2);
      expect(lines).toEqual([
        '✔ alert.firing    heart_rate 131 > 120  wearable-01  (signature verified)',
        '✔ alert.resolved  heart_rate 110 < 120  wearable-01  (signature verified)',
      ]);
      expect(own.count()).toBe(2);
    } finally {
      await bench.close();
      await own.stop();
    }
  });

  it('takes a signature among several and one that the reference package made', async () => {
    const body = bodyOf(sampleTransition(1));
    const theirs = new ReferenceWebhook(secret).sign('dlv_1', new Date(clock.now()), body);
    expect(await post(body, { 'webhook-signature': `v1,bm90IHRoaXMgb25l v2,xyz ${theirs}` })).toBe(204);
  });

  it('refuses a changed body, a foreign secret, a missing header and a signature of another time', async () => {
    const body = bodyOf(sampleTransition(1));
    const now = Math.floor(clock.now() / 1_000);
    const signature = signDelivery({ id: 'dlv_1', timestamp: now, body }, [secret]);
    expect(await post(`${body} `, { 'webhook-signature': signature })).toBe(400);
    expect(await post(body, {}, newWebhookSecret(seededRandom(5)))).toBe(400);
    expect(await post(body, { 'webhook-signature': '' })).toBe(400);
    expect(await post(body, { 'webhook-id': '' })).toBe(400);
    expect(await post(body, { 'webhook-id': 'dlv_2' })).toBe(400);
    expect(await post(body, { 'webhook-timestamp': String(now - 1), 'webhook-signature': signature })).toBe(400);
    expect(inbox.count()).toBe(0);
    expect(lines.filter((line) => line.startsWith('✘ refused'))).toHaveLength(6);
  });

  it('refuses a rightly signed event from more than five minutes ago or ahead', async () => {
    const now = Math.floor(clock.now() / 1_000);
    const statuses = [];
    for (const offset of [-301, -300, 300, 301]) {
      statuses.push(await post('{}', { 'webhook-timestamp': String(now + offset) }));
    }
    expect(statuses).toEqual([400, 204, 204, 400]);
  });

  it('says so when a signed event is of a kind that it does not know', async () => {
    expect(await post('{"type":"device.on_fire"}')).toBe(204);
    expect(lines).toEqual(['✔ an event that this inbox does not know  (signature verified)']);
  });

  it('takes no other method and no body beyond 1 MiB', async () => {
    expect((await fetch(`http://127.0.0.1:${inbox.port}/`)).status).toBe(405);
    expect(await post('x'.repeat(1_048_577))).toBe(413);
  });

  it('does not start on a port that is taken', async () => {
    await expect(startInbox({ port: inbox.port, secrets: () => [], print: () => {} })).rejects.toThrow(/EADDRINUSE/);
  });
});
