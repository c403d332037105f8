import { InvariantError } from '../../base/errors.ts';
import type { ReadingsPage, RowFormat, SeriesRange } from '../../history/queries.ts';
import { type AnswerFormat, contentTypes } from '../answer-format.ts';
import { damageFields, DamageNote } from './damage-note.ts';
import type { Downloads } from './downloads.ts';
import { Pieces } from './pieces.ts';
import type { ApiPorts } from '../ports.ts';
import { type RawPage, rawPages } from './raw-pages.ts';
import { boundaryTexts, comparisonOf, nextPage, type ReadingAsk } from './reading-ask.ts';
import { damagedText, headOf, ReadingEnvelope } from './reading-envelope.ts';
import type { Range } from './reading-question.ts';
import type { AskedSeries } from './reading-series.ts';
import { jsonText, readingsTable, type Table } from './reading-table.ts';
import { WrittenAnswer } from '../written-answer.ts';

/** Series looked into for one page, so that a wide filter over a quiet range still answers soon. */
const seriesPerPage = 1_000;

export interface RawShape {
  readonly order: 'asc' | 'desc';
}

/** Readings as they came: a page, or all there are as a download. */
export async function answerRaw(
  ports: ApiPorts,
  downloads: Downloads,
  ask: ReadingAsk,
  { order }: RawShape,
): Promise<WrittenAnswer> {
  const { question, range, single } = ask;
  const { format, limit } = question;
  const pages = (): AsyncGenerator<RawPage> =>
    rawPages(ports.reader, ask.series(), {
      range,
      order,
      format: rowFormats[format],
      limit,
      seriesMax: limit === null ? null : seriesPerPage,
      at: ask.at,
      asker: ask.asker,
    });
  if (limit === null) {
    downloads.checkPlace(ask.asker);
    const source = pages();
    const begun = [await source.next()];
    const estimate = countIn(begun[0]) ?? (await downloads.estimate(leftOf(ask, order), ask.asker));
    const headers = { 'x-total-estimate': String(estimate) };
    if (format === 'json' || format === 'columns') {
      return new WrittenAnswer(
        contentTypes[format],
        downloads.begin(ask.asker, () => allOfJson(ports, ask, begunWith(begun, source))),
        headers,
      );
    }
    const damage = new DamageNote();
    const chunks = downloads.begin(ask.asker, () => allOfLines(ports, format, begunWith(begun, source), damage));
    const trailers = { names: damageFields, fields: () => damage.fields(ports.names) };
    return new WrittenAnswer(contentTypes[format], chunks, headers, trailers);
  }
  if (single !== null && question.offset !== null) return comparedRaw(ports, ask, single, { order, limit });
  return format === 'json' || format === 'columns' ? pageOfJson(ports, ask, pages()) : pageOfLines(ports, ask, pages());
}

const rowFormats: Readonly<Record<AnswerFormat, RowFormat>> = {
  json: 'rows',
  columns: 'columns',
  ndjson: 'ndjson',
  csv: 'csv',
  senml: 'senml',
  influx: 'influx',
};

/** What stands before the first row, between two pages and behind the last row. */
const frames: Readonly<Record<AnswerFormat, readonly [string, string, string]>> = {
  json: ['', '', ''],
  columns: ['', '', ''],
  ndjson: ['', '', ''],
  csv: ['device,metric,time,value,unit\r\n', '', ''],
  senml: ['[', ',', ']'],
  influx: ['', '', ''],
};

