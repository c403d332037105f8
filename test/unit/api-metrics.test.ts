import { expect, test } from 'vitest';
import { GatewayMetrics, type MetricsSnapshot } from '../../src/api/metrics.ts';
import { noLiveStats } from '../../src/live/stats.ts';

function snapshot(changes: Partial<MetricsSnapshot> = {}): MetricsSnapshot {
  return {
    messages: { received: 10, accepted: 4, control: 1, relayed: 1, refused: 2, shed: 1, redelivered: 1 },
    readings: { decoded: 9, stored: 6, replaced: 1, identical: 2 },
    refusals: new Map([['payload_not_json', 2]]),
    clockCorrected: 3,
    timesTruncated: 0,
    commits: 5,
    commitFailures: 1,
    window: { messages: 2, bytes: 300, closings: 0 },
    devices: { known: 7, online: 5 },
    series: 21,
    openAlerts: 1,
    commands: {
      open: 1,
      created: 5,
      published: 4,
      succeeded: 2,
      failed: 1,
      expired: 1,
      cancelled: 0,
      repliesIgnored: 3,
    },
    mqtt: { broker: null, sessions: null, external: { connections: 3, lost: 1, waiting: 7, unsent: 0 } },
    live: { ...noLiveStats(), clients: 2, framesSent: 40, slowClosed: 1 },
    courier: {
      endpoints: 1,
      queued: 3,
      inFlight: 1,
      recordFailures: 0,
      attemptsSucceeded: 8,
      attemptsRetried: 2,
      attemptsFailed: 1,
      attemptsAborted: 0,
    },
    engine: null,
    ...changes,
  };
}

function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line.startsWith('pulsegate_'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

test('a scrape shows the ledger so that both equations can be checked from outside', async () => {
  const now = samples(await new GatewayMetrics({ collect: () => snapshot() }).render());
  const sum = (family: string): number =>
    [...now].filter(([name]) => name.startsWith(`${family}{`)).reduce((total, [, value]) => total + value, 0);
  expect(sum('pulsegate_messages_total')).toBe(now.get('pulsegate_messages_received_total'));
  expect(sum('pulsegate_readings_total')).toBe(now.get('pulsegate_readings_decoded_total'));
  expect(now.get('pulsegate_messages_total{outcome="refused"}')).toBe(2);
  expect(now.get('pulsegate_messages_refused_total{reason="payload_not_json"}')).toBe(2);
  expect(now.get('pulsegate_readings_total{disposition="identical"}')).toBe(2);
  expect(now.get('pulsegate_delivery_attempts_total{outcome="retry"}')).toBe(2);
  expect(now.get('pulsegate_live_closed_total{reason="slow"}')).toBe(1);
});

test('a second scrape shows the totals of then, not the sum of both', async () => {
  let commits = 5;
  const metrics = new GatewayMetrics({ collect: () => Promise.resolve(snapshot({ commits })) });
  await metrics.render();
  commits = 6;
  expect(samples(await metrics.render()).get('pulsegate_commits_total')).toBe(6);
});

test('what the engine cannot say is left out, and appears once it can', async () => {
  let engine: MetricsSnapshot['engine'] = null;
  const metrics = new GatewayMetrics({ collect: () => snapshot({ engine }) });
  expect(samples(await metrics.render()).has('pulsegate_engine_file_bytes')).toBe(false);
  engine = {
    seq: 12,
    firstKept: 3,
    fileBytes: 4_096,
    walBytes: 0,
    logReadings: 1,
    logBytes: 1,
    headReadings: 2,
    chunks: 3,
    chunkReadings: 4,
    usedBytes: 4_096,
    rollups: 0,
    damagedChunks: 0,
    sealedBytes: 0,
    mergedBytes: 0,
    purgedReadings: 0,
    oldestTime: null,
    quarantineEntries: 5,
    quarantineBytes: 6,
    pendingDeliveries: 7,
    openQuestions: 2,
    questionRuns: 5,
    engineVersion: '3.53.4',
  };
  const now = samples(await metrics.render());
  expect([now.get('pulsegate_engine_file_bytes'), now.get('pulsegate_deliveries_pending')]).toEqual([4_096, 7]);
  expect([now.get('pulsegate_storage_readings'), now.get('pulsegate_storage_log_bytes')]).toEqual([6, 1]);
  expect(now.has('pulsegate_storage_oldest_reading_timestamp_seconds')).toBe(false);
});

test('commits and requests fall into the buckets of their duration', async () => {
  const metrics = new GatewayMetrics({ collect: () => snapshot() });
  metrics.observeCommit(1.5);
  metrics.observeCommit(40);
  metrics.observeRequest({ route: 'listDevices', status: 200, durationMs: 2 });
  metrics.observeRequest({ route: 'pollStream', status: 200, durationMs: 30_000 });
  const now = samples(await metrics.render());
  const bucket = (le: string): number | undefined => now.get(`pulsegate_commit_duration_seconds_bucket{le="${le}"}`);
  expect([bucket('0.001'), bucket('0.002'), bucket('0.05'), bucket('+Inf')]).toEqual([0, 1, 2, 2]);
  expect(now.get('pulsegate_commit_duration_seconds_sum')).toBeCloseTo(0.0415);
  expect(now.get('pulsegate_http_requests_total{route="pollStream",status="200"}')).toBe(1);
  expect(now.get('pulsegate_http_request_duration_seconds_count')).toBe(1);
});

test('of the two ways to MQTT only the one in use is shown', async () => {
  const now = samples(await new GatewayMetrics({ collect: () => snapshot() }).render());
  expect(now.get('pulsegate_external_waiting_messages')).toBe(7);
  expect([now.has('pulsegate_mqtt_clients'), now.has('pulsegate_mqtt_sessions')]).toEqual([false, false]);
});

test('the process itself is described', async () => {
  const text = await new GatewayMetrics({ collect: () => snapshot() }).render();
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
});
