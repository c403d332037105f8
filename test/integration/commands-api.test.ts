import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/api/server.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, ask, send } from '../support/http-client.ts';
import { settled } from '../support/commands-world.ts';

// Commands over the socket, with a real book of commands behind the API.

let strangers: Strangers;
let server: HttpServer;
let port: number;

beforeEach(async () => {
  strangers = new Strangers();
  strangers.put('a', 'x', strangers.clock.now(), 1);
  ({ server, port } = await startApi(strangers));
});
afterEach(async () => {
  strangers.commandBook.stop();
  await server.stop(0);
});

const path = '/api/v1/devices/a/commands';

async function answer(id: string, status: 'succeeded' | 'failed'): Promise<void> {
  const command = strangers.commandBook.reply({ device: 'a', id, status, result: { ok: 1 } }, strangers.clock.now());
  if (command) strangers.commandBook.apply([command]);
  strangers.commands.splice(0, 1, ...(command ? [command] : []));
  await settled();
}

test('a command is accepted with 202, its id and state, and can be followed', async () => {
  const made = await send(port, 'POST', path, { name: 'restart', params: { seconds: 3 }, ttl: '5m' });
  expect([made.status, made.headers.location]).toEqual([202, `${path}/cmd_1`]);
  const now = strangers.clock.now();
  expect(made.json()).toEqual({
    id: 'cmd_1',
    device: 'a',
    name: 'restart',
    params: { seconds: 3 },
    state: 'queued',
    result: null,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 300_000).toISOString(),
    sentAt: null,
    settledAt: null,
  });
  strangers.connected.add('a');
  strangers.commandBook.deviceOnline('a');
  await settled();
  expect((await ask(port, `${path}/cmd_1`)).json()).toMatchObject({ state: 'sent' });
  await answer('cmd_1', 'failed');
  expect((await ask(port, `${path}/cmd_1`)).json()).toMatchObject({ state: 'failed', result: { ok: 1 } });
});

test('with wait the answer is 200 once the command is final, and 202 when it is not by then', async () => {
  const waiting = send(port, 'POST', `${path}?wait=10s`, { name: 'restart' });
  while (!strangers.commandBook.find('cmd_1')) await settled();
  await settled();
  await answer('cmd_1', 'succeeded');
  const final = await waiting;
  expect([final.status, final.json()]).toMatchObject([200, { state: 'succeeded', result: { ok: 1 } }]);

  const late = send(port, 'POST', `${path}?wait=10s`, { name: 'restart' });
  while (!strangers.commandBook.find('cmd_2')) await settled();
  await settled();
  strangers.clock.advance(10_000);
  const open = await late;
  expect([open.status, open.json()]).toMatchObject([202, { state: 'queued' }]);
});

test('a command can be cancelled once, and not when it is final', async () => {
  await send(port, 'POST', path, { name: 'restart' });
  const cancelled = await ask(port, `${path}/cmd_1`, { method: 'DELETE' });
  expect([cancelled.status, cancelled.json()]).toMatchObject([200, { state: 'cancelled' }]);
  expectProblem(await ask(port, `${path}/cmd_1`, { method: 'DELETE' }), 'conflict');
  expectProblem(await ask(port, `${path}/cmd_9`, { method: 'DELETE' }), 'not_found');
});

test('lists are paged newest first and hold only the commands of the device', async () => {
  strangers.put('b', 'x', strangers.clock.now(), 1);
  for (let index = 0; index < 7; index++) {
    await send(port, 'POST', `/api/v1/devices/${index === 3 ? 'b' : 'a'}/commands`, { name: `n${index}` });
    if (index % 2 === 0) strangers.clock.advance(5);
  }
  const names: unknown[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: Answer = await ask(port, `${path}?limit=2${next === '' ? '' : `&page=${next}`}`);
    const body = page.json() as { items: { name: string }[]; next: string | null };
    names.push(...body.items.map(({ name }) => name));
    next = body.next;
  }
  expect(names).toEqual(['n6', 'n5', 'n4', 'n2', 'n1', 'n0']);
});

test('what is wrong with a command is said before anything is kept', async () => {
  expectProblem(await send(port, 'POST', '/api/v1/devices/none/commands', { name: 'x' }), 'not_found');
  expectProblem(await send(port, 'POST', path, { name: '' }), 'validation_failed');
  expectProblem(await send(port, 'POST', path, { name: 'x', ttl: '8d' }), 'validation_failed');
  expectProblem(await send(port, 'POST', path, { name: 'x', params: 'y'.repeat(16_385) }), 'validation_failed');
  for (let index = 0; index < 100; index++) await send(port, 'POST', path, { name: 'x' });
  expectProblem(await send(port, 'POST', path, { name: 'x' }), 'too_many_commands');
  expect(strangers.commands).toHaveLength(100);
});

test('a command of another device is not there', async () => {
  strangers.put('b', 'x', strangers.clock.now(), 1);
  await send(port, 'POST', path, { name: 'restart' });
  expectProblem(await ask(port, '/api/v1/devices/b/commands/cmd_1'), 'not_found');
});
