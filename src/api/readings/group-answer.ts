import { type Aggregate, aggregateName, defaultAggregates } from '../../domain/aggregate.ts';
import type { AcrossColumns, DamagedStretch, Resolution } from '../../history/queries.ts';
import { leastWidthMs } from './bucket-width.ts';
import type { Downloads } from './downloads.ts';
import type { ApiPorts } from '../ports.ts';
import { parameterRefused } from '../problem.ts';
import { askedGrid, nextPage, type ReadingAsk } from './reading-ask.ts';
import type { Question } from './reading-question.ts';
import { type AskedSeries, kindOf } from './reading-series.ts';
import { csvField } from '../../domain/csv-field.ts';
import { type Table } from './reading-table.ts';
import { type ShownSeries, type TableTurn, writeTables } from './table-answer.ts';
import type { WrittenAnswer } from '../written-answer.ts';

type GroupShape = Extract<Question['shape'], { readonly kind: 'groups' }>;

/** Groups of one answer, and buckets of all of them together. */
const groupsMax = 1_000;
const bucketsInAll = 100_000;
/** Series in one question, and the buckets that all of them may have there, each at times of its own. */
const seriesAtOnce = 1_000;
const bucketsAtOnce = 100_000;

/** Series that are made one. */
interface Group {
  readonly value: string | null;
  /** Null where it has several. */
  metric: string | null;
  unit: string | null;
  readonly aggregate: Aggregate;
  of: number;
}

