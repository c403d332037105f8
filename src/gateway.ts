import { adminKeyRecord } from './access/keys.ts';
import { type AccessPolicy, isOpenMode, judgeBind, judgeConnect, judgeRequest } from './access/open-mode.ts';
import { AlertBook } from './alerts/alert-book.ts';
import { createApi } from './api/app.ts';
import { loadAssets } from './api/asset-folder.ts';
import { GatewayMetrics, type MetricsSnapshot } from './api/metrics.ts';
import { HttpServer } from './api/server.ts';
import { type Clock, systemClock } from './base/clock.ts';
import { messageOf } from './base/errors.ts';
import { StopStack } from './base/lifecycle.ts';
import { type Log, silentLog } from './base/log.ts';
import { type Random, randomId, systemRandom } from './base/random.ts';
import { Catalog, type CatalogSnapshot } from './catalog/catalog.ts';
import { ruleFaults } from './catalog/rule-faults.ts';
import type { Config } from './config/schema.ts';
import { formatCursor } from './domain/cursor.ts';
import { CommitFailedError, type Engine, type Recovered } from './history/engine.ts';
import { EmbeddedBroker } from './ingest/embedded/broker.ts';
import { RedeliveryBook } from './ingest/redelivery.ts';
import { DeviceDirectory } from './latest/device-directory.ts';
import { LatestValues } from './latest/latest-values.ts';
import { LiveHub } from './live/hub.ts';
import { entry } from './pipeline/entry.ts';
import { Intake } from './pipeline/intake.ts';
import { Ledger } from './pipeline/ledger.ts';
import { Pipeline } from './pipeline/pipeline.ts';
import { ReceiptClock } from './pipeline/receipt-clock.ts';
import { SeriesRegistry } from './pipeline/series-registry.ts';
import { Window } from './pipeline/window.ts';
import { lockDataFolder } from './storage/data-lock.ts';
import { createSqliteEngine } from './storage/sqlite/engine.ts';
import { Courier, defaultCourierLimits } from './webhooks/courier.ts';
import { planDeliveries } from './webhooks/plan.ts';
import { TargetGuard } from './webhooks/target-guard.ts';

/** What a gateway is built with beside its configuration; all of it has a default that is the real thing. */
export interface GatewayParts {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log;
  readonly version?: string;
  /** The folder of the built dashboard; without it there is no page. */
  readonly dashboard?: () => Promise<string>;
  /** Stands around the engine, for tests that break it. */
  readonly wrapEngine?: (engine: Engine) => Engine;
  /** An invariant broke: what would happen next cannot be trusted. */
  readonly fatal?: (error: unknown) => void;
}

/** The program as a value. */
export interface Gateway {
  /** Resolves once everything listens. Rejects with an error that says what to do; nothing is left running then. */
  start(): Promise<void>;
  /** Drains and stops, within `deadlineMs` (4 s). May come first, twice, or late. */
  stop(deadlineMs?: number): Promise<void>;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly dataDir: string;
  /** `http://host:port`, with the port that was picked. */
  readonly httpUrl: string;
  readonly mqttUrl: string;
}

/** A listener would be open to others though nobody made a key. */
export class BindRefusedError extends Error {
  override readonly name = 'BindRefusedError';
}

const stopDeadlineMs = 4_000;

