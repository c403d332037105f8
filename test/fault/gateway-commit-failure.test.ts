// The disk says no to a whole gateway that is being sent to. Nothing acknowledged is lost, nothing comes twice, and
// the ledger adds up, whatever COMMIT says and whatever it did.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QuarantineList } from '../../src/contract/quarantine.ts';
import type { Commit, CommitResult } from '../../src/domain/commit.ts';
import type { RetentionPlan } from '../../src/domain/retention.ts';
import {
  type BackupFacts,
  CommitFailedError,
  type Engine,
  EngineOpenError,
  type Recovered,
} from '../../src/history/engine.ts';
import type { HistoryReader } from '../../src/history/reader.ts';
import { type GatewayHere, startGatewayHere, untilReadiness } from '../support/gateway-here.ts';
import { ask, send } from '../support/http-client.ts';
import { readAll } from '../support/kill-model.ts';
import { Device } from '../support/kill-publisher.ts';
import { Watcher } from '../support/kill-watcher.ts';
import { expectBalanced, readMetrics, sample } from '../support/ledger-check.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

/** The real engine behind a disk that fails as it is told. */
class FailingEngine implements Engine {
  readonly #engine: Engine;
  /** Asked before each commit. */
  fault: (commit: Commit) => 'none' | 'busy' | 'refused' | 'unknown, written' | 'unknown, not written' = () => 'none';
  /** Openings that fail before one succeeds. */
  openFailures = 0;
  /** Commits that failed. */
  failures = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get reader(): HistoryReader {
    return this.#engine.reader;
  }

  open(): Promise<Recovered> {
    if (this.openFailures === 0) return this.#engine.open();
    this.openFailures--;
    throw new EngineOpenError('the disk is not there');
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const fault = this.fault(commit);
    if (fault === 'none') return await this.#engine.commit(commit);
    this.failures++;
    if (fault === 'unknown, written') await this.#engine.commit(commit);
    const isUnknown = fault.startsWith('unknown');
    throw new CommitFailedError(`as the test wants it: ${fault}`, {
      outcome: isUnknown ? 'unknown' : 'rolled_back',
      reason: isUnknown ? 'io' : fault === 'busy' ? 'busy' : 'refused',
      readings: isUnknown ? null : commit.readings,
    });
  }

  retain(plan: RetentionPlan): Promise<Float64Array<ArrayBuffer>> {
    return this.#engine.retain(plan);
  }

  onGone(listener: Parameters<Engine['onGone']>[0]): void {
    this.#engine.onGone(listener);
  }

