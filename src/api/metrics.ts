import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CommandCounts } from '../commands/ports.ts';
import type { EngineStats } from '../history/reader.ts';
import type { LiveStats } from '../live/stats.ts';
import type { CourierStats } from '../webhooks/courier.ts';
import { type Family, single } from './metric-family.ts';
import { mqttFamilies, type MqttSnapshot } from './mqtt-metrics.ts';
import type { Metrics } from './ports.ts';
import { storageFamilies } from './storage-metrics.ts';

/** Plain numbers from the rooms, asked for at every scrape. Totals count since the start of the process. */
export interface MetricsSource {
  collect(): MetricsSnapshot | Promise<MetricsSnapshot>;
}

export interface MetricsSnapshot {
  /** `received` and the outcomes that add up to it. */
  readonly messages: Readonly<Record<'received' | MessageOutcome, number>>;
  /** `decoded` and the dispositions that add up to it. */
  readonly readings: Readonly<Record<'decoded' | ReadingDisposition, number>>;
  /** Refused messages by code of the error registry. */
  readonly refusals: Iterable<readonly [code: string, count: number]>;
  readonly clockCorrected: number;
  readonly timesTruncated: number;
  readonly commits: number;
  readonly commitFailures: number;
  /** Gauges: what is in the in-flight window now. */
  readonly window: { readonly messages: number; readonly bytes: number; readonly closings: number };
  /** Gauges. */
  readonly devices: { readonly known: number; readonly online: number };
  readonly series: number;
  readonly openAlerts: number;
  readonly commands: CommandCounts;
  readonly mqtt: MqttSnapshot;
  readonly live: LiveStats;
  readonly courier: CourierStats;
  /** null while the engine cannot be asked. */
  readonly engine: EngineStats | null;
}

const outcomes = ['accepted', 'control', 'relayed', 'refused', 'shed', 'redelivered'] as const;
const dispositions = ['stored', 'replaced', 'identical'] as const;
export type MessageOutcome = (typeof outcomes)[number];
export type ReadingDisposition = (typeof dispositions)[number];

/** `/metrics`: a registry of prom-client filled from a snapshot at every scrape. Rooms only count. */
export class GatewayMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #source: MetricsSource;
  readonly #fill: ((snapshot: MetricsSnapshot) => void)[];
  readonly #commitDuration: Histogram;
  readonly #requests: Counter<'route' | 'status'>;
  readonly #requestDuration: Histogram;

  constructor(source: MetricsSource) {
    this.#source = source;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#fill = families.map((family) => fillOf(family, this.#registry));
    this.#commitDuration = new Histogram({
      name: 'pulsegate_commit_duration_seconds',
      help: 'From handing a commit to the engine until it is on disk',
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5],
      registers,
    });
    this.#requests = new Counter({
      name: 'pulsegate_http_requests_total',
      help: 'HTTP requests answered, by operation and status',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#requestDuration = new Histogram({
      name: 'pulsegate_http_request_duration_seconds',
      help: 'From the request line until the answer is ready; long polls are left out',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
  }

  /** Called by whoever watches the pipeline, once for every commit that succeeded. */
  observeCommit(durationMs: number): void {
    this.#commitDuration.observe(durationMs / 1000);
  }

  observeRequest(request: { readonly route: string; readonly status: number; readonly durationMs: number }): void {
    this.#requests.inc({ route: request.route, status: String(request.status) });
    if (request.route !== 'pollStream') this.#requestDuration.observe(request.durationMs / 1000);
  }

  async render(): Promise<string> {
    const snapshot = await this.#source.collect();
    for (const fill of this.#fill) fill(snapshot);
    return this.#registry.metrics();
  }
}

function fillOf(family: Family, registry: Registry): (snapshot: MetricsSnapshot) => void {
  const { name, help, labels } = family;
  const configuration = { name, help, labelNames: [...labels], registers: [registry] };
  if (family.kind === 'gauge') {
    const gauge = new Gauge(configuration);
    return (snapshot) => {
      gauge.reset();
      // A gauge without labels begins at 0, which is not the same as unknown.
      gauge.remove();
      for (const [labels, value] of family.samples(snapshot)) gauge.set(labels, value);
    };
  }
  const counter = new Counter(configuration);
  return (snapshot) => {
    // The rooms hold the totals; the counter only shows them.
    counter.reset();
    for (const [labels, value] of family.samples(snapshot)) counter.inc(labels, value);
  };
}

