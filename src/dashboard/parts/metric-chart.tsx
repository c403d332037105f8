import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Rule } from '../../contract/rule.ts';
import { bucketFor, durationText, type Range, spanOf } from '../chart-range.ts';
import type { MetricFeed } from '../device-feed.ts';
import { rest } from '../gateway.ts';
import { type ChartKind, loadHistory } from '../history-source.ts';
import { useResource } from '../resource.ts';
import { thresholdLines } from '../threshold-line.ts';
import { metricText, unitText } from '../unit-text.ts';
import { useVisible } from '../use-visible.ts';
import { valueText } from '../value-text.ts';
import { Chart } from './chart.tsx';
import { LiveValue } from './live-value.tsx';
import { Mark } from './mark.tsx';

interface MetricChartProps {
  readonly device: string;
  readonly metric: string;
  readonly unit: string | null;
  readonly isBoolean: boolean;
  /** What the profile says of the metric; null for nothing. */
  readonly kind: ChartKind | null;
  readonly range: Range;
  readonly feed: MetricFeed;
  /** null until they are known. */
  readonly rules: readonly Rule[] | null;
  readonly firing: readonly string[];
  /** Rises when readings were lost and history must be asked again. */
  readonly generation: number;
}

/** What the line goes through in a bucket. */
const lineNames = { gauge: 'average', counter: 'last', state: 'average over time' } as const;
const keptBy = { '1m': 'minute', '1h': 'hour' } as const;

/** One metric: its value now, its history when it comes into sight, and from there on live. */
export function MetricChart(props: MetricChartProps): JSX.Element {
  const { device, metric, range, feed, rules } = props;
  const kind = props.kind ?? (props.isBoolean ? 'state' : 'gauge');
  const thresholds = useMemo(() => thresholdLines(rules ?? [], device, metric), [rules, device, metric]);
  const panel = useRef<HTMLElement>(null);
  const isVisible = useVisible(panel);
  const [pixels, setPixels] = useState(0);
  const isWanted = isVisible && pixels > 0;
  const [wasWanted, setWasWanted] = useState(false);
  useEffect(() => {
    if (isWanted) setWasWanted(true);
  }, [isWanted]);
  const width = bucketFor(range, pixels);
  const history = useResource(
    `history ${metric} ${kind} ${range} ${width} ${props.generation} ${wasWanted}`,
    async (signal) => {
      if (!wasWanted) return null;
      const history = await loadHistory(rest, { device, metric, kind, range, pixels, signal });
      feed.buffer.load(history);
      feed.changed();
      return { width: history.width, resolution: history.resolution };
    },
  );
  const name = metricText(metric);
  const shown = history.value;
  const isLoaded = shown !== null;
  return (
    <section
      ref={panel}
      class={`panel metric-chart${isLoaded || history.problem !== null ? '' : ' is-loading'}`}
      data-testid="metric-chart"
      data-metric={metric}
      data-loaded={isLoaded}
    >
      <header class="metric-head">
        <h3>{name}</h3>
        <LiveValue device={device} metric={metric} />
      </header>
      <Chart
        buffer={feed.buffer}
        subscribe={(onChange) => feed.subscribe(onChange)}
        span={spanOf(range)}
        metric={metric}
        name={name}
        unit={unitText(props.unit, metric)}
        isBoolean={props.isBoolean}
        thresholds={thresholds}
        isVisible={isVisible}
        onWidth={(next) => setPixels(Math.max(100, Math.round(next / 100) * 100))}
      />
      <footer class="metric-foot">
        {thresholds.map((threshold) => (
          <span key={threshold.ruleId} class={`limit limit-${threshold.severity}`} title={threshold.name}>
            {props.firing.includes(threshold.ruleId) ? (
              <Mark
                kind={threshold.severity}
                text={`${threshold.direction} ${valueText(threshold.value)}: ${threshold.name}, firing`}
              />
            ) : (
              `${threshold.direction} ${valueText(threshold.value)}: ${threshold.name}`
            )}
          </span>
        ))}
        {history.problem !== null && (
          <span class="limit-problem" role="alert">
            No history: {history.problem.title}{' '}
            <button type="button" class="link" onClick={history.reload}>
              try again
            </button>
          </span>
        )}
        {shown !== null && shown.width > 0 && (
          <span class="quiet metric-bucket">
            {props.isBoolean ? 'share' : lineNames[kind]} of {durationText(shown.width)}
            {!props.isBoolean && ', lowest to highest shaded'}
            {shown.resolution !== 'raw' && `, from what is kept by the ${keptBy[shown.resolution]}`}
          </span>
        )}
      </footer>
    </section>
  );
}
