// Who asks much beside who asks little, and who leaves: over HTTP, with the real store behind it.
import { get, type IncomingMessage } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ingested } from '../../src/contract/reading.ts';
import { KeyCreated } from '../../src/contract/key.ts';
import { expectProblem } from '../support/api-problem.ts';
import { KeyedGateway } from '../support/gateway-keyed.ts';
import { SetClock } from '../support/gateway.ts';
import { type Answer, ask } from '../support/http-client.ts';
import { sample } from '../support/ledger-check.ts';

const clock = new SetClock();
const noon = clock.wall;
const count = 200_000;
/** Percentiles of all readings in one bucket: a question of many runs. */
const percentiles = Array.from({ length: 20 }, (_, index) => `p${index * 5}`).join(',');
const range = `from=${noon - count * 100}&to=${noon}`;
const long = `/api/v1/devices/meter-1/readings?metric=power&${range}&bucket=1year&agg=${percentiles}`;
const short = `/api/v1/devices/meter-1/readings?metric=power&${range}&limit=10`;

let running: KeyedGateway;
/** Buckets are asked of the store once this has resolved. */
let gate = Promise.resolve();

beforeAll(async () => {
  running = await KeyedGateway.start(
    {},
    {
      clock,
      wrapEngine(engine) {
        const { reader } = engine;
        const aggregate = reader.aggregate.bind(reader);
        reader.aggregate = (query, asker) => gate.then(() => aggregate(query, asker));
        return engine;
      },
    },
  );
  await running.createDevice('meter-1');
  for (let at = 0; at < count; at += 10_000) {
    const readings = Array.from({ length: 10_000 }, (_, index) => ({
      device: 'meter-1',
      metric: 'power',
      time: noon - (count - at - index) * 100,
      value: ((at + index) * 7_919) % 1_000,
    }));
    await running.read(Ingested, 200, 'POST', '/readings', readings);
  }
}, 60_000);
afterAll(() => running.stop());

function newKey(name: string, scopes = ['read']): Promise<KeyCreated> {
  return running.read(KeyCreated, 201, 'POST', '/keys', { name, scopes });
}

/** A key of its own; what comes back asks with it. */
async function newAsker(name: string) {
  const { key } = await newKey(name);
  return (path: string, signal?: AbortSignal): Promise<Answer> =>
    ask(running.httpPort, path, { headers: { authorization: `Bearer ${key}` }, ...(signal && { signal }) });
}

/** A download that was begun and is not read. */
function unread(path: string, key: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}` };
    get({ host: '127.0.0.1', port: running.httpPort, path, headers, agent: false }, resolve).on('error', reject);
  });
}

async function runs(): Promise<number> {
  return sample(await running.metrics(), 'pulsegate_storage_question_runs_total');
}

/** Resolves once so many long questions are gone on with. */
async function untilOpen(is: (questions: number) => boolean): Promise<void> {
  while (!is(sample(await running.metrics(), 'pulsegate_storage_open_questions'))) await turn();
}

test('a client that hangs up in a long question costs no further run', async () => {
  const asks = await newAsker('leaver');
  const begin = await runs();
  expect((await asks(long)).status).toBe(200);
  const whole = (await runs()) - begin;
  expect(whole).toBeGreaterThan(10);
  const leaving = new AbortController();
  const questions = Array.from({ length: 20 }, () => asks(long, leaving.signal));
  const ends = Promise.allSettled(questions);
  await untilOpen((questions) => questions > 0);
  leaving.abort();
  await ends;
  await untilOpen((questions) => questions === 0);
  const left = await runs();
  expect(left - begin).toBeLessThan(10 * whole);
  for (let round = 0; round < 20; round++) await turn();
  expect((await asks(short)).status).toBe(200);
  expect((await runs()) - left).toBe(1);
});

test('a key that asks much holds up itself, and is told when that is too much', async () => {
  const [greedy, quiet] = [await newAsker('greedy'), await newAsker('quiet')];
  const leaving = new AbortController();
  const { promise, resolve: open } = Promise.withResolvers<void>();
  gate = promise;
  const answers: Answer[] = [];
  const many = Array.from({ length: 200 }, async () => answers.push(await greedy(long, leaving.signal)));
  const ends = Promise.allSettled(many);
  // Of 64 places one key has 33 at most, and a hundred of its questions wait.
  while (answers.length < 67) await turn();
  for (const refused of answers) {
    expectProblem(refused, 'too_many_questions');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  }
  expect((await quiet(short)).status).toBe(200);
  open();
  expect((await quiet(long)).status).toBe(200);
  // Those that were gone on with beside it, and not the hundred that waited before.
  expect(answers.filter(({ status }) => status === 200).length).toBeLessThan(20);
  leaving.abort();
  await ends;
  await untilOpen((questions) => questions === 0);
  expect((await greedy(long)).status).toBe(200);
}, 30_000);

test('a key that is revoked ends its long polls, its questions and its downloads, and those of nobody else', async () => {
  const { promise, resolve: open } = Promise.withResolvers<void>();
  gate = promise;
  const poll = '/api/v1/stream?wait=60s';
  const [revoked, kept] = [await newKey('revoked'), await newKey('kept')];
  const asks = (path: string, { key }: KeyCreated, signal?: AbortSignal) =>
    ask(running.httpPort, path, { headers: { authorization: `Bearer ${key}` }, ...(signal && { signal }) });
  const leaving = new AbortController();
  let hasEnded = false;
  const own = asks(poll, kept, leaving.signal).catch(() => undefined);
  void own.finally(() => (hasEnded = true));
  const ending = [asks(poll, revoked), asks(long, revoked)];
  const everything = `/api/v1/readings?${range}&format=ndjson`;
  const [cut, whole] = await Promise.all([revoked, kept].map(({ key }) => unread(everything, key)));
  while (sample(await running.metrics(), 'pulsegate_live_polls_waiting') < 2) await turn();
  expect((await running.ask('DELETE', `/api/v1/keys/${revoked.id}`)).status).toBe(204);
  open();
  for (const answer of await Promise.all(ending)) expectProblem(answer, 'unauthorized');
  await expect(textOf(cut)).rejects.toThrow(/aborted|Premature close/);
  expect((await textOf(whole)).split('\n')).toHaveLength(count + 1);
  expect(hasEnded).toBe(false);
  leaving.abort();
  await own;
});

test('a key that revokes itself is told so', async () => {
  const { key, id } = await newKey('itself', ['admin']);
  const headers = { authorization: `Bearer ${key}` };
  const path = `/api/v1/keys/${id}`;
  expect((await ask(running.httpPort, path, { method: 'DELETE', headers })).status).toBe(204);
  expectProblem(await ask(running.httpPort, path, { headers }), 'unauthorized');
});

async function textOf(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message) text += String(chunk);
  return text;
}
