import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Alert } from '../../contract/alert.ts';
import type { Device } from '../../contract/device.ts';
import type { List } from '../../contract/rest.ts';
import type { Delivery, Webhook } from '../../contract/webhook.ts';
import { tallyDeliveries } from '../delivery-tally.ts';
import { fleetEveryMs, loadFleet } from '../fleet.ts';
import { openAlerts, rest } from '../gateway.ts';
import { sumOf } from '../metrics-text.ts';
import { AlertRow } from '../parts/alert-row.tsx';
import { DeviceTile } from '../parts/device-tile.tsx';
import { FirstRun, ProblemNote, Skeleton } from '../parts/note.tsx';
import { Sparkline } from '../parts/sparkline.tsx';
import { Stat } from '../parts/stat.tsx';
import { RateMeter } from '../rate-meter.ts';
import { type Resource, useResource } from '../resource.ts';
import { StoragePanel } from '../storage-panel.tsx';
import { useKeyMetrics } from '../use-key-metrics.ts';
import { countText, percentText, rateText } from '../value-text.ts';

const tilesMax = 60;
const alertsMax = 5;

/** Is everything fine? Four numbers, what is wrong, and every device at a glance. */
export function OverviewPage(): JSX.Element {
  const size = useRef(0);
  const fleet = useResource('fleet', (signal) => loadFleet(rest, signal), fleetEveryMs(size.current));
  const devices = fleet.value?.devices ?? [];
  size.current = devices.length;
  const open = openAlerts.open.value;
  const metrics = useResource('metrics', (signal) => rest.text('metrics', signal), 2_000);
  const refused = metrics.value === null ? 0 : (sumOf(metrics.value, 'pulsegate_quarantine_messages') ?? 0);
  const waiting = devices.filter(({ approval }) => approval === 'pending').length;

  if (fleet.value === null) {
    if (fleet.problem !== null) return <ProblemNote problem={fleet.problem} reload={fleet.reload} />;
    return <Skeleton rows={6} />;
  }
  if (devices.length === 0) return <FirstRun />;
  return (
    <div class="page">
      <h1>Overview</h1>
      <section class="stats" aria-label="Live numbers">
        <ReadingsRate metrics={metrics} />
        <DevicesOnline devices={devices.filter(({ approval }) => approval === 'approved')} />
        <Stat
          name="Open alerts"
          value={open === null ? '–' : countText(open.length)}
          detail={open === null ? 'asking' : worstText(open.map((alert) => alert.severity))}
          tone={open !== null && open.length > 0 ? 'alarm' : 'calm'}
          href="#/alerts"
        />
        <WebhookSuccess />
      </section>
      {(waiting > 0 || refused > 0) && (
        <p class="attention">
          {waiting > 0 && (
            <a href="#/devices">
              {countText(waiting)} {waiting === 1 ? 'device waits' : 'devices wait'} for approval
            </a>
          )}
          {refused > 0 && (
            <a href="#/quarantine" data-testid="quarantine-link">
              {countText(refused)} refused {refused === 1 ? 'message' : 'messages'} in quarantine
            </a>
          )}
        </p>
      )}
      <section class="panel" aria-labelledby="newest-alerts">
        <header class="panel-head">
          <h2 id="newest-alerts">Newest alerts</h2>
          <a href="#/alerts">All alerts</a>
        </header>
        <NewestAlerts />
      </section>
      <section aria-labelledby="devices-at-a-glance">
        <header class="panel-head">
          <h2 id="devices-at-a-glance">Devices</h2>
          <a href="#/devices">All {countText(devices.length)}</a>
        </header>
        <DeviceTiles devices={devices} />
      </section>
      <StoragePanel />
    </div>
  );
}

function ReadingsRate({ metrics }: { readonly metrics: Resource<string> }): JSX.Element {
  const meter = useRef(new RateMeter(45));
  const [rates, setRates] = useState<readonly number[]>([]);
  useEffect(() => {
    const count = metrics.value === null ? null : sumOf(metrics.value, 'pulsegate_readings_total');
    if (count === null || metrics.loadedAt === null) return;
    meter.current.read(count, metrics.loadedAt);
    setRates(meter.current.rates);
  }, [metrics.loadedAt]);
  const rate = rates.at(-1);
  return (
    <Stat
      name="Readings a second"
      value={rate === undefined ? '–' : rateText(rate)}
      detail={metrics.problem === null ? 'over the last 2 s' : metrics.problem.title}
      tone="calm"
      testId="readings-rate"
    >
      <Sparkline values={rates} />
    </Stat>
  );
}

