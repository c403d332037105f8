import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { type ChartPalette, readPalette } from '../chart-palette.ts';
import { clock, frames, rest } from '../gateway.ts';
import { plotColumns } from '../plot-columns.ts';
import type { SeriesBuffer } from '../series-buffer.ts';
import { paletteVersion } from '../theme.ts';
import { type ThresholdLine, valueExtent } from '../threshold-line.ts';
import { momentText, tickText } from '../time-text.ts';
import { booleanText, valueText } from '../value-text.ts';

interface ChartProps {
  readonly buffer: SeriesBuffer;
  /** Rises whenever the buffer has changed. */
  readonly subscribe: (onChange: () => void) => () => void;
  /** What is shown, back from now, ms. */
  readonly span: number;
  readonly metric: string;
  readonly name: string;
  readonly unit: string;
  readonly isBoolean: boolean;
  readonly thresholds: readonly ThresholdLine[];
  readonly isVisible: boolean;
  /** Told when the width changes enough to matter for the history asked for. */
  readonly onWidth: (pixels: number) => void;
}

/** Charts redraw at most this often, ms; a pixel of the shortest range lasts longer. */
const redrawMs = 100;
const height = 190;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Distances of the ticks of time, ms. uPlot's own leave out two minutes, without which a phone shows one tick in five. */
const timeSteps = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 4, 6, 8, 12].map((hours) => hours * hourMs),
  ...[1, 2, 4, 7, 14, 30, 61, 91].map((days) => days * 24 * hourMs),
];

/**
 * The only place that knows uPlot: a figure with one line that slides with time, its band, the thresholds of its
 * rules, a cursor for mouse, touch and arrow keys, and the same in words.
 */
