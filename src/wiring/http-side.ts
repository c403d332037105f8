import { createApi } from '../api/app.ts';
import { livePath } from '../api/admission.ts';
import { loadAssets } from '../api/asset-folder.ts';
import type { GatewayMetrics } from '../api/metrics.ts';
import type { ApiPorts, Readiness } from '../api/ports.ts';
import { HttpServer, type Upgrade } from '../api/server.ts';
import { issueToken } from '../access/device-tokens.ts';
import { newProvisioningKey } from '../access/provisioning.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { ruleFaults } from '../catalog/rule-faults.ts';
import type { CommandBook } from '../commands/command-book.ts';
import { decodeInfluxBatch } from '../decode/influx.ts';
import { mergeAcross, reduce } from '../history/buckets/across.ts';
import type { Intake } from '../pipeline/intake.ts';
import { buildBackup } from './backup.ts';
import { payloadOptions } from './dialects.ts';
import type { Identity } from './identity.ts';
import type { LastingCallers } from './lasting-callers.ts';
import type { Memory } from './memory.ts';
import type { MqttSide } from './mqtt-side.ts';
import type { Outlets } from './outlets.ts';
import { readCertificate } from './pem.ts';
import { olderCopies } from '../storage/sqlite/safekeeping/older-copies.ts';
import { diskOf, StorageWatch } from './storage-watch.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** Where MQTT is spoken over WebSocket, below the base path. */
const mqttPath = '/mqtt';

export interface HttpSideParts {
  readonly catalog: Catalog;
  readonly memory: Memory;
  readonly stream: Stream;
  readonly identity: Identity;
  readonly intake: Intake;
  readonly outlets: Outlets;
  readonly mqtt: MqttSide;
  /** Live clients and long answers, to be ended when their key goes. */
  readonly lasting: LastingCallers;
  readonly metrics: GatewayMetrics;
  readonly commands: CommandBook;
  readonly tryMapping: ApiPorts['tryMapping'];
  readonly ready: () => Readiness;
  /** The folder of the built dashboard; without it there is no page. */
  readonly dashboard: (() => Promise<string>) | undefined;
}

/** Where people and programs ask, watch and decide. */
export async function buildHttpSide(surroundings: Surroundings, parts: HttpSideParts): Promise<HttpServer> {
  const { config, clock, random, log, version, stops } = surroundings;
  const { catalog, memory, stream, identity, outlets, mqtt } = parts;
  const { tokens, latest, devices, engine, retention, cursorAt } = memory;
  const { influxTags } = payloadOptions(config);
  const storage = new StorageWatch({
    clock,
    log,
    stats: () => engine.reader.stats(),
    disk: () => diskOf(config.data.dir),
    copies: () => olderCopies(config.data.dir),
    maxBytes: config.storage.maxBytes === 0 ? null : config.storage.maxBytes,
    longestRaw: () => retention.longestRaw,
  });
  storage.start();
  stops.push('storage watch', () => storage.stop());
  const api = createApi({
    version,
    basePath: config.http.basePath,
    corsOrigins: config.http.cors,
    clock,
    random,
    log,
    limits: {
      bodyBytesMax: config.http.bodyBytesMax,
      waitMaxMs: 60_000,
      downloadsMax: config.http.downloadsMax,
    },
    access: identity.requests,
    lasting: parts.lasting,
    proxies: { trustProxy: config.http.trustProxy, trustedProxies: config.http.trustedProxies },
    keys: identity.keys,
    intake: parts.intake,
    latest,
    names: memory.registry,
    devices,
    reader: engine.reader,
    across: { merge: mergeAcross, reduce },
    stream: outlets.live,
    catalog,
    decisions: catalog,
    identity: { commit: (changes) => stream.commit({ changes }) },
    tokens: {
      issue: (device, now, options) => issueToken(random, device, now, options),
      ofDevice: (device) => tokens.ofDevice(device),
    },
    provisioning: {
      newKey: (facts) => newProvisioningKey(random, facts),
      verify: (presented) => identity.provisioning.verify(presented),
      madeBy: (key) => identity.provisioning.madeBy(key),
      provision: (wish) => identity.provisioning.provision(wish),
    },
    units: identity.units,
    tryMapping: parts.tryMapping,
    commands: parts.commands,
    retention: {
      rules: () => catalog.snapshot().retention,
      defaults: retention.defaults,
      put: (rules) => catalog.putRetention(rules),
      of: (device, metric) => retention.policyOf(device, metric),
      keptFrom(device, metric, now) {
        const { policy, gone } = retention.keptFromOf(device, metric, now);
        return Math.max(policy, gone);
      },
    },
    erasure: {
      estimate: (ranges, asker) => engine.reader.estimate(ranges, asker),
      erase: (changes) => stream.erase(changes),
    },
    storage: () => storage.state(),
    quarantine: {
      retry: (record) => parts.intake.retry(record),
      remove: (ids) => stream.commit({ changes: { quarantineRemoved: ids } }),
    },
    decodeLines: (body, options) => decodeInfluxBatch(body, { ...options, device: null, tags: influxTags }),
    ruleFaults,
    checkTarget: (url) => void outlets.guard.checkTarget(url),
    cursor: () => cursorAt(stream.pipeline.seq),
    ready: parts.ready,
    broker: () => ({
      mode: config.mqtt.mode,
      url: mqtt.url,
      tlsUrl: mqtt.tlsUrl,
      webSocketPath: mqtt.handleUpgrade ? `${config.http.basePath}${mqttPath}` : null,
    }),
    metrics: parts.metrics,
    backup: buildBackup(surroundings, { engine, catalog }),
    assets: parts.dashboard ? await loadAssets(await parts.dashboard()) : { find: () => undefined },
  });
  const upgrades = new Map<string, Upgrade>([
    [
      livePath,
      {
        isPublic: false,
        take(request, socket, head, { caller }) {
          socket.once(
            'close',
            parts.lasting.add(caller, 'read', () => socket.destroy()),
          );
          outlets.live.handleUpgrade(request, socket, head);
        },
      },
    ],
  ]);
  const { handleUpgrade } = mqtt;
  if (handleUpgrade) {
    upgrades.set(mqttPath, {
      isPublic: true,
      take: (request, socket, head, { remoteAddress }) => handleUpgrade(request, socket, head, remoteAddress),
    });
  }
  return new HttpServer({
    api,
    host: config.http.host,
    port: config.http.port,
    clock,
    log,
    tls: readCertificate(config.http.tls, 'http.tls'),
    upgrades,
  });
}
