import { afterEach, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { Alert } from '../../src/contract/alert.ts';
import { send } from '../support/http-client.ts';
import type { Arrival } from '../support/kill-inbox.ts';
import { type Kept, readAll, type Write } from '../support/kill-model.ts';
import { KillRun } from '../support/kill-run.ts';
import { Watcher } from '../support/kill-watcher.ts';
import { readMetrics, sample } from '../support/ledger-check.ts';
import { tempFolder } from '../support/temp-folder.ts';

/*
 * The promises of the whole program, at the end of a power cord. A gateway runs as a process of its own under load from
 * devices, live clients and webhook receivers, and is killed with SIGKILL at the acknowledgement that a random number
 * picks. What was acknowledged is known here by serial number, so "none lost, none twice" is arithmetic.
 */
const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const kills = 20;

let folder: ReturnType<typeof tempFolder>;
let run: KillRun;
beforeEach(() => {
  folder = tempFolder();
  run = new KillRun(folder.path, seed);
});
afterEach(async () => {
  await run.close();
  folder.remove();
});

describe(`${kills} kills at random moments under load (KILL_SEED=${seed})`, () => {
  it('lose nothing acknowledged, double nothing, leave nothing untold and tell nothing that is not so', async () => {
    onTestFailed(() => {
      run.note('failed');
      console.error(run.notes.join('\n'));
    });
    await run.start();
    await run.furnish();
    await run.reconnect();
    const sleeper = new Watcher({ device: 'fan-*', metric: 'temperature' });
    await sleeper.connect(run.httpPort);
    for (let kill = 1; kill <= kills; kill++) {
      await endLife(kill);
      if (kill === 1) await sleeper.ended();
      // Nor is a start that is cut short allowed to lose anything.
      if (kill % 6 === 0) await run.startAndKill(run.random.next() * 700);
      await run.start();
      // Before anybody sends again: whatever is missing now is lost.
      await run.expectKept();
      await run.reconnect();
    }

    const rest = await run.quiet();
    await run.expectKept();
    expect(run.sent.size).toBeGreaterThan(5_000);
    expect(run.redelivered).toBeGreaterThan(0);
    run.note('look at live clients');
    await expectWatched(sample(rest, 'pulsegate_engine_sequence'));
    const alerts = await run.alerts();
    expectEpisodes(alerts);
    expectLevels(alerts);
    run.note('look at deliveries');
    await expectDelivered(alerts);
    expectAlertsWatched(alerts);

    await run.terminate();
    await run.start(['storage.resumeWindow=1ms']);
    run.note('look at the gap');
    await expectGapTold(sleeper);
  }, 600_000);
});

/** One life, from a quiet gateway (or one that is still being sent what it missed) to the kill. */
async function endLife(kill: number): Promise<void> {
  // Every fifth life ends while the devices still send again what was not acknowledged.
  if (kill % 5 !== 0) await run.quiet();
  const count = 1 + Math.floor(run.random.next() ** 2 * 2_500);
  const moment = run.acknowledged(count);
  run.send(kill % 8 === 0 ? 300 : count + 400);
  if (kill % 8 === 0) await sealing();
  else await moment;
  run.note('the moment');
  await run.kill();
}

/** Resolves when heads begin to be sealed; the load goes on meanwhile, a little at a time. */
async function sealing(): Promise<void> {
  let before: number | null = null;
  await run.metricsOnce((now) => {
    const chunks = sample(now, 'pulsegate_engine_chunks');
    before ??= chunks;
    run.send(30);
    return chunks > before;
  });
}

/** What live clients saw since they came: every change once, none that was not sent, in spite of every kill. */
async function expectWatched(seq: number): Promise<void> {
  for (const watcher of run.watchers) {
    await watcher.reached(seq);
    expect(watcher.fault).toBe(null);
    expect(watcher.gaps).toEqual([]);
    expect(watcher.resumed).toBe(kills);
    expect(watcher.snapshot).toEqual([]);
    const isTimeless = (device: string, metric: string): boolean => run.sent.isTimeless(device, metric);
    const seen = watcher.changes(isTimeless).filter(isAccountable).toSorted();
    const sent = run.sent.changes((series) => watcher.matches(series)).filter(isAccountable);
    expect(differences(sent, seen)).toEqual({ missed: [], unknown: [], twice: [] });
    expectInOrder(watcher, await readAll(run.httpPort));
  }
}

/** Messages of QoS 0 may be lost. */
function isAccountable(change: string): boolean {
  return !change.includes(' loose ');
}

function differences(sent: readonly string[], seen: readonly string[]): object {
  const [expected, found] = [new Set(sent), new Set(seen)];
  return {
    missed: sent.filter((change) => !found.has(change)).slice(0, 10),
    unknown: seen.filter((change) => !expected.has(change)).slice(0, 10),
    twice: seen.filter((change, index) => change === seen[index - 1]).slice(0, 10),
  };
}

/** The last value that a client saw of each reading is the one that is kept. */
function expectInOrder(watcher: Watcher, kept: Kept): void {
  const last = new Map<string, unknown>();
  for (const { device, metric, time, value } of watcher.readings) last.set(`${device}/${metric} ${time}`, value);
  const rows = [...kept].flatMap(([name, readings]) =>
    readings.map(({ time, value }) => [`${name} ${time}`, value] as const),
  );
  const matching = rows.filter(([name]) => {
    const [device = '', metric = ''] = name.split(' ')[0].split('/');
    return watcher.matches({ device, metric });
  });
  expect(matching.filter(([name, value]) => last.get(name) !== value)).toEqual([]);
  expect(last.size).toBe(matching.length);
}

/** Per rule and series: one open alert at most, and it is the newest. */
function expectEpisodes(alerts: readonly Alert[]): void {
  expect(new Set(alerts.map(({ id }) => id)).size).toBe(alerts.length);
  expect(new Set(alerts.map(({ rule }) => rule.name))).toEqual(new Set(['level', 'pressure', 'noise']));
  for (const [key, episodes] of byKey(alerts)) {
    const open = episodes.filter(({ state }) => state === 'firing');
    expect(open.length, key).toBeLessThanOrEqual(1);
    if (open.length > 0) expect(open[0], key).toBe(episodes.at(-1));
  }
}

/** A rule without `for` on a series that was sent in order leaves no choice: an independent count of its episodes. */
function expectLevels(alerts: readonly Alert[]): void {
  const episodes = byKey(alerts.filter(({ rule }) => rule.name === 'level'));
  let count = 0;
  for (const device of run.devices) {
    const expected = levelEpisodes(run.sent.values(device, 'level'));
    const found = [...episodes].find(([key]) => key.endsWith(` ${device} level`))?.[1] ?? [];
    expect(
      found.map(({ firedAt, resolvedAt, value }) => ({ firedAt, resolvedAt, value })),
      device,
    ).toEqual(expected);
    count += expected.length;
  }
  expect(count).toBeGreaterThan(20);
}

function levelEpisodes(writes: readonly Write[]): object[] {
  const episodes: { firedAt: string; resolvedAt: string | null; value: number }[] = [];
  let newest = 0;
  for (const { time, value } of writes) {
    // A repetition is not newer than what it repeats.
    if (time === null || time <= newest || typeof value !== 'number') continue;
    newest = time;
    const open = episodes.at(-1)?.resolvedAt === null ? episodes.at(-1) : undefined;
    const at = new Date(time).toISOString();
    if (!open && value > 50) episodes.push({ firedAt: at, resolvedAt: null, value });
    else if (open && value < 40) Object.assign(open, { resolvedAt: at, value });
  }
  return episodes;
}

/** Every committed transition was delivered, under one id each, in order; nothing else was. */
async function expectDelivered(alerts: readonly Alert[]): Promise<void> {
  const transitions = transitionsOf(alerts);
  const committed = new Set(transitions);
  for (const { inbox } of run.inboxes) {
    const told = [...inbox.arrivals.values()].map(transitionText);
    expect(told.filter((text) => !committed.has(text))).toEqual([]);
  }
  await run.metricsOnce((now) => sample(now, 'pulsegate_deliveries_pending') === 0);
  const [all, firing] = run.inboxes;
  for (const { inbox, webhookId } of run.inboxes) {
    const expected =
      inbox === firing.inbox ? transitions.filter((text) => text.startsWith('alert.firing')) : transitions;
    const arrivals = [...inbox.arrivals.values()];
    expect(inbox.faults).toEqual([]);
    expect(arrivals.filter(({ isTaken }) => !isTaken)).toEqual([]);
    // As many ids as transitions and the same transitions: each has one id.
    expect(arrivals.map(transitionText).toSorted()).toEqual(expected.toSorted());
    const deliveries = await run.deliveries(webhookId);
    expect(deliveries.map(({ id }) => id).toSorted()).toEqual([...inbox.arrivals.keys()].toSorted());
    expect(deliveries.filter(({ state }) => state !== 'succeeded')).toEqual([]);
    const sequences = new Map<string, number[]>();
    for (const { parsed } of arrivals) {
      const { alert, sequence } = parsed.data;
      const key = keyOf(alert);
      sequences.set(key, [...(sequences.get(key) ?? []), sequence]);
    }
    const step = inbox === firing.inbox ? 2 : 1;
    for (const [key, found] of sequences) {
      expect(found, key).toEqual(Array.from({ length: found.length }, (_, index) => 1 + index * step));
    }
  }
  expect(all.inbox.failed).toBeGreaterThan(0);
  expect(all.inbox.hung).toBeGreaterThan(0);
}

/** As `transitionsOf` has them. */
function transitionText({ parsed: { type, data } }: Arrival): string {
  return `${type} ${data.alert.id} ${data.sequence}`;
}

function expectAlertsWatched(alerts: readonly Alert[]): void {
  const { transitions, gaps } = run.alertWatcher;
  expect(gaps).toEqual([]);
  // A connection that broke between the transitions of one commit repeats them; the sequence tells.
  expect([...new Set(transitions)].toSorted()).toEqual(transitionsOf(alerts).toSorted());
}

/** `type alert sequence` of everything that the store says has happened. */
function transitionsOf(alerts: readonly Alert[]): string[] {
  return [...byKey(alerts).values()].flatMap((episodes) =>
    episodes.flatMap(({ id, state }, index) => {
      const fired = `alert.firing ${id} ${index * 2 + 1}`;
      return state === 'firing' ? [fired] : [fired, `alert.resolved ${id} ${index * 2 + 2}`];
    }),
  );
}

/** Episodes of each rule and series, oldest first. */
function byKey(alerts: readonly Alert[]): Map<string, Alert[]> {
  const oldestFirst = alerts.toSorted((a, b) => (a.firedAt < b.firedAt ? -1 : 1));
  return Map.groupBy(oldestFirst, keyOf);
}

function keyOf({ rule, device, metric }: Pick<Alert, 'rule' | 'device' | 'metric'>): string {
  return `${rule.id} ${device} ${metric}`;
}

/** A client that slept through nearly everything, and whose place in the log was trimmed away, is told so. */
async function expectGapTold(sleeper: Watcher): Promise<void> {
  const { cursor } = sleeper;
  expect(cursor).not.toBe(null);
  const knock = { device: 'late-comer', metric: 'knocks', time: Date.UTC(2026, 1, 1), value: 1 };
  let logged = 0;
  for (let time = 0, before = -1; logged > before; time++) {
    before = logged;
    // What is outside the window is trimmed behind commits, once it is sealed.
    const body = Array.from({ length: 1_000 }, (_, row) => ({ ...knock, time: knock.time + time * 1_000 + row }));
    expect((await send(run.httpPort, 'POST', '/api/v1/readings', body)).status).toBe(200);
    logged = sample(await readMetrics(run.httpPort), 'pulsegate_engine_log_readings');
  }
  await sleeper.connect(run.httpPort);
  expect(sleeper.gaps).toMatchObject([{ after: cursor, reason: 'trimmed' }]);
  const kept = await readAll(run.httpPort);
  const newest = [...kept].flatMap(([name, readings]) => {
    const [device = '', metric = ''] = name.split('/');
    const last = readings.at(-1);
    return last && sleeper.matches({ device, metric }) ? [{ device, metric, ...last }] : [];
  });
  expect(sleeper.snapshot.length).toBe(newest.length);
  expect(sleeper.snapshot).toEqual(expect.arrayContaining(newest));
  sleeper.disconnect();
}
