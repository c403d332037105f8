import { GatewayMetrics } from './api/metrics.ts';
import type { Readiness } from './api/ports.ts';
import { type Clock, systemClock } from './base/clock.ts';
import { StopStack } from './base/lifecycle.ts';
import { type Log, silentLog } from './base/log.ts';
import { type Random, systemRandom } from './base/random.ts';
import { Catalog } from './catalog/catalog.ts';
import type { Config } from './config/schema.ts';
import type { Engine } from './history/engine.ts';
import { Intake } from './pipeline/intake.ts';
import { Ledger } from './pipeline/ledger.ts';
import { lockDataFolder } from './storage/data-lock.ts';
import { buildCommands } from './wiring/commands.ts';
import { buildDialects, payloadOptions } from './wiring/dialects.ts';
import { buildHttpSide } from './wiring/http-side.ts';
import { accessPolicy, buildIdentity, refuseOpenBinds } from './wiring/identity.ts';
import { LastingCallers } from './wiring/lasting-callers.ts';
import { recoverMemory } from './wiring/memory.ts';
import { metricsSnapshot } from './wiring/metrics-snapshot.ts';
import { buildMqttSide, type MqttSide } from './wiring/mqtt-side.ts';
import { buildOutlets } from './wiring/outlets.ts';
import { buildPresence } from './wiring/presence.ts';
import { followRulesAndWebhooks, reconcile } from './wiring/reconcile.ts';
import { followRetention } from './wiring/retention.ts';
import { startRevalidation } from './wiring/revalidation.ts';
import { buildStream } from './wiring/stream.ts';
import { type Surroundings, urlOf } from './wiring/surroundings.ts';
import { tryMapping } from './wiring/try-mapping.ts';

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
  /** Where devices are heard: the embedded broker, or the user's own. */
  readonly mqttUrl: string;
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
  const surroundings: Surroundings = { config, clock, random, log, version, ledger, stops, fatal, publicUrl };
  let starting: Promise<void> | undefined;
  let stopped = false;
  let started: { catalog: Catalog; httpPort: number; mqtt: MqttSide } | undefined;

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
      return httpUrl(running().httpPort);
    },
    get mqttUrl() {
      return running().mqtt.url;
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
    const policy = accessPolicy(surroundings, catalog);
    refuseOpenBinds(config, policy());

    // What machines made comes back, and with what people decided it says who may do what.
    const memory = await recoverMemory(surroundings, catalog, parts.wrapEngine);
    const stream = buildStream(surroundings, { catalog, memory, reopened: () => outlets.courier.reload() });
    const identity = buildIdentity(surroundings, {
      catalog,
      memory,
      policy,
      mappedFilters: (device) => dialects.mappedFilters(device),
      commit: (changes) => stream.commit(changes),
    });

    // The way of a message: understood, placed, committed.
    const dialects = buildDialects(surroundings, memory, identity.mappings());
    const commands = buildCommands(surroundings, {
      stream,
      dialects: () => dialects,
      publish: (message) => mqtt.publish(message),
    });
    const intake = new Intake({
      registry: memory.registry,
      window: stream.window,
      ledger,
      receiptClock: stream.receiptClock,
      submit: (added) => stream.pipeline.submit(added),
      futureMax: config.ingest.futureMax,
      lastCommitAt: memory.recovered.lastCommitAt,
      devices: identity.book,
      dialects,
      commands,
      publish: (message) => void mqtt.publish(message),
      retention: memory.retention,
    });
    intake.load(memory.recovered.series);
    stream.pipeline.load(memory.recovered.devices);
    stream.pipeline.start(memory.recovered.seq);
    stops.push('pipeline', () => stream.pipeline.stop());

    await followRetention(surroundings, { catalog, memory, stream });
    const presence = buildPresence(surroundings, { memory, stream, book: identity.book });

    const mqtt = buildMqttSide(surroundings, {
      memory,
      stream,
      identity,
      intake,
      presence: {
        opened(device) {
          presence.opened(device);
          commands.deviceOnline(device);
        },
        closed: (device, cause) => presence.closed(device, cause),
        listens: (device) => commands.deviceListens(device),
      },
      served: () => commands.brokerServes(),
      retained: (message) => dialects.prime([message]),
    });
    // After a restart what was not answered goes out as soon as there is somebody to take it.
    commands.load(memory.recovered.commands);

    // Where the stream goes.
    const lasting = new LastingCallers();
    const outlets = buildOutlets(surroundings, { catalog, memory, stream, units: identity.units });
    const metrics = new GatewayMetrics({
      collect: () => metricsSnapshot({ ledger, memory, stream, outlets, commands, mqtt }),
    });
    stream.pipeline.onCommitted(({ commit, batch, deleted, deliveries, durationMs }) => {
      metrics.observeCommit(durationMs);
      memory.latest.apply(batch, deleted);
      if (deleted) intake.deleted(deleted.newest);
      memory.devices.apply(commit);
      for (const change of commit.tokens) memory.tokens.apply(change);
      identity.book.apply(commit);
      identity.provisioning.apply(commit);
      commands.apply(commit.commands);
      presence.apply(commit);
      // Of a broker elsewhere we see no connections, only what devices say of themselves.
      if (config.mqtt.mode === 'external') {
        for (const { device, status } of commit.deviceFacts) if (status === 'online') commands.deviceOnline(device);
      }
      outlets.live.publish(batch);
      outlets.courier.accept(deliveries);
      for (const device of commit.forgottenDevices) mqtt.forgetDevice(device);
      if (commit.tokens.some(({ kind }) => kind === 'revoke')) revalidate();
    });
    catalog.subscribe((snapshot, previous, change) => {
      followRulesAndWebhooks(snapshot, previous, { stream, courier: outlets.courier });
      if (snapshot.profiles !== previous.profiles || change.keys) identity.book.changed();
      if (change.registrations.length > 0) identity.book.registrationsChanged(change.registrations);
      for (const id of change.registrations) {
        if (snapshot.registrations.get(id)?.approval === 'blocked') mqtt.forgetDevice(id);
      }
      if (snapshot.mappings !== previous.mappings) dialects.setMappings(identity.mappings());
      // Rules, webhooks and mappings say nothing of who may be connected.
      if (change.keys || snapshot.profiles !== previous.profiles || change.registrations.length > 0) revalidate();
    });
    outlets.live.start();
    // Its clients go before HTTP, which waits for them; this is for a start that never comes to that.
    stops.push('live stream', () => outlets.live.stop(1_000));
    await reconcile({ catalog, memory, stream });
    stops.push('webhook courier', () => outlets.courier.stop(1_500));
    await outlets.courier.start();

    // Ways in, the devices' last.
    let listening = false;
    stream.window.onChange((open) => mqtt.windowChanged(open));
    stream.pipeline.onHealth((healthy) => mqtt.storageChanged(healthy));
    const http = await buildHttpSide(surroundings, {
      catalog,
      memory,
      stream,
      identity,
      intake,
      outlets,
      mqtt,
      lasting,
      metrics,
      commands,
      tryMapping: (mapping, topic, payload) => tryMapping(mapping, topic, payload, clock.now(), payloadOptions(config)),
      ready,
      dashboard: parts.dashboard,
    });
    await http.start();
    stops.push('HTTP', () => http.stop(1_500));
    stops.push('live clients', () => outlets.live.stop(1_000));
    await mqtt.start();
    stops.push('MQTT', () => mqtt.stop());
    listening = true;
    startRevalidation(surroundings, revalidate);
    // The ports as they were picked: what still commits while the listeners close already has links to write.
    started = { catalog, httpPort: http.address().port, mqtt };

    /** Whoever is connected with a credential that no longer holds is closed. */
    function revalidate(): void {
      mqtt.revalidate();
      lasting.keep((caller, scope) => identity.requests.holds(caller, scope));
    }

    function ready(): Readiness {
      if (!listening) return { ready: false, reasons: ['the gateway is starting'] };
      if (!stream.pipeline.healthy) return { ready: false, reasons: ['storage is not available; the log says why'] };
      if (mqtt.fault !== null) return { ready: false, reasons: [mqtt.fault], code: 'broker_unavailable' };
      return { ready: true, reasons: [] };
    }
  }

  function publicUrl(): string | null {
    if (config.http.publicUrl !== '') return config.http.publicUrl;
    return started ? httpUrl(started.httpPort) : null;
  }

  function httpUrl(port: number): string {
    return urlOf(config.http.tls.cert === '' ? 'http' : 'https', config.http.host, port) + config.http.basePath;
  }
}