export function createGateway(config: Config, parts: GatewayParts = {}): Gateway {
  const { clock = systemClock, random = systemRandom, log = silentLog, version = '0.0.0' } = parts;
  const fatal =
    parts.fatal ??
    ((error: unknown): void => {
      throw error;
    });
  const stops = new StopStack(clock, log);
  const ledger = new Ledger();
  let starting: Promise<void> | undefined;
  let stopped = false;
  let started: { catalog: Catalog; httpPort: number; mqttPort: number } | undefined;

  return {
    start() {
      if (stopped) return Promise.reject(new Error('the gateway has been stopped; make another one'));
      starting ??= startOrUnwind();
      return starting;
    },
    async stop(deadlineMs = stopDeadlineMs) {
      stopped = true;
      await starting?.catch(() => {});
      await stops.unwind(deadlineMs);
    },
    get catalog() {
      return running().catalog;
    },
    ledger,
    dataDir: config.data.dir,
    get httpUrl() {
      return urlOf('http', config.http.host, running().httpPort);
    },
    get mqttUrl() {
      return urlOf('mqtt', config.mqtt.host, running().mqttPort);
    },
  };

  async function startOrUnwind(): Promise<void> {
    try {
      await start();
    } catch (error) {
      await stops.unwind(stopDeadlineMs);
      throw error;
    }
  }

  function running(): NonNullable<typeof started> {
    if (!started) throw new Error('the gateway is not started');
    return started;
  }

  // Sinks before sources: nothing is let in before there is somewhere for it to go.
  async function start(): Promise<void> {
    const lock = await lockDataFolder(config.data.dir);
    stops.push('data folder lock', () => lock.release());
    const catalog = await Catalog.open({ dir: config.data.dir, clock, random, log });
    stops.push('catalog', () => catalog.close());
    const policy = accessPolicy(catalog);
    refuseOpenBinds(policy());

    // What machines made comes back.
    const { engine, recovered } = await openEngine();
    const registry = new SeriesRegistry({ seriesMax: config.storage.seriesMax, metricsMax: config.device.metricsMax });
    registry.load(recovered.series);
    const latest = new LatestValues(registry);
    latest.load(recovered.series);
    const devices = new DeviceDirectory(registry);
    devices.load(recovered.devices);
    const redelivery = new RedeliveryBook();
    redelivery.load(recovered.settled);
    const alerts = new AlertBook({ newId: (prefix) => randomId(prefix, random) });
    alerts.load(catalog.snapshot().rules, recovered.alertStates);

    // The middle of the stream.
    const receiptClock = new ReceiptClock(clock);
    const window = new Window({
      messagesMax: config.ingest.inFlightMessagesMax,
      bytesMax: config.ingest.inFlightBytesMax,
    });
    const cursorAt = (seq: number): string => formatCursor(recovered.epoch, seq);
    const pipeline = new Pipeline({
      store: engine,
      reopen: async () => {
        await engine.close();
        const again = await engine.open();
        registry.load(again.series);
        // Deliveries may be on disk that nobody was told of.
        courier
          .reload()
          .catch((error: unknown) => log.error({ error: messageOf(error) }, 'pending deliveries were not read again'));
        return again.seq;
      },
      classify: classifyFailure,
      registry,
      judge: alerts,
      plan: (transitions, { seq, at }) =>
        planDeliveries({
          transitions,
          webhooks: catalog.snapshot().webhooks,
          cursor: cursorAt(seq),
          at,
          publicUrl: publicUrl(),
          newId: (prefix) => randomId(prefix, random),
        }),
      newestTime: (series) => latest.newestTime(series),
      receiptClock,
      clock,
      log,
      ledger,
      fatal,
    });
    const intake = new Intake({
      registry,
      window,
      ledger,
      receiptClock,
      submit: (added) => pipeline.submit(added),
      futureMax: config.ingest.futureMax,
      lastCommitAt: recovered.lastCommitAt,
    });
    intake.load(recovered.series);
    // Their senders come again, and must not be stored again.
    pipeline.onSettledAfterAll((messages) => redelivery.load(messages));
    pipeline.start(recovered.seq);
    stops.push('pipeline', () => pipeline.stop());

    // Where the stream goes.
    const metrics = new GatewayMetrics({ collect });
    const live = new LiveHub({
      epoch: () => recovered.epoch,
      position: () => pipeline.seq,
      directory: registry,
      latest,
      openAlerts: () => alerts.openAlerts(),
      readLog: (query) => engine.reader.log(query),
      clock,
      log,
      version,
      limits: {
        clientsMax: config.live.clientsMax,
        subscriptionsMax: config.live.subscriptionsMax,
        clientBacklogMax: config.live.clientBacklogMax,
        heartbeatMs: config.live.heartbeat,
      },
    });
    const guard = new TargetGuard({ allowTargets: config.webhooks.allowTargets });
    const courier = new Courier({
      store: {
        pending: ({ webhookId, after, limit }) =>
          engine.reader.deliveries({ webhookId, after, limit, state: 'pending', order: 'asc' }),
        record: (attempt) =>
          new Promise((resolve, reject) => {
            const settle = (outcome: { kind: string; error?: Error }): void =>
              outcome.kind === 'failed' ? reject(outcome.error ?? new Error('the commit failed')) : resolve();
            pipeline.submit(entry({ receivedAt: receiptClock.now(), attempt, settle }));
          }),
      },
      directory: {
        webhooks: () => catalog.snapshot().webhooks,
        webhook: (id) => catalog.snapshot().webhooks.find((webhook) => webhook.id === id),
        secrets: (id) => catalog.secrets(id),
      },
      clock,
      random,
      log,
      limits: {
        ...defaultCourierLimits,
        endpointConcurrency: config.webhooks.concurrency,
        attemptTimeout: config.webhooks.timeout,
      },
      guard,
      version,
      endpointGone: (webhookId) => {
        catalog
          .updateWebhook(webhookId, { enabled: false })
          .catch((error: unknown) =>
            log.warn({ webhookId, error: messageOf(error) }, 'a webhook that is gone was not disabled'),
          );
      },
    });
    pipeline.onCommitted(({ commit, batch, deliveries, durationMs }) => {
      metrics.observeCommit(durationMs);
      latest.apply(batch);
      devices.apply(commit);
      live.publish(batch);
      courier.accept(deliveries);
    });
    catalog.subscribe((snapshot, previous) => catalogChanged(snapshot, previous));
    live.start();
    await reconcile();
    await courier.start();
    stops.push('webhook courier', () => courier.stop(1_500));

    // Ways in, the devices' last.
    let listening = false;
    const api = createApi({
      version,
      basePath: '',
      corsOrigins: config.http.cors,
      clock,
      random,
      log,
      limits: { bodyBytesMax: config.http.bodyBytesMax, waitMaxMs: 60_000 },
      access: { judge: (facts) => judgeRequest(facts, policy()) },
      intake,
      latest,
      devices,
      reader: engine.reader,
      stream: live,
      catalog,
      ruleFaults,
      checkTarget: (url) => void guard.checkTarget(url),
      cursor: () => cursorAt(pipeline.seq),
      ready: () => {
        if (!listening) return { ready: false, reasons: ['the gateway is starting'] };
        if (!pipeline.healthy) return { ready: false, reasons: ['storage is not available; the log says why'] };
        return { ready: true, reasons: [] };
      },
      metrics,
      assets: parts.dashboard ? await loadAssets(await parts.dashboard()) : { find: () => undefined },
    });
    const http = new HttpServer({
      api,
      host: config.http.host,
      port: config.http.port,
      clock,
      log,
      upgrade: (request, socket, head) => live.handleUpgrade(request, socket, head),
    });
    const broker = new EmbeddedBroker(
      {
        host: config.mqtt.host,
        port: config.mqtt.port,
        packetBytesMax: config.mqtt.packetBytesMax,
        connectionsMax: config.mqtt.connectionsMax,
        stallMax: config.mqtt.stallMax,
        subscriberBacklogMax: config.mqtt.subscriberBacklogMax,
      },
      { sink: intake, redelivery, judgeConnect: (facts) => judgeConnect(facts, policy()), clock, random, log },
    );
    window.onChange((open) => broker.windowChanged(open));
    pipeline.onHealth((healthy) => broker.storageChanged(healthy));
    await http.start();
    stops.push('HTTP', () => http.stop(1_500));
    stops.push('live clients', () => live.stop(1_000));
    await broker.start();
    stops.push('MQTT broker', () => broker.stop());
    listening = true;
    // The ports as they were picked: what still commits while the listeners close already has links to write.
    started = { catalog, httpPort: http.address().port, mqttPort: broker.port };

    async function collect(): Promise<MetricsSnapshot> {
      return {
        messages: ledger.messages,
        readings: ledger.readings,
        refusals: ledger.refusals,
        clockCorrected: ledger.clockCorrected,
        timesTruncated: ledger.timesTruncated,
        commits: ledger.commits,
        commitFailures: ledger.commitFailures,
        window,
        devices: { known: devices.size, online: devices.online },
        series: registry.size,
        openAlerts: [...alerts.openAlerts()].length,
        mqtt: broker.counts(),
        live: live.stats(),
        courier: courier.stats(),
        engine: await engine.reader.stats().catch(() => null),
      };
    }

    /** What people changed reaches the stream in order with the readings. */
    function catalogChanged(snapshot: CatalogSnapshot, previous: CatalogSnapshot): void {
      if (snapshot.rules !== previous.rules) submitRules(snapshot);
      const kept = new Map(snapshot.webhooks.map((webhook) => [webhook.id, webhook]));
      const removed = previous.webhooks.filter((webhook) => !kept.has(webhook.id)).map((webhook) => webhook.id);
      for (const id of removed) courier.webhookRemoved(id);
      if (removed.length > 0) submitRemoved(removed);
      for (const webhook of snapshot.webhooks) {
        if (!previous.webhooks.includes(webhook)) courier.webhookChanged(webhook.id);
      }
    }

    /** Alerts of rules that vanished while nobody watched resolve; deliveries of vanished webhooks are cancelled. */
    async function reconcile(): Promise<void> {
      const snapshot = catalog.snapshot();
      submitRules(snapshot);
      const known = new Set(snapshot.webhooks.map((webhook) => webhook.id));
      const vanished = new Set<string>();
      const limit = 1_000;
      for (let page = await pendingAfter(undefined); page.length > 0; ) {
        for (const { webhookId } of page) if (!known.has(webhookId)) vanished.add(webhookId);
        const last = page.at(-1);
        page = page.length < limit || !last ? [] : await pendingAfter({ seq: last.seq, id: last.id });
      }
      if (vanished.size > 0) submitRemoved([...vanished]);

      function pendingAfter(
        after: { seq: number; id: string } | undefined,
      ): ReturnType<typeof engine.reader.deliveries> {
        return engine.reader.deliveries({ state: 'pending', order: 'asc', limit, after });
      }
    }

    function submitRules({ rules }: CatalogSnapshot): void {
      pipeline.submit(entry({ receivedAt: receiptClock.now(), rules, settle: () => {} }));
    }

    function submitRemoved(removedWebhooks: readonly string[]): void {
      pipeline.submit(entry({ receivedAt: receiptClock.now(), removedWebhooks, settle: () => {} }));
    }
  }

  async function openEngine(): Promise<{ engine: Engine; recovered: Recovered }> {
    const { storage, quarantine } = config;
    const sqlite = createSqliteEngine({
      dir: config.data.dir,
      clock,
      log,
      sealAfterMs: storage.sealAfter,
      resumeWindow: { ms: storage.resumeWindow, bytes: storage.resumeBytesMax },
      quarantineBytesMax: quarantine.maxBytes,
    });
    const engine = parts.wrapEngine ? parts.wrapEngine(sqlite) : sqlite;
    stops.push('storage engine', () => engine.close());
    return { engine, recovered: await engine.open() };
  }

  function accessPolicy(catalog: Catalog): () => AccessPolicy {
    const admin =
      config.access.adminKey === ''
        ? []
        : [adminKeyRecord(config.access.adminKey, new Date(clock.now()).toISOString())];
    const origins = config.http.publicUrl === '' ? [] : [new URL(config.http.publicUrl).origin];
    return () => {
      const keys = [...admin, ...catalog.keys()];
      const hosts = [config.http.host, config.mqtt.host];
      const openMode = isOpenMode({ hasKeys: keys.length > 0, trustProxy: config.http.trustProxy, hosts });
      return { openMode, keys, corsOrigins: [...config.http.cors, ...origins] };
    };
  }

  function refuseOpenBinds({ keys }: AccessPolicy): void {
    const listeners = [
      { option: 'http.host', host: config.http.host },
      { option: 'mqtt.host', host: config.mqtt.host },
    ];
    const reasons = listeners.flatMap((listener) => judgeBind({ ...listener, hasKeys: keys.length > 0 }) ?? []);
    if (config.http.trustProxy && keys.length === 0) {
      reasons.push(
        'http.trustProxy is set, so others can reach the gateway through a proxy, but there is no key yet. Make one with "pulsegate keys create NAME" (or set PULSEGATE_ADMIN_KEY_FILE).',
      );
    }
    if (reasons.length > 0) throw new BindRefusedError(reasons.join('\n'));
  }

  function publicUrl(): string | null {
    if (config.http.publicUrl !== '') return config.http.publicUrl;
    return started ? urlOf('http', config.http.host, started.httpPort) : null;
  }
}

function classifyFailure(error: unknown): 'wait' | 'refused' | 'unknown' {
  if (!(error instanceof CommitFailedError)) return 'unknown';
  if (error.outcome === 'unknown') return 'unknown';
  return error.reason === 'refused' ? 'refused' : 'wait';
}

function urlOf(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
