import { messageOf } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Units } from '../latest/units.ts';
import { LiveHub } from '../live/hub.ts';
import { Courier, defaultCourierLimits } from '../webhooks/courier.ts';
import { TargetGuard } from '../webhooks/target-guard.ts';
import type { Memory } from './memory.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** Where the stream goes. */
export interface Outlets {
  readonly live: LiveHub;
  readonly courier: Courier;
  readonly guard: TargetGuard;
}

export function buildOutlets(
  { config, clock, random, log, version }: Surroundings,
  parts: { readonly catalog: Catalog; readonly memory: Memory; readonly stream: Stream; readonly units: Units },
): Outlets {
  const { catalog, memory, stream, units } = parts;
  const { engine, recovered, registry, latest, alerts } = memory;
  const { pipeline } = stream;
  const live = new LiveHub({
    epoch: () => recovered.epoch,
    position: () => pipeline.seq,
    directory: registry,
    latest,
    unitOf: (device, metric) => units.of(device, metric),
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
          stream.submit({ attempt, settle });
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
  return { live, courier, guard };
}