const families: readonly Family[] = [
  single('counter', 'pulsegate_messages_received_total', 'Messages received', (now) => now.messages.received),
  {
    kind: 'counter',
    name: 'pulsegate_messages_total',
    help: 'Messages by what became of them; at rest they add up to those received',
    labels: ['outcome'],
    samples: (now) => outcomes.map((outcome) => [{ outcome }, now.messages[outcome]]),
  },
  single('counter', 'pulsegate_readings_decoded_total', 'Readings decoded', (now) => now.readings.decoded),
  {
    kind: 'counter',
    name: 'pulsegate_readings_total',
    help: 'Readings by what the store made of them; at rest they add up to those decoded',
    labels: ['disposition'],
    samples: (now) => dispositions.map((disposition) => [{ disposition }, now.readings[disposition]]),
  },
  {
    kind: 'counter',
    name: 'pulsegate_messages_refused_total',
    help: 'Refused messages by reason',
    labels: ['reason'],
    samples: (now) => Array.from(now.refusals, ([reason, count]) => [{ reason }, count] as const),
  },
  single(
    'counter',
    'pulsegate_clock_corrected_total',
    'Messages shifted from the future to their receipt',
    (now) => now.clockCorrected,
  ),
  single('counter', 'pulsegate_times_truncated_total', 'Times finer than a millisecond', (now) => now.timesTruncated),
  single('counter', 'pulsegate_commits_total', 'Commits on disk', (now) => now.commits),
  single('counter', 'pulsegate_commit_failures_total', 'Commits that failed', (now) => now.commitFailures),
  single('gauge', 'pulsegate_window_messages', 'Messages not yet on disk', (now) => now.window.messages),
  single('gauge', 'pulsegate_window_bytes', 'Bytes of messages not yet on disk', (now) => now.window.bytes),
  single('counter', 'pulsegate_window_full_total', 'Times the window was full', (now) => now.window.closings),
  single('gauge', 'pulsegate_devices', 'Devices ever heard of', (now) => now.devices.known),
  single('gauge', 'pulsegate_devices_online', 'Devices that said they are online', (now) => now.devices.online),
  single('gauge', 'pulsegate_series', 'Series: device and metric', (now) => now.series),
  single('gauge', 'pulsegate_alerts_open', 'Alerts that are firing', (now) => now.openAlerts),
  single('gauge', 'pulsegate_commands_open', 'Commands that are not in a final state', (now) => now.commands.open),
  {
    kind: 'counter',
    name: 'pulsegate_commands_total',
    help: 'Commands by what became of them',
    labels: ['state'],
    samples: ({ commands }) => [
      [{ state: 'created' }, commands.created],
      [{ state: 'succeeded' }, commands.succeeded],
      [{ state: 'failed' }, commands.failed],
      [{ state: 'expired' }, commands.expired],
      [{ state: 'cancelled' }, commands.cancelled],
    ],
  },
  single(
    'counter',
    'pulsegate_commands_published_total',
    'Commands handed over, again included',
    (now) => now.commands.published,
  ),
  single(
    'counter',
    'pulsegate_command_replies_ignored_total',
    'Answers that nobody waited for',
    (now) => now.commands.repliesIgnored,
  ),
  ...mqttFamilies,

  single('gauge', 'pulsegate_live_clients', 'WebSocket clients connected', (now) => now.live.clients),
  single('gauge', 'pulsegate_live_subscriptions', 'Live subscriptions', (now) => now.live.subscriptions),
  single('gauge', 'pulsegate_live_polls_waiting', 'Long polls that wait', (now) => now.live.pollsWaiting),
  single('counter', 'pulsegate_live_frames_total', 'Frames sent', (now) => now.live.framesSent),
  single('counter', 'pulsegate_live_bytes_total', 'Bytes of frames sent', (now) => now.live.bytesSent),
  single(
    'counter',
    'pulsegate_live_readings_total',
    'Readings sent, counted per client',
    (now) => now.live.readingsSent,
  ),
  single('counter', 'pulsegate_live_merged_total', 'Readings a newer one replaced', (now) => now.live.merged),
  single('counter', 'pulsegate_live_gaps_total', 'Gaps told to clients', (now) => now.live.gaps),
  {
    kind: 'counter',
    name: 'pulsegate_live_closed_total',
    help: 'Clients closed by the gateway, by reason',
    labels: ['reason'],
    samples: ({ live }) => [
      [{ reason: 'slow' }, live.slowClosed],
      [{ reason: 'dead' }, live.deadClosed],
    ],
  },

  {
    kind: 'counter',
    name: 'pulsegate_delivery_attempts_total',
    help: 'Attempts of webhook deliveries by outcome',
    labels: ['outcome'],
    samples: ({ courier }) => [
      [{ outcome: 'succeeded' }, courier.attemptsSucceeded],
      [{ outcome: 'retry' }, courier.attemptsRetried],
      [{ outcome: 'failed' }, courier.attemptsFailed],
      [{ outcome: 'aborted' }, courier.attemptsAborted],
    ],
  },
  single('gauge', 'pulsegate_deliveries_queued', 'Deliveries in memory', (now) => now.courier.queued),
  single('gauge', 'pulsegate_deliveries_in_flight', 'Attempts under way', (now) => now.courier.inFlight),
  single('gauge', 'pulsegate_deliveries_pending', 'Deliveries not yet settled', (now) => now.engine?.pendingDeliveries),

  single('gauge', 'pulsegate_engine_sequence', 'The newest commit', (now) => now.engine?.seq),
  single('gauge', 'pulsegate_engine_file_bytes', 'Size of the database', (now) => now.engine?.fileBytes),
  single('gauge', 'pulsegate_engine_wal_bytes', 'Size of the write-ahead log', (now) => now.engine?.walBytes),
  single('gauge', 'pulsegate_engine_log_readings', 'Readings in the commit log', (now) => now.engine?.logReadings),
  single('gauge', 'pulsegate_engine_head_readings', 'Readings in heads', (now) => now.engine?.headReadings),
  single('gauge', 'pulsegate_engine_chunks', 'Sealed chunks', (now) => now.engine?.chunks),
  single('gauge', 'pulsegate_engine_chunk_readings', 'Readings in chunks', (now) => now.engine?.chunkReadings),
  ...storageFamilies,
  single('gauge', 'pulsegate_quarantine_messages', 'Messages in quarantine', (now) => now.engine?.quarantineEntries),
  single('gauge', 'pulsegate_quarantine_bytes', 'Bytes in quarantine', (now) => now.engine?.quarantineBytes),
];