function DevicesOnline({ devices }: { readonly devices: readonly Device[] }): JSX.Element {
  const offline = devices.filter((device) => device.state === 'offline').length;
  const unknown = devices.filter((device) => device.state === 'unknown').length;
  const rest = [offline > 0 && `${countText(offline)} offline`, unknown > 0 && `${countText(unknown)} unknown`];
  return (
    <Stat
      name="Devices online"
      value={countText(devices.length - offline - unknown)}
      of={countText(devices.length)}
      detail={rest.filter((text) => text !== false).join(', ') || 'every one of them'}
      tone={offline > 0 ? 'watch' : 'good'}
      href="#/devices"
    />
  );
}

function WebhookSuccess(): JSX.Element {
  const webhooks = useResource('webhook-success', loadDeliveries, 5_000);
  const tally = tallyDeliveries(webhooks.value?.deliveries ?? []);
  const detail = ((): string => {
    if (webhooks.value === null) return webhooks.problem?.title ?? 'asking';
    if (webhooks.value.endpoints === 0) return 'none registered';
    if (tally.success === null) return tally.pending > 0 ? `${tally.pending} pending` : 'nothing sent yet';
    return [`of the last ${tally.succeeded + tally.failed}`, tally.pending > 0 && `${tally.pending} pending`]
      .filter((text) => text !== false)
      .join(', ');
  })();
  return (
    <Stat
      name="Webhook success"
      value={tally.success === null ? '–' : percentText(tally.success)}
      detail={detail}
      tone={tally.success === null ? 'calm' : tally.success < 1 ? 'watch' : 'good'}
      href="#/webhooks"
    />
  );
}

/** The newest deliveries of the first endpoints: enough to see whether webhooks arrive. */
async function loadDeliveries(signal: AbortSignal): Promise<{ endpoints: number; deliveries: readonly Delivery[] }> {
  const webhooks = await rest.get<List<Webhook>>('api/v1/webhooks', { limit: '100' }, signal);
  const pages = await Promise.all(
    webhooks.items
      .slice(0, 10)
      .map(({ id }) =>
        rest.get<List<Delivery>>(`api/v1/webhooks/${encodeURIComponent(id)}/deliveries`, { limit: '100' }, signal),
      ),
  );
  return { endpoints: webhooks.items.length, deliveries: pages.flatMap((page) => page.items) };
}

function NewestAlerts(): JSX.Element {
  const newest = useResource('newest-alerts', loadNewestAlerts);
  const shown = openAlerts.merge(newest.value ?? []).slice(0, alertsMax);
  if (newest.value === null && shown.length === 0) {
    return newest.problem === null ? <Skeleton rows={2} /> : <p class="quiet">{newest.problem.message}</p>;
  }
  if (shown.length === 0) return <p class="quiet panel-empty">Nothing has crossed a limit yet.</p>;
  return (
    <ul class="rows">
      {shown.map((alert) => (
        <AlertRow key={alert.id} alert={alert} />
      ))}
    </ul>
  );
}

async function loadNewestAlerts(signal: AbortSignal): Promise<readonly Alert[]> {
  return (await rest.get<List<Alert>>('api/v1/alerts', { limit: String(alertsMax) }, signal)).items;
}

/** What needs a look comes first: alerts, then offline, then the rest by name. */
function DeviceTiles({ devices }: { readonly devices: readonly Device[] }): JSX.Element {
  const firing = new Map<string, number>();
  for (const alert of openAlerts.open.value ?? []) firing.set(alert.device, (firing.get(alert.device) ?? 0) + 1);
  const rank = (device: Device): number => (firing.has(device.id) ? 0 : device.state === 'offline' ? 1 : 2);
  const shown = devices.toSorted((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)).slice(0, tilesMax);
  const metrics = useKeyMetrics(shown.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
  return (
    <>
      <ul class="tiles">
        {shown.map((device) => (
          <DeviceTile
            key={device.id}
            device={device}
            metric={metrics.get(device.id) ?? null}
            alerts={firing.get(device.id) ?? 0}
          />
        ))}
      </ul>
      {shown.length < devices.length && (
        <p class="quiet">
          {countText(shown.length)} of {countText(devices.length)}; <a href="#/devices">the list has them all</a>.
        </p>
      )}
    </>
  );
}

const worse = ['critical', 'warning', 'info'] as const;

function worstText(severities: readonly Alert['severity'][]): string {
  if (severities.length === 0) return 'all within limits';
  return worse
    .map((severity) => ({ severity, count: severities.filter((one) => one === severity).length }))
    .filter(({ count }) => count > 0)
    .map(({ severity, count }) => `${count} ${severity}`)
    .join(', ');
}
