import type { ProblemFault } from '../../contract/rest.ts';
import type { Aggregate, BucketFill } from '../../domain/aggregate.ts';
import type { Reduction } from '../../history/queries.ts';
import { type AnswerFormat, answerFormats, chooseFormat } from '../answer-format.ts';
import type { BucketWidth } from './bucket-width.ts';
import { formatTime, type Moment } from '../moment.ts';
import { RequestRefused } from '../problem.ts';
import type { AfterReading, AskedOffset } from './reading-parameters.ts';

/** A stretch of time, `[from, to)`, epoch ms. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The parameters as they came, each good by itself. */
export interface ReadingQuery {
  readonly from: Moment;
  readonly to: Moment;
  readonly order?: 'asc' | 'desc' | undefined;
  readonly bucket?: BucketWidth | undefined;
  readonly agg?: readonly Aggregate[] | undefined;
  readonly tz?: string | undefined;
  readonly fill?: BucketFill | undefined;
  readonly points?: number | undefined;
  readonly method?: 'minmax' | 'lttb' | undefined;
  readonly pick?: 'first' | 'last' | undefined;
  readonly boundary: boolean;
  readonly offset?: AskedOffset | undefined;
  readonly after?: AfterReading | undefined;
  readonly limit?: number | 'all' | undefined;
  readonly page?: string | undefined;
  readonly format?: AnswerFormat | undefined;
  readonly groupBy?: string | undefined;
  readonly reduce?: Reduction | undefined;
}

/** In what form readings are asked for. */
export type Shape =
  | { readonly kind: 'raw'; readonly order: 'asc' | 'desc' }
  | {
      readonly kind: 'buckets';
      readonly width: BucketWidth;
      /** Null: those of each metric's kind. */
      readonly aggregates: readonly Aggregate[] | null;
      readonly fill: BucketFill;
    }
  | { readonly kind: 'points'; readonly points: number; readonly method: 'minmax' | 'lttb' }
  | { readonly kind: 'pick'; readonly pick: 'first' | 'last' }
  | {
      readonly kind: 'groups';
      readonly width: BucketWidth;
      readonly aggregate: Aggregate | null;
      readonly groupBy: string;
      readonly reduce: Reduction;
    };

/** Parameters that stand well beside each other. */
export interface Question {
  readonly shape: Shape;
  readonly format: AnswerFormat;
  /** Most entries of the page; null: no end, streamed. */
  readonly limit: number | null;
  /** The zone that was asked for. */
  readonly timeZone: string | null;
  readonly boundary: boolean;
  readonly offset: AskedOffset | null;
  readonly after: AfterReading | null;
}

const limitDefault = 100;

/**
 * Refuses what does not go together, every fault at once, each with its parameter and what to do about it. `accepts` as
 * in `RouteRequest`.
 */
export function questionOf(
  query: ReadingQuery,
  accepts: (mediaTypes: readonly string[]) => string | null,
  asked: { readonly isMany: boolean },
): Question {
  const faults = new Faults();
  checkShapes(query, faults);
  checkOrder(query, faults);
  faults.refuse();
  const shape = shapeOf(query);
  const format = chooseFormat(query.format, formatsOf[shape.kind], accepts);
  const isJson = format === 'json' || format === 'columns';
  const isEndless = !isJson && shape.kind !== 'groups' && query.page === undefined;
  checkExtras(query, { isMany: asked.isMany, isJson, isRaw: shape.kind === 'raw' }, faults);
  faults.refuse();
  const limit = query.limit ?? (isEndless ? 'all' : limitDefault);
  return {
    shape,
    format,
    limit: limit === 'all' ? null : limit,
    timeZone: query.tz ?? null,
    boundary: query.boundary,
    offset: query.offset ?? null,
    after: query.after ?? null,
  };
}

/** What each can be written as. */
const formatsOf: Readonly<Record<Shape['kind'], readonly AnswerFormat[]>> = {
  raw: answerFormats,
  buckets: ['json', 'columns', 'ndjson', 'csv'],
  points: ['json', 'columns', 'ndjson', 'csv'],
  pick: ['json', 'columns', 'ndjson', 'csv'],
  groups: ['json', 'columns', 'csv'],
};

/** Refuses a range whose end lies before its begin. */
export function checkRange(range: Range): Range {
  if (range.from <= range.to) return range;
  const detail = `"from" (${formatTime(range.from)}) lies after "to" (${formatTime(range.to)})`;
  const faults = new Faults();
  faults.add('from', detail);
  faults.refuse();
  return range;
}

