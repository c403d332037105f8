import { type Aggregate, aggregateName, defaultAggregates, type MetricKind } from '../../domain/aggregate.ts';
import type {
  AggregatedSeries,
  AggregatePage,
  AggregateQuery,
  BucketPage,
  DamagedStretch,
} from '../../history/queries.ts';
import { leastWidthMs } from './bucket-width.ts';
import type { Downloads } from './downloads.ts';
import type { ApiPorts } from '../ports.ts';
import { parameterRefused } from '../problem.ts';
import { askedGrid, boundaryTexts, type Comparison, comparisonOf, nextPage, type ReadingAsk } from './reading-ask.ts';
import type { Question, Range } from './reading-question.ts';
import { pointsMax } from './reading-parameters.ts';
import { type AskedSeries, kindOf } from './reading-series.ts';
import { jsonText, type Table } from './reading-table.ts';
import { manyTurns, type ShownSeries, shownAs, type TableTurn, writeTables } from './table-answer.ts';
import type { WrittenAnswer } from '../written-answer.ts';

type BucketRules = Pick<AggregateQuery, 'grid' | 'fill' | 'limit' | 'holdsUntil' | 'page'>;
export type BucketShape = Extract<Question['shape'], { readonly kind: 'buckets' }>;

/** Aggregates by bucket, of one series or many. */
export function answerBuckets(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  shape: BucketShape,
): Promise<WrittenAnswer> {
  const { question, range, single } = ask;
  const damaged: DamagedStretch[] = [];
  const grid = askedGrid(ask, shape.width);
  const comparison = comparisonOf(ask);
  const aggregates = shape.aggregates ?? (single && defaultAggregates(kindOf(ports, single)));
  const answer = { list: 'buckets', names: aggregates?.map(aggregateName) ?? allDefaultNames, damaged } as const;
  if (single === null) {
    const bucketsEach = checkedCount(range, leastWidthMs(shape.width));
    const columns = shape.aggregates?.length ?? columnsByKind;
    return writeTables(ports, downloads, ask, {
      ...answer,
      turns: () =>
        manyTurns(ask, bucketsEach * columns, async (series) =>
          (await bucketsOf(series, range.from, bucketsEach)).map((one) => (one.table.count === 0 ? null : one)),
        ),
    });
  }
  return writeTables(ports, downloads, ask, { ...answer, turns: () => turnsOf(single) });

  /** Of one series a page may end between two buckets. */
  async function* turnsOf(series: AskedSeries): AsyncGenerator<TableTurn> {
    let from: number | null = ask.at ?? range.from;
    do {
      const [one]: readonly ShownBuckets[] = await bucketsOf([series], from, question.limit ?? pointsMax);
      from = one.next;
      yield { shown: [one], next: from === null ? null : nextPage(ask, series, from) };
    } while (from !== null && question.limit === null);
  }

  async function bucketsOf(
    series: readonly AskedSeries[],
    from: number,
    limit: number,
  ): Promise<readonly ShownBuckets[]> {
    const kinds = series.map((one) => kindOf(ports, one));
    const page: BucketPage = { from, until: Number.POSITIVE_INFINITY };
    const rules = { grid, fill: shape.fill, limit, holdsUntil: ask.now, page };
    const [parts, boundaries] = await Promise.all([
      aggregated(series, kinds, range, rules),
      boundaryTexts(
        ports,
        ask,
        series.map(({ id }) => ({ series: id, ...ask.range })),
      ),
    ]);
    const tables = parts.map(tableOf);
    const compared = comparison ? await comparedWith(comparison, series, kinds, rules, parts) : [];
    return series.map((one, index) => {
      const { resolution, next } = parts[index].part;
      const facts = `,"kind":${JSON.stringify(kinds[index])},"resolution":${JSON.stringify(resolution)}`;
      const rest = facts + boundaries[index].text + (compared[index] ?? '');
      return { ...shownAs(one, rest), table: tables[index], next };
    });
  }

  /** One call for each set of aggregates: those asked for, or those of each kind. */
  async function aggregated(
    series: readonly AskedSeries[],
    kinds: readonly MetricKind[],
    range: Range,
    rules: BucketRules,
  ): Promise<readonly Aggregated[]> {
    const parts: Aggregated[] = [];
    const sets = Map.groupBy(series.keys(), (index) => (shape.aggregates ? 'asked' : kinds[index]));
    await Promise.all(
      Array.from(sets, async ([, indexes]) => {
        const aggregates = shape.aggregates ?? defaultAggregates(kinds[indexes[0]]);
        const page: AggregatePage = await ports.reader.aggregate(
          {
            ...rules,
            ranges: indexes.map((index) => ({ series: series[index].id, ...range })),
            kinds: indexes.map((index) => kinds[index]),
            aggregates,
          },
          ask.asker,
        );
        for (const [at, index] of indexes.entries()) parts[index] = { part: page.parts[at], aggregates };
        damaged.push(...page.damaged);
      }),
    );
    return parts;
  }

  async function comparedWith(
    comparison: Comparison,
    series: readonly AskedSeries[],
    kinds: readonly MetricKind[],
    rules: BucketRules & { readonly page: BucketPage },
    parts: readonly Aggregated[],
  ): Promise<readonly string[]> {
    // A page of one series that is cut compares with as much of the earlier period.
    const { text, period } = comparison;
    const next = single === null ? null : parts[0].part.next;
    const isFirst = rules.page.from <= range.from;
    const from = isFirst ? period.range.from : period.earlier(rules.page.from, grid);
    const earlier = await aggregated(series, kinds, period.range, {
      ...rules,
      grid: period.grid(grid),
      limit: pointsMax,
      page: { from, until: next === null ? Number.POSITIVE_INFINITY : period.earlier(next, grid) },
    });
    const texts = earlier.map(async (one) => {
      // A bucket that reaches over the begin was told with the page before.
      const table = isFirst ? tableOf(one) : beginningFrom(from, tableOf(one));
      const moved = { ...table, times: table.times.map((time) => period.later(time, grid)) };
      const body = await jsonText(moved, question.format === 'json' ? 'rows' : 'columns', 'buckets');
      return `,"compare":{"offset":${JSON.stringify(text)},${body}}`;
    });
    return await Promise.all(texts);
  }
}

