import type { DamagedStretch } from '../../history/queries.ts';
import { contentTypes } from '../answer-format.ts';
import { damageFields, DamageNote } from './damage-note.ts';
import type { Downloads } from './downloads.ts';
import { Pieces } from './pieces.ts';
import type { ApiPorts } from '../ports.ts';
import { nextPage, type ReadingAsk } from './reading-ask.ts';
import { damagedText, headOf, ReadingEnvelope } from './reading-envelope.ts';
import type { AskedSeries } from './reading-series.ts';
import { csvField } from '../../domain/csv-field.ts';
import { csvText, inTurns, linesText, type Table } from './reading-table.ts';
import { seriesTurns } from './series-turns.ts';
import { WrittenAnswer } from '../written-answer.ts';

/** A table with what names it in each form. */
export interface ShownSeries {
  /** Members of its JSON object. */
  readonly head: string;
  /** Members in front of each line of NDJSON, with a comma behind. */
  readonly line: string;
  /** Fields of CSV, with their commas, before the time and behind the values. */
  readonly before: string;
  readonly after: string;
  readonly table: Table;
}

export interface TableTurn {
  readonly shown: readonly ShownSeries[];
  /** Token of the page behind it; null: nothing is left. */
  readonly next: string | null;
}

export interface TableAnswer {
  readonly list: 'readings' | 'buckets';
  /** Columns of CSV between time and unit. */
  readonly names: readonly string[];
  /** Columns of CSV before the time; device and metric when left out. */
  readonly keys?: readonly string[];
  /** Filled while the turns are taken. */
  readonly damaged: readonly DamagedStretch[];
  turns(): AsyncGenerator<TableTurn>;
}

/** Series looked into for one page, so that a wide filter over a quiet range still answers soon. */
const seriesPerPage = 1_000;
/** Values of a page of many series, about 5 MB of JSON. */
const valuesPerPage = 200_000;
/** Values of many series that are asked for at once: what the main thread writes without a pause. */
const valuesAtOnce = 50_000;

/** Writes tables that the main thread makes: a page of them or, where there is no limit, all as the client takes them. */
export async function writeTables(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  answer: TableAnswer,
): Promise<WrittenAnswer> {
  const { format, limit } = ask.question;
  if (format === 'json' || format === 'columns') return writeJson(ports, ask, answer);
  const contentType = contentTypes[format];
  const damage = (): Record<string, string> => damageOf(answer).fields(ports.names);
  if (limit === null) {
    const chunks = downloads.begin(ask.asker, () => allLines(format, answer));
    return new WrittenAnswer(contentType, chunks, {}, { names: damageFields, fields: damage });
  }
  const pieces = new Pieces();
  pieces.add(firstLine(format, answer));
  let next: string | null = null;
  for await (const turn of answer.turns()) {
    for (const one of turn.shown) pieces.add(await linesOf(format, one, answer));
    next = turn.next;
  }
  return new WrittenAnswer(contentType, pieces.whole(), {
    ...(next !== null && { 'x-next-page': next }),
    ...damage(),
  });
}

/** Turns over many series, of which each is shown whole and has at most `valuesEach`. */
export async function* manyTurns(
  ask: ReadingAsk,
  valuesEach: number,
  show: (series: readonly AskedSeries[]) => Promise<readonly (ShownSeries | null)[]>,
): AsyncGenerator<TableTurn> {
  const limits = {
    limit: ask.question.limit,
    atOnce: Math.max(1, Math.min(1_000, Math.floor(valuesAtOnce / valuesEach))),
    seriesMax: seriesPerPage,
    valuesMax: valuesPerPage,
    signal: ask.asker.signal,
  };
  for await (const { shown, next } of seriesTurns(ask.series(), limits, show)) {
    yield { shown, next: next && nextPage(ask, next, null) };
  }
}

/** What names a series; `facts` are further members of its JSON object, each with a comma before it. */
export function shownAs(series: AskedSeries, facts: string): Omit<ShownSeries, 'table'> {
  const { device, metric, unit } = series;
  return {
    head: headOf(series) + facts,
    line: `"device":${JSON.stringify(device)},"metric":${JSON.stringify(metric)},`,
    before: `${csvField(device)},${csvField(metric)},`,
    after: `,${csvField(unit ?? '')}`,
  };
}

/** What the turns that were taken lack. */
function damageOf({ damaged }: TableAnswer): DamageNote {
  const damage = new DamageNote();
  damage.add(damaged);
  return damage;
}

async function writeJson(ports: ApiPorts, ask: ReadingAsk, answer: TableAnswer): Promise<WrittenAnswer> {
  const { question, single } = ask;
  const form = question.format === 'json' ? 'rows' : 'columns';
  const envelope = new ReadingEnvelope(form, answer.list, single && headOf(single));
  let next: string | null = null;
  for await (const turn of answer.turns()) {
    for (const { head, table } of turn.shown) await envelope.addTable(head, table);
    next = turn.next;
  }
  envelope.end(damagedText(ports.names, damageOf(answer).stretches), next);
  return new WrittenAnswer(contentTypes[question.format], envelope.whole());
}

type LineFormat = Exclude<ReadingAsk['question']['format'], 'json' | 'columns'>;

async function* allLines(format: LineFormat, answer: TableAnswer): AsyncGenerator<Uint8Array> {
  const pieces = new Pieces();
  pieces.add(firstLine(format, answer));
  yield* pieces.take();
  for await (const { shown } of answer.turns()) {
    for (const one of shown) pieces.add(await linesOf(format, one, answer));
    yield* pieces.take();
  }
}

function firstLine(format: LineFormat, { keys = ['device', 'metric'], names }: TableAnswer): string {
  return format === 'csv' ? `${[...keys, 'time', ...names, 'unit'].map(csvField).join(',')}\r\n` : '';
}

function linesOf(format: LineFormat, shown: ShownSeries, { names }: TableAnswer): Promise<string> {
  return inTurns(shown.table, (rows) => (format === 'csv' ? csvText(rows, names, shown) : linesText(rows, shown.line)));
}
