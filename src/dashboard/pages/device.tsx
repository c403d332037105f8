import { type ReadonlySignal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { DeviceDetail, DeviceLatest } from '../../contract/device.ts';
import type { List } from '../../contract/rest.ts';
import type { Rule } from '../../contract/rule.ts';
import { type Range, ranges } from '../chart-range.ts';
import { DeviceFeed } from '../device-feed.ts';
import { nameOf, tagTexts } from '../device-text.ts';
import { latest, live, now, openAlerts, rest } from '../gateway.ts';
import { compareMetrics } from '../key-metric.ts';
import { replaceHash } from '../location.ts';
import { AlertRow } from '../parts/alert-row.tsx';
import { Ago } from '../parts/ago.tsx';
import { DeviceCommands } from '../parts/device-commands.tsx';
import { DeviceSettings } from '../parts/device-settings.tsx';
import { DeviceState } from '../parts/device-state.tsx';
import { LiveValue } from '../parts/live-value.tsx';
import { MetricChart } from '../parts/metric-chart.tsx';
import { EmptyNote, ProblemNote, Skeleton } from '../parts/note.tsx';
import { useResource } from '../resource.ts';
import { deviceHash } from '../route.ts';
import { metricText } from '../unit-text.ts';
import { valueText } from '../value-text.ts';

/** A value older than this is shown with its age, ms. */
const staleMs = 60_000;

/** One device: how it is, what it said about itself, and every metric as it was and as it goes on. */
export function DevicePage({ device, range }: { readonly device: string; readonly range: Range }): JSX.Element {
  const path = `api/v1/devices/${encodeURIComponent(device)}`;
  const detail = useResource(`device ${device}`, (signal) => rest.get<DeviceDetail>(path, {}, signal), 5_000);
  const current = useResource(`values ${device}`, (signal) => loadCurrent(device, signal), 60_000);
  const rules = useResource('rules', loadRules, 30_000);
  const { feed, generation, newest } = useDeviceFeed(device, current.reload);

  if (detail.value === null || current.value === null) {
    const failed = detail.problem === null ? current : detail;
    if (failed.problem?.status === 404) {
      return (
        <EmptyNote title={`There is no ${device}`}>
          <p>
            It was neither added nor heard of, or it was deleted. <a href="#/devices">To the devices that are known</a>
          </p>
        </EmptyNote>
      );
    }
    if (failed.problem !== null) return <ProblemNote problem={failed.problem} reload={failed.reload} />;
    return <Skeleton rows={5} />;
  }
  const facts = detail.value.metricFacts;
  const alerts = (openAlerts.open.value ?? []).filter((alert) => alert.device === device);
  const values = Object.entries(current.value.values).toSorted(([a], [b]) => compareMetrics(a, b));
  const charts = values.filter(([, { value }]) => typeof value !== 'string');
  // Numbers first: a door that is open or shut says less by itself.
  const ordered = charts.toSorted(
    ([, a], [, b]) => Number(typeof a.value === 'boolean') - Number(typeof b.value === 'boolean'),
  );
  return (
    <div class="page">
      <header class="device-head">
        <p class="crumb">
          <a href="#/devices">Devices</a>
        </p>
        <h1>{nameOf(detail.value)}</h1>
        {detail.value.name !== '' && <p class="quiet">{device}</p>}
        <p class="device-facts">
          <DeviceState device={detail.value} />
          <span>
            last seen <LastSeen known={detail.value.lastSeen} newest={newest} />
          </span>
          {detail.value.profile !== null && (
            <span>
              <span class="quiet">Profile</span> {detail.value.profile}
            </span>
          )}
          {tagTexts(detail.value.tags).map((tag) => (
            <span key={tag} class="tag">
              {tag}
            </span>
          ))}
          {Object.entries(detail.value.attributes).map(([name, value]) => (
            <span key={name}>
              <span class="quiet">{metricText(name)}</span> {valueText(value)}
            </span>
          ))}
          {detail.value.clockCorrected > 0 && (
            <span class="limit-warning">clock corrected {valueText(detail.value.clockCorrected)} times</span>
          )}
        </p>
      </header>
      {alerts.length > 0 && (
        <ul class="panel rows" aria-label="Open alerts of this device">
          {alerts.map((alert) => (
            <AlertRow key={alert.id} alert={alert} />
          ))}
        </ul>
      )}
      <section aria-labelledby="now">
        <header class="panel-head">
          <h2 id="now">Now</h2>
        </header>
        {values.length === 0 && <p class="quiet">It has not sent a reading yet.</p>}
        <dl class="values" hidden={values.length === 0}>
          {values.map(([metric]) => (
            <div key={metric}>
              <dt>{metricText(metric)}</dt>
              <dd>
                <LiveValue device={device} metric={metric} />
                <StaleAge device={device} metric={metric} />
              </dd>
            </div>
          ))}
        </dl>
      </section>
      {charts.length > 0 && (
        <section aria-labelledby="history">
          <header class="panel-head">
            <h2 id="history">History</h2>
            <div class="choice" role="group" aria-label="Range">
              {ranges.map((one) => (
                <button
                  key={one}
                  type="button"
                  aria-pressed={one === range}
                  onClick={() => replaceHash(deviceHash(device, one))}
                >
                  {one}
                </button>
              ))}
            </div>
          </header>
          <div class="charts">
            {ordered.map(([metric, { unit, value }]) => (
              <MetricChart
                key={metric}
                device={device}
                metric={metric}
                unit={unit}
                isBoolean={typeof value === 'boolean'}
                kind={facts[metric]?.kind ?? null}
                range={range}
                feed={feed.metric(metric)}
                rules={rules.value}
                firing={alerts.filter((alert) => alert.metric === metric).map((alert) => alert.rule.id)}
                generation={generation}
              />
            ))}
          </div>
        </section>
      )}
      <DeviceCommands device={device} />
      <DeviceSettings
        key={`${detail.value.name} ${detail.value.profile ?? ''} ${tagTexts(detail.value.tags).join()}`}
        device={detail.value}
        onChanged={detail.reload}
      />
    </div>
  );
}

/** A value that stopped moving says how old it is. */
function StaleAge({ device, metric }: { readonly device: string; readonly metric: string }): JSX.Element | null {
  const current = latest.cell(device, metric).value;
  if (current === null || now.value + rest.clockAhead - current.time < staleMs) return null;
  return (
    <span class="stale">
      <Ago time={current.time} />
    </span>
  );
}

function LastSeen({
  known,
  newest,
}: {
  readonly known: string | null;
  readonly newest: ReadonlySignal<number>;
}): JSX.Element {
  const seen = Math.max(known === null ? 0 : Date.parse(known), newest.value);
  return <Ago time={seen === 0 ? null : seen} />;
}

/** Subscribes to everything the device says while its page is open; a metric never seen before asks for the values again. */
function useDeviceFeed(
  device: string,
  onNewMetric: () => void,
): { feed: DeviceFeed; generation: number; newest: ReadonlySignal<number> } {
  const feed = useMemo(() => new DeviceFeed(), [device]);
  const [generation, setGeneration] = useState(0);
  const newest = useSignal(0);
  useEffect(() => {
    const known = new Set<string>();
    return live.subscribe(
      { topic: 'readings', device, metric: '*', mode: 'all' },
      {
        readings: (readings) => {
          const size = known.size;
          for (const reading of readings) {
            known.add(reading.metric);
            latest.offer(reading);
            feed.metric(reading.metric).add(Date.parse(reading.time), reading.value);
          }
          const last = readings.at(-1);
          if (last !== undefined) newest.value = Math.max(newest.peek(), Date.parse(last.time));
          if (size > 0 && known.size > size) onNewMetric();
        },
        lost: () => setGeneration((before) => before + 1),
      },
    );
  }, [device]);
  return { feed, generation, newest };
}

async function loadCurrent(device: string, signal: AbortSignal): Promise<DeviceLatest> {
  const current = await rest.get<DeviceLatest>(`api/v1/devices/${encodeURIComponent(device)}/latest`, {}, signal);
  for (const [metric, value] of Object.entries(current.values)) latest.offer({ device, metric, ...value });
  return current;
}

/** A gateway has tens of rules, not thousands: one page is all of them. */
async function loadRules(signal: AbortSignal): Promise<readonly Rule[]> {
  return (await rest.get<List<Rule>>('api/v1/rules', { limit: '1000' }, signal)).items;
}