interface ShownBuckets extends ShownSeries {
  readonly next: number | null;
}

interface Aggregated {
  readonly part: AggregatedSeries;
  readonly aggregates: readonly Aggregate[];
}

function tableOf({ part, aggregates }: Aggregated): Table & { readonly times: Float64Array } {
  const { count, times, columns } = part.buckets;
  return { count, times: times.subarray(0, count), names: aggregates.map(aggregateName), columns };
}

/** Rows from `time` on, when no more than the first is earlier. */
function beginningFrom(time: number, table: ReturnType<typeof tableOf>): ReturnType<typeof tableOf> {
  const { count, times, columns } = table;
  if (count === 0 || times[0] >= time) return table;
  return { ...table, count: count - 1, times: times.subarray(1), columns: columns.map((column) => column.slice(1)) };
}

/** Columns of a CSV in which each kind has its own. */
const allDefaultNames: readonly string[] = [
  ...new Set((['gauge', 'counter', 'state'] as const).flatMap((kind) => defaultAggregates(kind).map(aggregateName))),
];

/** Most columns that a kind has by itself. */
const columnsByKind = 4;

/** Most buckets of each of many series, which are told whole. */
function checkedCount({ from, to }: Range, widthMs: number): number {
  const count = Math.ceil((to - from) / widthMs) + 1;
  if (count <= pointsMax) return count;
  const detail = `the range has ${count - 1} buckets for each series, of which many are told whole; take a wider "bucket" or a shorter range (at most ${pointsMax}), or ask for one series, which comes in pages`;
  throw parameterRefused('bucket', detail);
}
