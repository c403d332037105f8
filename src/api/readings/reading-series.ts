import type { MetricKind } from '../../domain/aggregate.ts';
import type { Series } from '../../domain/series.ts';
import type { TagGlob } from '../../domain/tag-glob.ts';
import { othersTurn } from '../others-turn.ts';
import type { Pattern } from '../parameters.ts';
import type { ApiPorts } from '../ports.ts';
import { indexOfFirst, type SeriesName } from './series-order.ts';

/** A series as an answer names it. */
export interface AskedSeries extends Series {
  /** UCUM code. */
  readonly unit: string | null;
}

/** Which series are asked for. */
export interface SeriesFilter {
  readonly device: Pattern;
  readonly metric: Pattern;
  readonly tag?: TagGlob | undefined;
}

export function askedSeries(ports: ApiPorts, { id, device, metric }: Series): AskedSeries {
  return { id, device, metric, unit: ports.units.of(device, metric) };
}

/**
 * How the values of a series behave: what the profile says; where it says nothing, the newest value tells a state (true,
 * false or text) from a gauge.
 */
export function kindOf(ports: ApiPorts, { device, metric }: SeriesName): MetricKind {
  const said = ports.units.metric(device, metric)?.kind;
  if (said !== undefined) return said;
  const current = ports.latest.find(device, metric);
  return current === undefined || typeof current.value === 'number' ? 'gauge' : 'state';
}

/** Series that are looked at before others have their turn: a filter may be long, and each look slow. */
const lookedAtOnce = 256;

/** Those of `sorted` that the filter takes, from the first that is not before `first`, as long as somebody waits for them. */
export async function* matching(
  ports: ApiPorts,
  sorted: readonly Series[],
  filter: SeriesFilter,
  first: SeriesName,
  signal: AbortSignal,
): AsyncGenerator<Series> {
  const { registrations } = ports.decisions.snapshot();
  let device = '';
  let isTaken = false;
  const begin = indexOfFirst(sorted, first);
  for (let index = begin; index < sorted.length; index++) {
    if (index > begin && (index - begin) % lookedAtOnce === 0) {
      await othersTurn();
      signal.throwIfAborted();
    }
    const series = sorted[index];
    if (series.device !== device) {
      device = series.device;
      isTaken = filter.device.matches(device) && hasTag(device);
    }
    if (isTaken && filter.metric.matches(series.metric)) yield series;
  }

  function hasTag(device: string): boolean {
    return filter.tag === undefined || filter.tag(registrations.get(device)?.tags ?? {});
  }
}