  backup(path: string): Promise<BackupFacts> {
    return this.#engine.backup(path);
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  /** The next commit with readings fails so, once. */
  once(fault: 'busy' | 'unknown, written' | 'unknown, not written'): void {
    this.fault = ({ readings }) => {
      if (readings.count === 0) return 'none';
      this.fault = () => 'none';
      return fault;
    };
  }
}

let folder: ReturnType<typeof tempFolder>;
let here: GatewayHere;
let engine: FailingEngine;
let device: Device;
let receiver: WebhookReceiver;
let readings: Watcher;
let alerts: Watcher;
const fatal: unknown[] = [];

beforeEach(async () => {
  folder = tempFolder();
  here = await startGatewayHere(
    folder.path,
    { 'live.heartbeat': '200ms' },
    {
      wrapEngine: (real) => (engine = new FailingEngine(real)),
      fatal: (error) => void fatal.push(error),
    },
  );
  receiver = await WebhookReceiver.open();
  const rule = { name: 'flow', metric: 'flow', condition: { type: 'threshold', above: 100 } };
  expect((await send(here.httpPort, 'POST', '/api/v1/rules', rule)).status).toBe(201);
  expect((await send(here.httpPort, 'POST', '/api/v1/webhooks', { url: receiver.url })).status).toBe(201);
  readings = new Watcher({});
  alerts = new Watcher({ topic: 'alerts' });
  await Promise.all([readings.connect(here.httpPort), alerts.connect(here.httpPort)]);
  device = new Device('pump');
  await device.connect(here.mqttPort);
  await device.publish('devices/pump/telemetry/count', '0');
});
afterEach(async () => {
  device.disconnect();
  readings.disconnect();
  alerts.disconnect();
  await here.gateway.stop();
  await receiver.close();
  folder.remove();
  expect(fatal.splice(0)).toEqual([]);
});

/** Serial numbers without a time, and a flow that fires an alert: what must come exactly once. */
function publishAll(count: number): Promise<void>[] {
  const told = Array.from({ length: count }, (_, index) =>
    device.publish('devices/pump/telemetry/count', String(index + 1), index % 2 === 0 ? 1 : 2),
  );
  return [...told, device.publish('devices/pump/telemetry', `{"ts":${Date.now()},"flow":130}`)];
}

/** Everything is there once: in the store, on the live stream, as an alert, as a webhook; and the ledger adds up. */
async function expectOnce(count: number): Promise<void> {
  await device.settled();
  const serials = Array.from({ length: count + 1 }, (_, index) => index);
  const kept = await readAll(here.httpPort);
  expect(kept.get('pump/count')?.map(({ value }) => value)).toEqual(serials);
  expect(kept.get('pump/flow')).toHaveLength(1);
  await receiver.received(1);
  const metrics = await readMetrics(here.httpPort);
  const seq = sample(metrics, 'pulsegate_engine_sequence');
  await Promise.all([readings.reached(seq), alerts.reached(seq)]);
  const seen = readings.readings.filter(({ metric }) => metric === 'count').map(({ value }) => value);
  expect(seen).toEqual(serials);
  expect(alerts.transitions).toHaveLength(1);
  expect(new Set(receiver.ids).size).toBe(1);
  expect(sample(metrics, 'pulsegate_alerts_open')).toBe(1);
  expect(sample(metrics, 'pulsegate_commit_failures_total')).toBe(engine.failures);
  expectBalanced(metrics);
}

describe('while the disk is full or busy', () => {
  beforeEach(async () => {
    engine.fault = () => 'busy';
  });

  it('devices are disconnected and kept out, requests get 503 with Retry-After, and afterwards nothing is missing', async () => {
    const told = Promise.all(publishAll(200));
    await device.ended();
    await untilReadiness(here.httpPort, 503);
    const row = [{ device: 'poster', metric: 'flow', time: Date.now(), value: 1 }];
    const refused = await send(here.httpPort, 'POST', '/api/v1/readings', row);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect(refused.json()).toMatchObject({ code: 'storage_unavailable' });
    await expect(device.connect(here.mqttPort)).rejects.toThrow();
    // What was committed before can be read all the same.
    expect((await ask(here.httpPort, '/api/v1/devices/pump/latest')).json()).toMatchObject({
      values: { count: { value: 0 } },
    });
    expect((await readAll(here.httpPort)).get('pump/count')).toHaveLength(1);

    engine.fault = () => 'none';
    await untilReadiness(here.httpPort, 200);
    await device.connect(here.mqttPort);
    await told;
    expect((await send(here.httpPort, 'POST', '/api/v1/readings', row)).status).toBe(200);
    await expectOnce(200);
  });

  it('a rule that is made takes effect once there is room', async () => {
    const told = device.publish('devices/pump/telemetry/count', '1');
    await device.ended();
    const rule = { name: 'pressure', metric: 'pressure', condition: { type: 'threshold', above: 1 } };
    expect((await send(here.httpPort, 'POST', '/api/v1/rules', rule)).status).toBe(201);
    engine.fault = () => 'none';
    await untilReadiness(here.httpPort, 200);
    await device.connect(here.mqttPort);
    await told;
    await device.publish('devices/pump/telemetry', '{"pressure":2}');
    const open = await ask(here.httpPort, '/api/v1/alerts?state=firing');
    expect(open.json()).toMatchObject({ items: [{ rule: { name: 'pressure' }, value: 2 }] });
  });
});

it('a message that the store refuses goes to the quarantine, and those that came with it are stored', async () => {
  engine.fault = ({ readings: { count, values } }) => (values.subarray(0, count).includes(-666) ? 'refused' : 'none');
  const told = publishAll(100);
  told.push(device.publish('devices/pump/telemetry', '{"poison":-666,"beside":1}'));
  const poisoned = await send(here.httpPort, 'POST', '/api/v1/readings', [
    { device: 'poster', metric: 'flow', time: Date.now(), value: -666 },
  ]);
  expect(poisoned.status).toBe(500);
  expect(poisoned.json()).toMatchObject({ code: 'message_poisonous' });
  await Promise.all(told);
  const kept: QuarantineList = JSON.parse((await ask(here.httpPort, '/api/v1/quarantine')).text);
  expect(kept.items).toMatchObject([{ reason: 'message_poisonous', payload: '{"poison":-666,"beside":1}' }]);
  await expectOnce(100);
  expect((await readAll(here.httpPort)).get('pump/beside')).toBe(undefined);
  expect((await ask(here.httpPort, '/readyz')).status).toBe(200);
});

describe('when the outcome of a COMMIT is unknown', () => {
  it('and it was written, the senders are told so and it is told to everybody once', async () => {
    engine.once('unknown, written');
    await Promise.all(publishAll(200));
    await expectOnce(200);
    expect(engine.failures).toBe(1);
  });

  it('and it was not written, the senders send again and nothing is missing', async () => {
    engine.once('unknown, not written');
    const told = Promise.all(publishAll(200));
    await device.ended();
    await untilReadiness(here.httpPort, 200);
    await device.connect(here.mqttPort);
    await told;
    await expectOnce(200);
  });

  it.each(['unknown, written', 'unknown, not written'] as const)(
    'and the store cannot be opened for a while (%s), the messages come again and are stored once',
    async (fault) => {
      engine.once(fault);
      engine.openFailures = 2;
      const told = Promise.all(publishAll(200));
      await device.ended();
      await untilReadiness(here.httpPort, 200);
      await device.connect(here.mqttPort);
      await told;
      await expectOnce(200);
    },
  );
});