function shapeOf(query: ReadingQuery): Shape {
  const { bucket, points, pick, groupBy } = query;
  if (bucket !== undefined && groupBy !== undefined) {
    const aggregate = query.agg?.[0] ?? null;
    return { kind: 'groups', width: bucket, aggregate, groupBy, reduce: query.reduce ?? 'avg' };
  }
  if (bucket !== undefined) {
    return { kind: 'buckets', width: bucket, aggregates: query.agg ?? null, fill: query.fill ?? 'none' };
  }
  if (points !== undefined) return { kind: 'points', points, method: query.method ?? 'minmax' };
  if (pick !== undefined) return { kind: 'pick', pick };
  return { kind: 'raw', order: query.order ?? 'asc' };
}

function checkShapes(query: ReadingQuery, faults: Faults): void {
  const { bucket, points, pick } = query;
  if (bucket !== undefined && points !== undefined) {
    faults.add('points', '"points" picks readings and "bucket" sums them up; leave one of them away');
  }
  if (pick !== undefined && (bucket ?? points) !== undefined) {
    faults.add('pick', '"pick" gives one reading of each series; leave "bucket" and "points" away');
  }
  if (bucket === undefined) {
    if (query.agg) {
      faults.add('agg', '"agg" needs "bucket", the width over which to aggregate, for example bucket=1m');
    }
    if (query.fill !== undefined) {
      faults.add('fill', '"fill" needs "bucket", the width of what it fills, for example bucket=1m');
    }
    if (query.tz !== undefined && query.offset === undefined) {
      faults.add(
        'tz',
        '"tz" says where buckets begin and needs "bucket", for example bucket=1d; times always come in UTC',
      );
    }
    if (query.groupBy !== undefined) {
      faults.add('groupBy', '"groupBy" needs "bucket", over which series become one, for example bucket=1h');
    }
  }
  if (query.method !== undefined && points === undefined) {
    faults.add('method', '"method" needs "points", how many to pick, for example points=800');
  }
  if (query.reduce !== undefined && query.groupBy === undefined) {
    faults.add('reduce', '"reduce" needs "groupBy", for example groupBy=site');
  }
  if (query.groupBy !== undefined && (query.agg?.length ?? 0) > 1) {
    faults.add('agg', 'with "groupBy" there is one aggregate of each series and bucket, which "reduce" makes one');
  }
  if (query.groupBy !== undefined && query.fill !== undefined) {
    faults.add('fill', 'a group without a value in a bucket leaves it out; leave "fill" away');
  }
}

function checkOrder(query: ReadingQuery, faults: Faults): void {
  if (query.order !== 'desc') return;
  if (query.bucket !== undefined) faults.add('order', 'buckets come oldest first; leave "order" away');
  else if (query.points !== undefined) faults.add('order', 'points come oldest first; leave "order" away');
  else if (query.pick !== undefined) faults.add('order', '"pick" says which reading it is; leave "order" away');
}

function checkExtras(
  query: ReadingQuery,
  { isMany, isJson, isRaw }: { readonly isMany: boolean; readonly isJson: boolean; readonly isRaw: boolean },
  faults: Faults,
): void {
  if (query.limit === 'all' && !isRaw && (isJson || query.groupBy !== undefined)) {
    faults.add('limit', '"all" is for readings as they came; a number of them is the most on a page');
  }
  if (!isMany && query.limit !== undefined && (query.points ?? query.pick) !== undefined) {
    const name = query.points === undefined ? 'pick' : 'points';
    faults.add('limit', `"${name}" says how many there are of one series; leave "limit" away`);
  }
  if (query.page !== undefined && query.limit === 'all') {
    faults.add('page', 'an answer without an end has no pages; give a number as "limit", or "after" to go on');
  }
  if (query.after && (!isRaw || query.page !== undefined)) {
    faults.add('after', '"after" goes on with readings as they came; leave "page", "bucket", "points" and "pick" away');
  }
  for (const name of ['boundary', 'offset'] as const) {
    if (!query[name]) continue;
    const isPaged = query.pick === undefined && query.groupBy === undefined && query.limit !== 'all';
    if (!isJson) faults.add(name, `"${name}" has a place in JSON only; take format=json or format=columns`);
    else if (!isPaged) faults.add(name, `"${name}" goes with readings, buckets or points on pages`);
  }
  if (query.offset && isRaw && isMany) {
    faults.add('offset', 'many series are compared by "bucket" or "points"; add one of them');
  }
}

class Faults {
  readonly #faults: ProblemFault[] = [];

  add(parameter: string, detail: string): void {
    this.#faults.push({ parameter, code: 'parameter_invalid', detail });
  }

  refuse(): void {
    const [first] = this.#faults;
    if (first === undefined) return;
    const detail = this.#faults.length === 1 ? first.detail : 'several parameters do not go together';
    throw new RequestRefused('parameter_invalid', detail, { errors: this.#faults });
  }
}
