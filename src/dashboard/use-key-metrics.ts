import { useEffect, useMemo } from 'preact/hooks';
import type { FleetLatest } from '../contract/device.ts';
import { deviceFilters } from './device-filter.ts';
import { latest, live, rest } from './gateway.ts';
import { keyMetric } from './key-metric.ts';
import { useResource } from './resource.ts';

/**
 * The metric that stands for each of these devices, its cell filled and kept moving while they are shown. Only those
 * series are subscribed to: a page asks for what it shows. Asked again when one of them has its first metric.
 */
export function useKeyMetrics(
  shown: readonly { readonly id: string; readonly metricCount: number }[],
): ReadonlyMap<string, string> {
  const devices = shown.filter(({ metricCount }) => metricCount > 0).map(({ id }) => id);
  const key = devices.join(',');
  const current = useResource(`latest ${key}`, (signal) => loadCurrent(devices, signal), 60_000);
  const metrics = useMemo(() => current.value ?? new Map<string, string>(), [current.value]);
  const wanted = [...new Set(metrics.values())].toSorted().join(',');

  useEffect(() => {
    if (wanted === '') return undefined;
    const stops = deviceFilters(devices).map((device) =>
      live.subscribe(
        { topic: 'readings', device, metric: wanted, mode: 'latest' },
        {
          readings: (readings) => {
            for (const reading of readings) latest.offer(reading);
          },
        },
      ),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }, [key, wanted]);
  return metrics;
}

async function loadCurrent(devices: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, FleetLatest['items']>();
  for (const device of deviceFilters(devices)) {
    let page: string | null = null;
    do {
      const answer: FleetLatest = await rest.get<FleetLatest>(
        'api/v1/latest',
        { device, limit: '1000', ...(page === null ? {} : { page }) },
        signal,
      );
      for (const value of answer.items) {
        latest.offer(value);
        values.set(value.device, [...(values.get(value.device) ?? []), value]);
      }
      page = answer.next;
    } while (page !== null);
  }
  const metrics = new Map<string, string>();
  for (const [device, known] of values) {
    const metric = keyMetric(known);
    if (metric !== null) metrics.set(device, metric);
  }
  return metrics;
}