/** Series made one by what they have in common, bucket by bucket. */
export function answerGroups(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  shape: GroupShape,
): Promise<WrittenAnswer> {
  const { question, range } = ask;
  const { registrations } = ports.decisions.snapshot();
  const grid = askedGrid(ask, shape.width);
  const damaged: DamagedStretch[] = [];
  // What stands in the column of the group must not be taken for the group itself.
  const isPlain = shape.groupBy === 'device' || shape.groupBy === 'metric';
  const keys = isPlain && shape.groupBy === 'metric' ? ['metric'] : [shape.groupBy, 'metric'];
  return writeTables(ports, downloads, ask, { list: 'buckets', names: [shape.reduce], keys, damaged, turns });

  async function* turns(): AsyncGenerator<TableTurn> {
    const { groups, series } = await grouped();
    if (series.length === 0) {
      yield { shown: [], next: null };
      return;
    }
    const from = ask.at ?? range.from;
    const expected = Math.ceil((range.to - from) / leastWidthMs(shape.width)) + 1;
    const limit = Math.max(1, Math.min(question.limit ?? expected, Math.floor(bucketsInAll / groups.length)));
    const sums: AcrossColumns[] = groups.map(() => ports.across.merge([]));
    const coarsest: Resolution[] = groups.map(() => 'raw');
    // Each call may be cut somewhere else; what is told ends with the first cut, and nobody looks beyond it any more.
    let cut = Number.POSITIVE_INFINITY;
    const atOnce = Math.max(1, Math.min(seriesAtOnce, Math.floor(bucketsAtOnce / limit)));
    for (const { aggregate, members } of callsOf(series, groups, atOnce)) {
      const local = [...new Set(members.map(({ group }) => group))];
      const place = new Map(local.map((group, index) => [group, index]));
      const page = await ports.reader.across(
        {
          ranges: members.map(({ series }) => ({ series: series.id, ...range })),
          kinds: members.map(({ series }) => kindOf(ports, series)),
          groupOf: members.map(({ group }) => place.get(group) ?? 0),
          groups: local.length,
          grid,
          aggregate,
          limit,
          holdsUntil: ask.now,
          page: { from, until: cut },
        },
        ask.asker,
      );
      for (const [index, group] of local.entries()) {
        const sum = ports.across.merge([sums[group], page.groups[index]]);
        // A group may have more buckets than any of its parts had.
        if (sum.count > limit) cut = Math.min(cut, sum.times[limit]);
        sums[group] = firstOf(sum, limit);
        coarsest[group] = coarser(coarsest[group], page.resolution);
      }
      if (page.next !== null) cut = Math.min(cut, page.next);
      damaged.push(...page.damaged);
    }
    const shown = groups.map((group, index) => shownGroup(group, coarsest[index], tableOf(sums[index], cut)));
    const next = cut === Number.POSITIVE_INFINITY ? null : nextPage(ask, series[0].series, cut);
    yield { shown: shown.filter(({ table }) => table.count > 0), next };
  }

  async function grouped(): Promise<{ groups: readonly Group[]; series: readonly Member[] }> {
    const byKey = new Map<string, number>();
    const groups: Group[] = [];
    const series: Member[] = [];
    for await (const one of ask.series()) {
      const value = valueOf(one);
      // No name holds a blank.
      const key = shape.groupBy === 'device' ? one.device : `${one.metric} ${value === null ? '' : `=${value}`}`;
      let group = byKey.get(key);
      if (group === undefined) {
        if (groups.length === groupsMax) {
          throw parameterRefused(
            'groupBy',
            `"${shape.groupBy}" makes more than ${groupsMax} groups; filter the devices or metrics`,
          );
        }
        const aggregate = shape.aggregate ?? defaultOf(one);
        group = groups.push({ value, metric: one.metric, unit: one.unit, aggregate, of: 0 }) - 1;
        byKey.set(key, group);
      }
      const known = groups[group];
      known.of++;
      if (known.metric !== one.metric) known.metric = null;
      if (known.unit !== one.unit) known.unit = null;
      series.push({ series: one, group });
    }
    return { groups, series };
  }

  function valueOf({ device, metric }: AskedSeries): string | null {
    if (shape.groupBy === 'device') return device;
    if (shape.groupBy === 'metric') return metric;
    const tags = registrations.get(device)?.tags;
    return tags && Object.hasOwn(tags, shape.groupBy) ? tags[shape.groupBy] : null;
  }

  /** Of a gauge the average, of a counter what it counted, of a state the last; as the kind's own first one. */
  function defaultOf(series: AskedSeries): Aggregate {
    return defaultAggregates(kindOf(ports, series))[0];
  }

  function tableOf(columns: AcrossColumns, cut: number): Table {
    const { times } = columns;
    let { count } = columns;
    while (count > 0 && times[count - 1] >= cut) count--;
    const values = ports.across.reduce(columns, shape.reduce);
    return { count, times: times.subarray(0, count), names: [shape.reduce], columns: [values] };
  }

  function shownGroup(
    { value, metric, unit, aggregate, of }: Group,
    resolution: Resolution,
    table: Table,
  ): ShownSeries {
    const facts = { metric, unit, aggregate: aggregateName(aggregate), reduce: shape.reduce, of, resolution };
    const head = `"group":${JSON.stringify({ [shape.groupBy]: value })},${JSON.stringify(facts).slice(1, -1)}`;
    const fields = keys.length === 1 ? [metric] : [value, metric];
    return {
      head,
      line: '',
      before: fields.map((field) => `${csvField(field ?? '')},`).join(''),
      after: `,${csvField(unit ?? '')}`,
      table,
    };
  }
}

interface Member {
  readonly series: AskedSeries;
  readonly group: number;
}

/** Series by the aggregate that is asked of them, so many at a time. */
function* callsOf(
  series: readonly Member[],
  groups: readonly Group[],
  atOnce: number,
): Generator<{ readonly aggregate: Aggregate; readonly members: readonly Member[] }> {
  for (const [, members] of Map.groupBy(series, ({ group }) => aggregateName(groups[group].aggregate))) {
    for (let at = 0; at < members.length; at += atOnce) {
      yield { aggregate: groups[members[0].group].aggregate, members: members.slice(at, at + atOnce) };
    }
  }
}

function firstOf({ times, series, sums, mins, maxs, ...columns }: AcrossColumns, limit: number): AcrossColumns {
  return {
    count: Math.min(columns.count, limit),
    times: times.slice(0, limit),
    series: series.slice(0, limit),
    sums: sums.slice(0, limit),
    mins: mins.slice(0, limit),
    maxs: maxs.slice(0, limit),
  };
}

const resolutions: readonly Resolution[] = ['raw', '1m', '1h'];

function coarser(left: Resolution, right: Resolution): Resolution {
  return resolutions.indexOf(left) < resolutions.indexOf(right) ? right : left;
}