export function Chart(props: ChartProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<TimePlot | null>(null);
  const latestProps = useRef(props);
  latestProps.current = props;
  const [readout, setReadout] = useState<string | null>(null);
  const [summary, setSummary] = useState('');
  const summaryId = useId();

  useEffect(() => {
    if (host.current === null) return undefined;
    const created = new TimePlot(host.current, latestProps, setReadout);
    plot.current = created;
    let drawnAt = 0;
    let cancelNext = (): void => undefined;
    const drawing = frames.add(() => {
      cancelNext();
      if (!latestProps.current.isVisible) return;
      drawnAt = clock.now();
      created.draw();
      // Time goes on when nothing comes.
      cancelNext = clock.after(1_000, drawing.invalidate);
    });
    const unsubscribe = latestProps.current.subscribe(() => {
      cancelNext();
      cancelNext = clock.after(Math.max(0, drawnAt + redrawMs - clock.now()), drawing.invalidate);
    });
    drawing.invalidate();
    plot.current.onResize = drawing.invalidate;
    return () => {
      unsubscribe();
      cancelNext();
      drawing.remove();
      created.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => plot.current?.onResize(), [props.isVisible, props.span, props.thresholds, props.buffer]);
  useSignalEffect(() => {
    void paletteVersion.value;
    plot.current?.repaint();
  });

  const describe = (): void => setSummary(summaryText(props));
  return (
    <figure
      class="chart"
      tabIndex={0}
      aria-label={`${props.name}, chart`}
      aria-describedby={summaryId}
      onFocus={describe}
      onKeyDown={(key) => {
        if (plot.current?.takeKey(key.key) === true) key.preventDefault();
      }}
      onBlur={() => plot.current?.takeKey('Escape')}
    >
      <div ref={host} class="chart-canvas" />
      <output class={`chart-readout number${readout === null ? ' is-idle' : ''}`} aria-live="polite">
        {readout}
      </output>
      <figcaption id={summaryId} class="hidden">
        {summary}
      </figcaption>
    </figure>
  );
}

/** uPlot behind the two or three verbs that the figure needs. */
class TimePlot {
  onResize: () => void = () => undefined;
  readonly #host: HTMLElement;
  readonly #props: { readonly current: ChartProps };
  readonly #resize: ResizeObserver;
  readonly #plot: uPlot;
  #palette: ChartPalette;
  #extent: readonly [number, number] = [0, 1];
  #isDrawn = false;

  constructor(host: HTMLElement, props: { readonly current: ChartProps }, setReadout: (text: string | null) => void) {
    this.#host = host;
    this.#props = props;
    this.#palette = readPalette(host);
    this.#plot = new uPlot(this.#options(setReadout), [[], [], [], []], host);
    this.#resize = new ResizeObserver(() => this.#fit());
    this.#resize.observe(host);
    this.#fit();
  }

  /** Takes what the buffer has now. */
  draw(): void {
    const { buffer, span, thresholds, isBoolean } = this.#props.current;
    const to = clock.now() + rest.clockAhead;
    const from = to - span;
    buffer.dropBefore(from - span * 0.05);
    const width = this.#plot.bbox.width / devicePixelRatio;
    const columns = plotColumns(buffer, from, to, Math.max(width, 50));
    this.#extent = isBoolean ? [-0.15, 1.15] : extentOf([columns.middle, columns.low, columns.high], thresholds);
    this.#isDrawn = true;
    this.#plot.batch(() => {
      // The band of something that is on or off would fill the chart; its line is the share of time it was on.
      const none = columns.times.map(() => null);
      const [low, high] = isBoolean ? [none, none] : [columns.low, columns.high];
      this.#plot.setData([columns.times, columns.middle, low, high], false);
      this.#plot.setScale('x', { min: from, max: to });
      this.#plot.setScale('y', { min: this.#extent[0], max: this.#extent[1] });
    });
  }

  repaint(): void {
    this.#palette = readPalette(this.#host);
    // Before the first drawing uPlot has no axes to paint.
    if (this.#isDrawn) this.#plot.redraw(false);
  }

  /** Arrow keys move the cursor from point to point, Home and End to the ends, Escape puts it away. */
  takeKey(key: string): boolean {
    const times = this.#plot.data[0];
    const now = this.#plot.cursor.idx ?? times.length;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -times.length, End: times.length };
    if (key === 'Escape') {
      this.#plot.setCursor({ left: -10, top: -10 });
      return true;
    }
    if (!Object.hasOwn(step, key)) return false;
    let index = Math.max(0, Math.min(times.length - 1, now + step[key as keyof typeof step]));
    // A break in the line is not a point.
    while (index > 0 && this.#plot.data[1][index] === null) index--;
    const time = times[index];
    if (time !== undefined) this.#plot.setCursor({ left: this.#plot.valToPos(time, 'x'), top: 1 });
    return true;
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot.destroy();
  }

  #fit(): void {
    const width = this.#host.clientWidth;
    if (width === 0) return;
    this.#plot.setSize({ width, height });
    this.#props.current.onWidth(width);
    this.onResize();
  }

  #options(setReadout: (text: string | null) => void): uPlot.Options {
    const { isBoolean, metric } = this.#props.current;
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    const line: uPlot.Series = {
      stroke: () => this.#palette.line,
      width: 1.75,
      // The line is drawn across a gap and cut out there; cut exactly, the half of its width that leans in would show.
      gaps: (_, __, ___, ____, gaps) =>
        gaps.map(([from, to]) => [from - 2 * devicePixelRatio, to + 2 * devicePixelRatio]),
      points: { size: 4, fill: () => this.#palette.line },
      ...(isBoolean && stepped !== undefined ? { paths: stepped } : {}),
    };
    const edge: uPlot.Series = { points: { show: false }, stroke: 'transparent', width: 0 };
    const font = '11px system-ui, sans-serif';
    const axis: uPlot.Axis = {
      stroke: () => this.#palette.axis,
      font,
      grid: { stroke: () => this.#palette.grid, width: 1 },
      ticks: { show: false },
    };
    return {
      width: 300,
      height,
      ms: 1,
      legend: { show: false },
      padding: [10, 8, 0, 0],
      cursor: { drag: { x: false, y: false }, y: false, sync: { key: 'device' }, points: { size: 7 } },
      scales: { x: { time: true }, y: { auto: false } },
      series: [{}, line, edge, edge],
      bands: [{ series: [3, 2], fill: () => this.#palette.band }],
      axes: [
        {
          ...axis,
          space: 52,
          incrs: timeSteps,
          size: 28,
          grid: { show: false },
          values: (_, splits, __, ___, step) => splits.map((time) => tickText(time, step)),
        },
        {
          ...axis,
          size: isBoolean ? 58 : 46,
          space: 34,
          values: (_, splits) =>
            splits.map((split) => (isBoolean ? booleanTick(split, metric) : axisText(split, splits))),
        },
      ],
      hooks: {
        draw: [(u) => this.#drawThresholds(u)],
        setCursor: [(u) => setReadout(this.#readoutAt(u.cursor.idx ?? null, u.cursor.left ?? -1))],
      },
    };
  }

  #readoutAt(index: number | null, left: number): string | null {
    const time = index === null ? undefined : this.#plot.data[0][index];
    const value = index === null ? undefined : this.#plot.data[1][index];
    if (left < 0 || index === null || time === undefined || value === undefined || value === null) return null;
    const { metric, unit, isBoolean } = this.#props.current;
    const low = this.#plot.data[2][index];
    const high = this.#plot.data[3][index];
    const shown = isBoolean ? booleanText(metric, value >= 0.5) : `${valueText(value)} ${unit}`.trim();
    const span = low == null || high == null || low === high ? '' : ` (${valueText(low)} to ${valueText(high)})`;
    return `${shown}${span} · ${momentText(time, clock.now())}`;
  }

  /** A dashed line where a rule begins to breach, and its side lightly marked by a short tick of the same colour. */
  #drawThresholds(u: uPlot): void {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.lineWidth = devicePixelRatio * 1.25;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const threshold of this.#props.current.thresholds) {
      if (threshold.value < this.#extent[0] || threshold.value > this.#extent[1]) continue;
      const y = Math.round(u.valToPos(threshold.value, 'y', true));
      ctx.strokeStyle = this.#palette[threshold.severity];
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }
}

function booleanTick(split: number, metric: string): string {
  return split === 0 || split === 1 ? booleanText(metric, split === 1) : '';
}

function axisText(split: number, splits: readonly number[]): string {
  const step = Math.abs((splits[1] ?? split) - (splits[0] ?? split));
  const decimals = step === 0 ? 0 : Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  const size = Math.abs(split);
  if (size >= 1e6) return `${(split / 1e6).toFixed(step < 1e5 ? 2 : 1)}M`;
  if (size >= 1e4) return `${(split / 1e3).toFixed(step < 100 ? 2 : step < 1_000 ? 1 : 0)}k`;
  return split.toFixed(decimals).replace('-', '−');
}

function extentOf(
  columns: readonly (readonly (number | null)[])[],
  thresholds: readonly ThresholdLine[],
): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const column of columns) {
    for (const value of column) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [0, 1];
  return valueExtent(
    low,
    high,
    thresholds.map((threshold) => threshold.value),
  );
}

function summaryText({ buffer, name, unit, span, thresholds }: ChartProps): string {
  const to = clock.now() + rest.clockAhead;
  const columns = plotColumns(buffer, to - span, to, 400);
  const values = columns.middle.filter((value) => value !== null);
  if (values.length === 0) return `${name}: no readings in this range.`;
  const extreme = [...values, ...columns.low, ...columns.high].filter((value) => value !== null);
  const limits = thresholds.map(({ direction, value }) => ` Limit ${direction} ${valueText(value)} ${unit}.`).join('');
  return (
    `${name}: now ${valueText(buffer.last)} ${unit}; lowest ${valueText(extreme.reduce((a, b) => Math.min(a, b)))}, ` +
    `highest ${valueText(extreme.reduce((a, b) => Math.max(a, b)))}.${limits} Arrow keys read single points.`
  );
}