async function pageOfJson(ports: ApiPorts, ask: ReadingAsk, pages: AsyncGenerator<RawPage>): Promise<WrittenAnswer> {
  const { question, range, single } = ask;
  const form = question.format === 'json' ? 'rows' : 'columns';
  const damage = new DamageNote();
  const shown = new Set<AskedSeries>();
  let envelope: ReadingEnvelope | null = null;
  let next: string | null = null;
  for await (const page of pages) {
    const parts = new Map(page.parts.map((part) => [part.series, part]));
    // With boundaries, also the series of which nothing but a value in force can be told; not one that was cut before.
    const told = question.boundary ? page.told.filter((_, index) => index > 0 || ask.at === null || envelope) : [];
    const series = [...new Set([...told, ...parts.keys()])];
    const boundaries = await boundaryTexts(
      ports,
      ask,
      series.map(({ id }) => ({ series: id, ...range })),
    );
    envelope ??= new ReadingEnvelope(form, 'readings', single && headOf(single) + (boundaries[0]?.text ?? ''));
    for (const [index, one] of series.entries()) {
      const head = headOf(one) + boundaries[index].text;
      const part = parts.get(one);
      if (part) envelope.addPart(head, part);
      else if (boundaries[index].isBefore && single === null && !shown.has(one)) envelope.addEmpty(head);
      shown.add(one);
    }
    next = page.next && nextPage(ask, page.next.series, page.next.time);
    damage.add(page.damaged);
  }
  envelope ??= new ReadingEnvelope(form, 'readings', single && headOf(single));
  envelope.end(damagedText(ports.names, damage.stretches), next);
  return new WrittenAnswer(contentTypes[question.format], envelope.whole());
}

async function pageOfLines(ports: ApiPorts, ask: ReadingAsk, pages: AsyncGenerator<RawPage>): Promise<WrittenAnswer> {
  const { format } = ask.question;
  const [head, between, tail] = frames[format];
  const pieces = new Pieces();
  const damage = new DamageNote();
  let next: string | null = null;
  let count = 0;
  pieces.add(head);
  for await (const page of pages) {
    count += addLines(pieces, page, count === 0 ? '' : between);
    next = page.next && nextPage(ask, page.next.series, page.next.time);
    damage.add(page.damaged);
  }
  pieces.add(tail);
  return new WrittenAnswer(contentTypes[format], pieces.whole(), {
    ...(next !== null && { 'x-next-page': next }),
    ...damage.fields(ports.names),
  });
}

/** The readings of a first page that is all there is; null when there are more. */
function countIn(first: IteratorResult<RawPage, void>): number | null {
  if (first.done) return 0;
  return first.value.next === null ? first.value.parts.reduce((sum, { readings }) => sum + readings, 0) : null;
}

/** The pages of `rest`, of which the first was taken; it is let go of when it was given. */
async function* begunWith(
  begun: IteratorResult<RawPage, void>[],
  rest: AsyncGenerator<RawPage>,
): AsyncGenerator<RawPage> {
  for (let step = begun.pop(); step && !step.done; step = await rest.next()) yield step.value;
}

/** Everything, page by page, each asked for when the client has taken the one before. */
async function* allOfJson(
  ports: ApiPorts,
  { question, single }: ReadingAsk,
  pages: AsyncGenerator<RawPage>,
): AsyncGenerator<Uint8Array> {
  const form = question.format === 'json' ? 'rows' : 'columns';
  const envelope = new ReadingEnvelope(form, 'readings', single && headOf(single));
  const damage = new DamageNote();
  for await (const page of pages) {
    for (const part of page.parts) envelope.addPart(headOf(part.series), part);
    damage.add(page.damaged);
    yield* envelope.take();
  }
  envelope.end(damagedText(ports.names, damage.stretches), null);
  yield* envelope.take();
}

async function* allOfLines(
  ports: ApiPorts,
  format: AnswerFormat,
  pages: AsyncGenerator<RawPage>,
  damage: DamageNote,
): AsyncGenerator<Uint8Array> {
  const [head, between, tail] = frames[format];
  const pieces = new Pieces();
  let count = 0;
  pieces.add(head);
  for await (const page of pages) {
    count += addLines(pieces, page, count === 0 ? '' : between);
    damage.add(page.damaged);
    yield* pieces.take();
  }
  const { readings } = damage;
  if (readings > 0) ports.log.warn({ readings }, 'a download lacks readings: what held them is damaged');
  pieces.add(tail);
  yield* pieces.take();
}

