import type { DamagedStretch } from '../../history/queries.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import type { Downloads } from './downloads.ts';
import type { ApiPorts } from '../ports.ts';
import { boundaryTexts, type Comparison, comparisonOf, type ReadingAsk } from './reading-ask.ts';
import type { Question, Range } from './reading-question.ts';
import type { AskedSeries } from './reading-series.ts';
import { jsonText, readingsTable } from './reading-table.ts';
import { manyTurns, type ShownSeries, shownAs, type TableTurn, writeTables } from './table-answer.ts';
import type { WrittenAnswer } from '../written-answer.ts';

type PointShape = Extract<Question['shape'], { readonly kind: 'points' }>;
type PickShape = Extract<Question['shape'], { readonly kind: 'pick' }>;

/** The shape of each series in few of its readings. */
export function answerPoints(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  { points, method }: PointShape,
): Promise<WrittenAnswer> {
  const { question, range } = ask;
  const damaged: DamagedStretch[] = [];
  const comparison = comparisonOf(ask);
  return writeTables(ports, downloads, ask, {
    list: 'readings',
    names: ['value'],
    damaged,
    turns: () => turnsOf(ask, points, show),
  });

  async function show(series: readonly AskedSeries[]): Promise<readonly ShownSeries[]> {
    const [parts, compared, boundaries] = await Promise.all([
      decimated(series, range),
      comparison ? decimated(series, comparison.period.range) : null,
      boundaryTexts(
        ports,
        ask,
        series.map(({ id }) => ({ series: id, ...range })),
      ),
    ]);
    const shown = series.map(async (one, index) => {
      const { columns, resolution } = parts[index];
      const facts = `,"resolution":${JSON.stringify(resolution)},"method":${JSON.stringify(method)}`;
      const beside = comparison && compared ? await comparedText(comparison, compared[index].columns) : '';
      return { ...shownAs(one, facts + boundaries[index].text + beside), table: readingsTable(columns) };
    });
    return await Promise.all(shown);
  }

  async function decimated(series: readonly AskedSeries[], range: Range) {
    const ranges = series.map(({ id }) => ({ series: id, ...range }));
    const page = await ports.reader.decimate({ ranges, points, method }, ask.asker);
    damaged.push(...page.damaged);
    return page.parts;
  }

  async function comparedText({ text, period }: Comparison, columns: SampleColumns): Promise<string> {
    const table = readingsTable(columns, period.shift);
    const body = await jsonText(table, question.format === 'json' ? 'rows' : 'columns', 'readings');
    return `,"compare":{"offset":${JSON.stringify(text)},${body}}`;
  }
}

/** Of each series the first or the last reading of the range. */
export function answerPick(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  { pick }: PickShape,
): Promise<WrittenAnswer> {
  const { from, to } = ask.range;
  // The first reading at or after the begin, or the last before the end, which may lie on the other side of the range.
  const at = pick === 'first' ? from : to;
  return writeTables(ports, downloads, ask, {
    list: 'readings',
    names: ['value'],
    damaged: [],
    turns: () => turnsOf(ask, 1, show),
  });

  async function show(series: readonly AskedSeries[]): Promise<readonly ShownSeries[]> {
    const ranges = series.map(({ id }) => ({ series: id, from: at, to: at }));
    const boundaries = await ports.reader.boundaries(ranges, ask.asker);
    return series.map((one, index) => {
      const sample = pick === 'first' ? boundaries[index].after : boundaries[index].before;
      const samples = sample && sample.time >= from && sample.time < to ? [sample] : [];
      const times = samples.map(({ time }) => time);
      const values = samples.map(({ value }) => value);
      return { ...shownAs(one, ''), table: { count: samples.length, times, names: ['value'], columns: [values] } };
    });
  }
}

/** Of many, series without readings are left out. */
function turnsOf(
  ask: ReadingAsk,
  valuesEach: number,
  show: (series: readonly AskedSeries[]) => Promise<readonly ShownSeries[]>,
): AsyncGenerator<TableTurn> {
  if (ask.single !== null) return oneTurn(ask.single, show);
  return manyTurns(ask, valuesEach, async (series) =>
    (await show(series)).map((one) => (one.table.count === 0 ? null : one)),
  );
}

async function* oneTurn(
  series: AskedSeries,
  show: (series: readonly AskedSeries[]) => Promise<readonly ShownSeries[]>,
): AsyncGenerator<TableTurn> {
  yield { shown: await show([series]), next: null };
}
