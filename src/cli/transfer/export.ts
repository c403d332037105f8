import { createReadStream, createWriteStream } from 'node:fs';
import { stat, truncate, unlink } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { type Clock, systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { fileFault, isFileFault } from '../../base/file-fault.ts';
import { type Random, systemRandom } from '../../base/random.ts';
import { parseMoment } from '../../api/moment.ts';
import { countText, Progress, spanText } from './progress.ts';
import { delayBefore, silenceMax } from '../gateway-patience.ts';
import { type ClientFlags, GatewayAnswerError, GatewayClient } from '../gateway-client.ts';
import { type FileFormat, fileFormats } from './row-scanner.ts';
import { WholeRows } from './whole-rows.ts';

/* `pulsegate export`: readings into a file, or to standard output, over REST. */

export interface ExportFlags extends ClientFlags {
  readonly device?: string;
  readonly metric?: string;
  readonly tag?: string;
  readonly from?: string;
  readonly to?: string;
  readonly format?: string;
  readonly output?: string;
  readonly resume?: boolean;
}

/** The exit code when all came but what is damaged in the store. */
const damagedExitCode = 3;

/** What is wrong with the file, for people. */
export class ExportFileError extends Error {
  override readonly name = 'ExportFileError';
}

/**
 * Streams readings into `--output` or to standard output. When the connection drops it goes on behind the last whole
 * row, by itself; `--resume` does the same with a file that an earlier run left. What stands in the file is whole rows.
 * The exit code is 3 when all came but what is damaged in the store; of what came before a cut nobody says whether it was.
 */
export async function exportReadings(flags: ExportFlags): Promise<void> {
  const format = formatOf(flags);
  const query = questionOf(flags, format, systemClock.now());
  const gateway = new GatewayClient(flags, process.env);
  const rows = new WholeRows(format);
  if (flags.resume) await takeUp(flags, format, rows);
  const before = rows.count;
  const target = await openTarget(flags, rows);
  const progress = new Progress({ out: process.stderr, clock: systemClock, noun: 'readings' });
  const stopping = new AbortController();
  const onInterrupt = (): void => stopping.abort(new ExportFileError('Stopped.'));
  // Of what went to standard output nobody could go on.
  if (flags.output !== undefined) process.once('SIGINT', onInterrupt);
  const { signal } = stopping;
  const download = { gateway, query, rows, target, progress, signal, clock: systemClock, random: systemRandom };
  let damage: Damage | null = null;
  try {
    damage = await receive(download);
    await write(target, rows.finish());
    await end(target);
  } catch (error) {
    progress.end();
    // Whoever read from here has had enough.
    if (isBrokenPipe(error)) return;
    if (flags.output !== undefined && rows.passed === 0) await unlink(flags.output);
    if (flags.output !== undefined && rows.count > 0) {
      const kept = `${countText(rows.count)} readings are in ${flags.output}; the same command with --resume goes on.`;
      throw new ExportFileError(`${reasonOf(error, flags.output)}\n${kept}`, { cause: error });
    }
    throw error;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
  progress.end();
  const more = before > 0 ? `${countText(rows.count - before)} more readings` : `${countText(rows.count)} readings`;
  const where = flags.output === undefined ? '' : ` in ${flags.output}`;
  console.error(`${more}${where}, in ${spanText(progress.elapsed)}.`);
  if (rows.count === 0 && !damage) {
    console.error('Either no series is called that, or none has readings in that time.');
  }
  if (damage) reportDamage(damage);
}

/** Everything that can be told has come, and it is not all. */
function reportDamage({ readings, first }: Damage): void {
  const [device, metric, from, to] = first.split('/');
  const where = `the first of them of ${device}/${metric}, from ${from} to ${to}`;
  console.error(`${countText(readings)} readings are missing, since what held them on disk is damaged, ${where}.`);
  console.error('"pulsegate doctor" says what of the store is damaged.');
  process.exitCode = damagedExitCode;
}

function reasonOf(error: unknown, output: string): string {
  return isFileFault(error) ? `${output} cannot be written: ${fileFault(error)}.` : messageOf(error);
}

/** By the name of the file where no format was named; CSV where neither says. */
function formatOf({ format, output }: ExportFlags): FileFormat {
  const asked = format ?? endings.find(([ending]) => output?.endsWith(ending))?.[1] ?? 'csv';
  const known = fileFormats.find((name) => name === asked);
  if (known !== undefined) return known;
  throw new ExportFileError(`"${asked}" is no format; there are ${fileFormats.join(', ')}.`);
}

const endings: readonly (readonly [string, FileFormat])[] = [
  ['.csv', 'csv'],
  ['.ndjson', 'ndjson'],
  ['.jsonl', 'ndjson'],
  ['.lp', 'influx'],
  ['.influx', 'influx'],
  ['.senml', 'senml'],
];

/** Relative times are resolved once, so that an export that goes on asks the same question. */
function questionOf(flags: ExportFlags, format: FileFormat, now: number): URLSearchParams {
  const query = new URLSearchParams({ format });
  for (const name of ['device', 'metric', 'tag'] as const) {
    const value = flags[name];
    if (value !== undefined) query.set(name, value);
  }
  query.set('from', String(flags.from === undefined ? 0 : parseMoment(flags.from)(now)));
  // Readings may be somewhat ahead of this clock; without an end there is none.
  query.set('to', String(flags.to === undefined ? now + 7 * 86_400_000 : parseMoment(flags.to)(now)));
  return query;
}

/** Reads what an earlier run left, and cuts off what is not a whole row. A file that no export began is left as it is. */
async function takeUp({ output }: ExportFlags, format: FileFormat, rows: WholeRows): Promise<void> {
  if (output === undefined) throw new ExportFileError('--resume needs the file to go on with; name it with --output.');
  const size = await sizeOf(output);
  if (size === null) return;
  let first: Buffer | null = null;
  for await (const chunk of createReadStream(output, { highWaterMark: 1_048_576 }) as AsyncIterable<Buffer>) {
    first ??= Buffer.from(chunk.subarray(0, 64));
    rows.push(chunk);
  }
  if (first && !isBegun(first.toString(), format, rows)) {
    throw new ExportFileError(`${output} is no export as ${format}; it was left as it is.`);
  }
  if (rows.passed < size) await truncate(output, rows.passed);
  rows.restart();
}

/** How what an export writes begins; a line of line protocol is known when it is whole. */
const begins: Readonly<Record<FileFormat, string>> = {
  csv: 'device,metric,time,value,unit',
  ndjson: '{"device":"',
  influx: '',
  senml: '[{"n":"',
};

function isBegun(first: string, format: FileFormat, rows: WholeRows): boolean {
  const begin = begins[format];
  if (!first.startsWith(begin.slice(0, first.length)) && first !== '[]') return false;
  try {
    return rows.position() !== null || begin !== '';
  } catch {
    return false;
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}

async function openTarget({ output, resume }: ExportFlags, rows: WholeRows): Promise<Writable> {
  if (output === undefined) return process.stdout.on('error', ignore);
  const file = createWriteStream(output, { flags: resume ? 'a' : 'wx', flush: true });
  await new Promise<void>((resolve, reject) => {
    file.once('open', () => resolve());
    file.once('error', (error: NodeJS.ErrnoException) => reject(cannotOpen(output, error)));
  });
  file.on('error', ignore);
  if (resume && rows.count > 0)
    console.error(`${output} holds ${countText(rows.count)} readings; going on behind them.`);
  return file;
}

/** Every write hears of its own failure. */
function ignore(): void {}

function cannotOpen(output: string, error: NodeJS.ErrnoException): ExportFileError {
  if (error.code !== 'EEXIST') return new ExportFileError(`${output} cannot be written: ${fileFault(error)}.`);
  return new ExportFileError(`${output} is there already; --resume goes on with it, another name leaves it alone.`);
}

interface Download {
  readonly gateway: GatewayClient;
  readonly query: URLSearchParams;
  readonly rows: WholeRows;
  readonly target: Writable;
  readonly progress: Progress;
  /** Ends asking and waiting. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
}

/** Readings that are not among those that came. */
interface Damage {
  readonly readings: number;
  /** `device/metric/from/to` of the first of them. */
  readonly first: string;
}

/** Asks until an answer came to its end. Attempts count anew from every reading that came. */
async function receive(download: Download): Promise<Damage | null> {
  const { rows, progress, signal, clock, random } = download;
  let attempt = 0;
  for (;;) {
    const before = rows.count;
    try {
      return await receiveOnce(download);
    } catch (error) {
      // Whatever failed then failed because of it.
      signal.throwIfAborted();
      if (rows.count > before) attempt = 0;
      const delay = delayBefore(++attempt, error, { random, hasAnswered: rows.count > 0 });
      if (delay === null) throw error;
      progress.note(`waiting: ${messageOf(error)}`);
      await clock.sleep(delay, signal);
      progress.note('');
    }
  }
}

async function receiveOnce({ gateway, query, rows, target, progress, signal }: Download): Promise<Damage | null> {
  const position = rows.position();
  if (position !== null) query.set('after', position);
  const answer = await gateway.open('GET', `/readings?${query.toString()}`, { accept: '*/*', silenceMax, signal });
  rows.restart();
  const total = totalOf(answer, rows.count);
  const chunks = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  for (;;) {
    // Only what the network does is worth another try; what the disk does is not.
    const { done, value } = await chunks.next().catch(cutOff);
    if (done) return damageOf(answer);
    await write(target, rows.push(value));
    progress.update({ count: rows.count, share: total === null ? null : Math.min(rows.count / total, 0.999) });
  }
}

/** What the gateway says behind the answer. */
function damageOf({ trailers }: IncomingMessage): Damage | null {
  const readings = Number(trailers['x-damaged-readings'] ?? 0);
  return readings > 0 ? { readings, first: trailers['x-damaged-first'] ?? '' } : null;
}

function cutOff(error: unknown): never {
  throw new GatewayAnswerError(`The answer was cut off: ${messageOf(error)}.`, null, { isTransient: true });
}

/** About how many readings the file will have; null where the answer does not say. */
function totalOf(answer: IncomingMessage, before: number): number | null {
  const estimate = Number(answer.headers['x-total-estimate'] ?? 0);
  return estimate > 0 ? before + estimate : null;
}

function write(target: Writable, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    target.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function end(target: Writable): Promise<void> {
  if (target === process.stdout) return Promise.resolve();
  return new Promise((resolve, reject) => {
    target.once('error', reject);
    target.end(resolve);
  });
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
