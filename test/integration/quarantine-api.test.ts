import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/api/server.ts';
import { anySender } from '../../src/domain/principal.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { ask, send } from '../support/http-client.ts';

// What can be done about refused messages, over the socket.

let strangers: Strangers;
let server: HttpServer;
let port: number;

beforeEach(async () => {
  strangers = new Strangers();
  ({ server, port } = await startApi(strangers));
});
afterEach(() => server.stop(0));

function refuse(id: number, topic: string, reason: string): void {
  const common = { receivedAt: 7, client: null, sender: anySender, pointer: '', detail: '' };
  strangers.quarantine.push({ ...common, id, topic, reason, payload: Uint8Array.of(id) });
}

function left(): number[] {
  return strangers.quarantine.map(({ id }) => id);
}

test('one message is tried again: its readings are stored and it is gone', async () => {
  refuse(1, 'devices/a/telemetry', 'device_unknown');
  const answer = await ask(port, '/api/v1/quarantine/1/retry', { method: 'POST' });
  expect([answer.status, answer.json()]).toEqual([200, { cursor: 'epoch:0', stored: 1, replaced: 0, identical: 0 }]);
  expect(left()).toEqual([]);
  expectProblem(await ask(port, '/api/v1/quarantine/1/retry', { method: 'POST' }), 'not_found');
});

test('a message that is still wrong stays, and the answer says why it is now', async () => {
  refuse(1, 'devices/a/telemetry', 'device_unknown');
  strangers.stillRefused.set(1, 'payload_not_json');
  const problem = expectProblem(await ask(port, '/api/v1/quarantine/1/retry', { method: 'POST' }), 'validation_failed');
  expect(problem).toMatchObject({ status: 422, errors: [{ pointer: '/now', code: 'payload_not_json' }] });
  expect(left()).toEqual([1]);
});

test('many are tried by reason and topic, the oldest first, each for itself', async () => {
  for (let id = 1; id <= 250; id++) {
    refuse(id, `devices/d${id % 2}/telemetry`, id % 5 === 0 ? 'payload_not_json' : 'device_unknown');
  }
  for (let id = 1; id <= 250; id += 10) strangers.stillRefused.set(id, 'value_invalid');
  const body = { reason: 'device_unknown', topic: 'devices/d1/#', limit: 60 };
  const first = await send(port, 'POST', '/api/v1/quarantine/retry', body);
  // Of the 100 that are meant, those up to 149 are the 60 oldest; 15 of them end in 1 and stay.
  expect(first.json()).toEqual({
    accepted: 45,
    refused: 15,
    reasons: { value_invalid: 15 },
    stored: 45,
    replaced: 0,
    identical: 0,
    more: true,
  });
  expect(left().filter((id) => id < 150 && id % 2 === 1 && id % 5 !== 0)).toEqual(
    Array.from({ length: 15 }, (_, index) => index * 10 + 1),
  );
  expect(left()).toHaveLength(205);
  const all = await send(port, 'POST', '/api/v1/quarantine/retry', {});
  expect(all.json()).toMatchObject({ accepted: 180, refused: 25, more: false });
  expectProblem(await send(port, 'POST', '/api/v1/quarantine/retry', { topic: 'a/#/b' }), 'validation_failed');
});

test('a message can be thrown away', async () => {
  refuse(1, 't', 'payload_not_json');
  refuse(2, 't', 'payload_not_json');
  expect((await ask(port, '/api/v1/quarantine/2', { method: 'DELETE' })).status).toBe(204);
  expect(left()).toEqual([1]);
  expectProblem(await ask(port, '/api/v1/quarantine/2', { method: 'DELETE' }), 'not_found');
});
