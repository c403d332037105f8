import type { Asker, DamagedStretch, HistoryQueries, RowFormat, TextPage } from '../../history/queries.ts';
import type { Range } from './reading-question.ts';
import type { AskedSeries } from './reading-series.ts';

export interface RawAsk {
  readonly range: Range;
  readonly order: 'asc' | 'desc';
  readonly format: RowFormat;
  /** Most readings in all; null: no end. */
  readonly limit: number | null;
  /** Most series that are looked into; null: no end. */
  readonly seriesMax: number | null;
  /** Where the first series goes on. */
  readonly at: number | null;
  readonly asker: Asker;
}

/** Readings of a few series as text, and where the next ones begin. */
export interface RawPage {
  readonly parts: readonly RawPart[];
  /** Series of which everything was told with this page and those before it, also those without readings. */
  readonly told: readonly AskedSeries[];
  /** Null: nothing is left. */
  readonly next: RawPosition | null;
  readonly damaged: readonly DamagedStretch[];
}

export interface RawPart {
  readonly series: AskedSeries;
  readonly readings: number;
  readonly bytes: Uint8Array;
  /** Only of columns. */
  readonly times: Uint8Array;
}

export interface RawPosition {
  readonly series: AskedSeries;
  /** The rest of the series begins (descending: ends) here; null: nothing of it was told. */
  readonly time: number | null;
}

/** Readings in one page of the store: enough that asking costs nothing beside them, few enough that others come between. */
const pageReadings = 50_000;
/** Of columns more, so that a day at one reading a second stands in one piece. */
const columnsReadings = 100_000;
/** Series in one question: few at first, since each costs a look, and most often they hold what is wanted. */
const [windowMin, windowMax] = [16, 1_000];

/** Page after page; the next is asked for when the consumer wants it. */
export async function* rawPages(
  reader: Pick<HistoryQueries, 'text'>,
  source: Iterator<AskedSeries> | AsyncIterator<AskedSeries>,
  ask: RawAsk,
): AsyncGenerator<RawPage> {
  let size = windowMin;
  let window = await taken(source, size);
  let resume = ask.at;
  let room = ask.limit ?? Number.POSITIVE_INFINITY;
  let looked = 0;
  while (window.length > 0) {
    const text = await reader.text(
      {
        ranges: window.map(({ id }, index) => ({ series: id, ...rest(ask, index === 0 ? resume : null) })),
        order: ask.order,
        limit: Math.min(room, ask.format === 'columns' ? columnsReadings : pageReadings),
        format: ask.format,
        labels: window.map(({ device, metric, unit }) => ({ device, metric, unit })),
      },
      ask.asker,
    );
    const told = text.next ? window.slice(0, text.next.index) : window;
    const parts = partsOf(text, window);
    for (const { readings } of parts) room -= readings;
    looked += told.length;
    if (text.next) {
      window = window.slice(text.next.index);
      resume = text.next.time;
    } else {
      size = Math.min(size * 4, windowMax);
      window = await taken(source, size);
      resume = null;
    }
    const isEnd = room <= 0 || (ask.seriesMax !== null && looked >= ask.seriesMax);
    const next = window.length === 0 ? null : { series: window[0], time: resume };
    yield { parts, told, next, damaged: text.damaged };
    if (isEnd) return;
  }
}

function rest({ range, order }: RawAsk, time: number | null): Range {
  if (time === null) return range;
  return order === 'asc' ? { from: time, to: range.to } : { from: range.from, to: time };
}

async function taken<T>(source: Iterator<T> | AsyncIterator<T>, count: number): Promise<readonly T[]> {
  const rows: T[] = [];
  while (rows.length < count) {
    const step = await source.next();
    if (step.done) break;
    rows.push(step.value);
  }
  return rows;
}

function partsOf({ bytes, times, parts }: TextPage, window: readonly AskedSeries[]): readonly RawPart[] {
  const cut: RawPart[] = [];
  let begin = 0;
  let timesBegin = 0;
  for (const { index, readings, end, timesEnd } of parts) {
    const series = window[index];
    const own = times ? times.subarray(timesBegin, timesEnd) : new Uint8Array(0);
    cut.push({ series, readings, bytes: bytes.subarray(begin, end), times: own });
    begin = end;
    timesBegin = timesEnd;
  }
  return cut;
}
