import { AlertBook } from '../alerts/alert-book.ts';
import { DeviceTokenBook } from '../access/device-tokens.ts';
import { randomId } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { formatCursor } from '../domain/cursor.ts';
import type { Engine, Recovered } from '../history/engine.ts';
import { RetentionBook } from '../history/retention-book.ts';
import { RedeliveryBook } from '../ingest/redelivery.ts';
import { DeviceDirectory } from '../latest/device-directory.ts';
import { LatestValues } from '../latest/latest-values.ts';
import { SeriesRegistry } from '../pipeline/series-registry.ts';
import { createSqliteEngine } from '../storage/sqlite/engine.ts';
import type { Surroundings } from './surroundings.ts';

/** What machines made, as it came back from the engine, and the books that go on from there. */
export interface Memory {
  readonly engine: Engine;
  readonly recovered: Recovered;
  readonly registry: SeriesRegistry;
  readonly latest: LatestValues;
  readonly devices: DeviceDirectory;
  readonly redelivery: RedeliveryBook;
  readonly alerts: AlertBook;
  readonly tokens: DeviceTokenBook;
  readonly retention: RetentionBook;
  readonly cursorAt: (seq: number) => string;
}

export async function recoverMemory(
  surroundings: Surroundings,
  catalog: Catalog,
  wrapEngine: ((engine: Engine) => Engine) | undefined,
): Promise<Memory> {
  const { config, clock, random, log, stops } = surroundings;
  const { storage, quarantine, data, device } = config;
  const sqlite = createSqliteEngine({
    dir: data.dir,
    clock,
    log,
    sealAfterMs: storage.sealAfter,
    resumeWindow: { ms: storage.resumeWindow, bytes: storage.resumeBytesMax },
    quarantineBytesMax: quarantine.maxBytes,
    maxBytes: storage.maxBytes,
    reserveBytes: storage.reserve,
    alertsKeptMs: config.alerts.keepFor,
    deliveriesKeptMs: config.webhooks.keepFor,
  });
  const engine = wrapEngine ? wrapEngine(sqlite) : sqlite;
  stops.push('storage engine', () => engine.close());
  const recovered = await engine.open();

  const registry = new SeriesRegistry({ seriesMax: storage.seriesMax, metricsMax: device.metricsMax });
  registry.load(recovered.series);
  const latest = new LatestValues(registry);
  latest.load(recovered.series);
  const devices = new DeviceDirectory(registry);
  devices.load(recovered.devices);
  const redelivery = new RedeliveryBook();
  redelivery.load(recovered.settled);
  const alerts = new AlertBook({ newId: (prefix) => randomId(prefix, random) });
  alerts.load(catalog.snapshot().rules, recovered.alertStates);
  const tokens = new DeviceTokenBook();
  tokens.load(recovered.tokens);
  const retention = new RetentionBook({
    defaults: { raw: storage.keepRaw, minute: storage.keepMinutes, hour: storage.keepHours },
    series: registry,
    tagsOf: (id) => catalog.snapshot().registrations.get(id)?.tags,
  });
  retention.setRules(catalog.snapshot().retention);
  return {
    engine,
    recovered,
    registry,
    latest,
    devices,
    redelivery,
    alerts,
    tokens,
    retention,
    cursorAt: (seq) => formatCursor(recovered.epoch, seq),
  };
}