/** The parts of one page stand one behind the other as the reader wrote them. Returns how many there were. */
function addLines(pieces: Pieces, { parts }: RawPage, before: string): number {
  if (parts.length > 0) pieces.add(before);
  for (const { bytes } of parts) pieces.add(bytes);
  return parts.length;
}

/** One series beside itself in an earlier period. A page ends where either of the two ends, so that they stay side by side. */
async function comparedRaw(
  ports: ApiPorts,
  ask: ReadingAsk,
  single: AskedSeries,
  { order, limit }: RawShape & { readonly limit: number },
): Promise<WrittenAnswer> {
  const { question } = ask;
  const comparison = comparisonOf(ask);
  if (comparison === null) throw new InvariantError('only a question with an offset compares');
  const range = restOf(ask, order);
  const { text, period } = comparison;
  const { shift } = period;
  // The earlier period may be longer than this one; by its begin or end alone it is not cut.
  const stretch = {
    from: ask.at === null || order === 'desc' ? period.range.from : ask.at - shift,
    to: ask.at === null || order === 'asc' ? period.range.to : Math.min(ask.at - shift, period.range.to),
  };
  const pageOf = (part: Range): Promise<ReadingsPage> =>
    ports.reader.page({ ranges: [{ series: single.id, ...part }], order, limit }, ask.asker);
  const [own, other] = await Promise.all([pageOf(range), pageOf(stretch)]);
  const cuts = [own.next?.time, other.next && other.next.time + shift].filter((time) => time != null);
  const cut = cuts.length === 0 ? null : order === 'asc' ? Math.min(...cuts) : Math.max(...cuts);
  const isShown = (time: number): boolean => cut === null || (order === 'asc' ? time < cut : time >= cut);
  const readings = within(tableOf(own), isShown);
  const compared = within(tableOf(other, shift), isShown);
  const [boundary] = await boundaryTexts(ports, ask, [{ series: single.id, ...ask.range }]);
  const form = question.format === 'json' ? 'rows' : 'columns';
  const body = await jsonText(compared, form, 'readings');
  const head = `${headOf(single)}${boundary.text},"compare":{"offset":${JSON.stringify(text)},${body}}`;
  const envelope = new ReadingEnvelope(form, 'readings', head);
  await envelope.addTable(head, readings);
  const damage = new DamageNote();
  damage.add([...own.damaged, ...other.damaged]);
  envelope.end(damagedText(ports.names, damage.stretches), cut === null ? null : nextPage(ask, single, cut));
  return new WrittenAnswer(contentTypes[question.format], envelope.whole());
}

function tableOf({ parts }: ReadingsPage, shift = 0): Table {
  const [part] = parts;
  return part ? readingsTable(part.columns, shift) : { count: 0, times: [], names: ['value'], columns: [[]] };
}

function within({ times, columns, names, count }: Table, isShown: (time: number) => boolean): Table {
  const rows: number[] = [];
  for (let row = 0; row < count; row++) if (isShown(times[row])) rows.push(row);
  return {
    count: rows.length,
    times: rows.map((row) => times[row]),
    names,
    columns: columns.map((values) => rows.map((row) => values[row])),
  };
}

/** What is to be told of each series. */
async function* leftOf(ask: ReadingAsk, order: 'asc' | 'desc'): AsyncGenerator<SeriesRange> {
  let range = restOf(ask, order);
  for await (const { id } of ask.series()) {
    yield { series: id, ...range };
    range = ask.range;
  }
}

/** What of the range the page begins with. */
function restOf({ range, at }: ReadingAsk, order: 'asc' | 'desc'): Range {
  if (at === null) return range;
  return order === 'asc' ? { from: at, to: range.to } : { from: range.from, to: Math.min(at, range.to) };
}
