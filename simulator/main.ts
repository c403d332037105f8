import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { basename } from 'node:path';
import { CommanderError } from 'commander';
import { commandLine, type ConnectionOptions, type FleetOptions, type ReplayOptions } from './command-line.ts';
import { CredentialError } from './credential-error.ts';
import { tokensOf } from './credentials.ts';
import { createFleet } from './fleet.ts';
import { FleetRun } from './fleet-run.ts';
import { GatewayNotice } from './gateway-notice.ts';
import { sendPast } from './past.ts';
import { Publisher, type Sender } from './publisher.ts';
import { readTime } from './recorded-time.ts';
import { parseRecording, RecordingError, type Recording } from './recording.ts';
import { replay } from './replay.ts';
import { StatusLine } from './status-line.ts';
import { Tally } from './tally.ts';

/** How long a run waits for outstanding acknowledgements when it ends. */
const graceMs = 3_000;
/** How long a fleet waits for its connections before it speaks regardless. */
const openingMs = 5_000;

const exitUnacknowledged = 1;
const exitBadArguments = 2;
const exitInterrupted = 130;

async function runFleet(options: FleetOptions): Promise<number> {
  const devices = createFleet({ devices: options.devices, seed: options.seed, drama: options.drama === true });
  const intervalMs = options.interval ?? 1_000 / options.rate;
  return await run(options, devices, '', async ({ publisher, tally, ended }) => {
    const fleet = new FleetRun({
      devices,
      publisher,
      intervalMs,
      speed: options.speed,
      simulatedStartMs: options.start ?? localNowMs(),
      seed: options.seed,
      pastMs: options.past ?? 0,
      latePercent: options.late,
      duplicatePercent: options.duplicate,
      onSkipped: (turns) => {
        tally.skipped += turns;
      },
    });
    const timer = options.duration === undefined ? undefined : setTimeout(() => ended.abort(), options.duration);
    // A fleet is switched on after its connections; without a gateway it goes on and counts what it could not send.
    await Promise.race([publisher.opened(openingMs), aborted(ended.signal)]);
    const past = ended.signal.aborted ? [] : fleet.start();
    // Behind the first message of every device: what is older than the newest reading is late, and moves no alert.
    const behind = Promise.race([wait(2 * intervalMs), aborted(ended.signal)]);
    const told = behind.then(() => sendPast(past, publisher, ended.signal));
    await aborted(ended.signal);
    clearTimeout(timer);
    fleet.stop();
    publisher.interrupt();
    await told;
    return {};
  });
}

async function runReplay(file: string, options: ReplayOptions): Promise<number> {
  const recording = loadRecording(file, options);
  for (const note of recording.notes) process.stderr.write(`${note}\n`);
  if (Number.isFinite(options.speed)) process.stderr.write(`${playingTime(recording, options.speed)}\n`);
  const senders = recording.devices.map((id): Sender => ({ id }));
  const goal = `of ${recording.rows.length.toLocaleString('en-US')} rows`;
  return await run(options, senders, options.batch === 1 ? goal : '', async ({ publisher, ended }) => {
    await replay({ recording, publisher, speed: options.speed, batch: options.batch }, ended.signal);
    const { rows, readings, distinct } = recording;
    return { recording: { rows: rows.length, readings, distinct, complete: !ended.signal.aborted } };
  });
}

interface Run {
  readonly publisher: Publisher;
  readonly tally: Tally;
  /** Aborted when the run is to end: by a signal, by its duration, or because nobody reads its output any more. */
  readonly ended: AbortController;
}

/** What both kinds of run share: connections, status line, signals, the wait for acknowledgements, the tally. */
async function run(
  options: ConnectionOptions,
  senders: readonly Sender[],
  goal: string,
  work: (run: Run) => Promise<object>,
): Promise<number> {
  const startedMs = performance.now();
  const tally = new Tally(options.qos);
  const status = new StatusLine(process.stderr, tally, { json: options.json === true, goal });
  const say = (sentence: string): void => status.note(sentence);
  const notice = new GatewayNotice(options.url, say);
  const ended = new AbortController();
  const end = (): void => {
    if (ended.signal.aborted) process.exit(exitInterrupted);
    ended.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  // Whoever started this and read its output is gone: a fleet that nobody sees must not go on for ever.
  process.stderr.on('error', () => ended.abort());
  process.stdout.on('error', () => ended.abort());

  const devices = senders.map(({ id }) => id);
  const tokens = await tokensOf({ options, devices, notice, say, signal: ended.signal });
  const publisher = new Publisher({
    url: options.url,
    senders,
    connections: options.connections,
    username: options.username,
    password: options.password,
    tokens,
    inFlightMax: options.inFlight,
    tally,
    notice,
  });
  if (!ended.signal.aborted) publisher.start();
  status.start();
  const outcome = await work({ publisher, tally, ended });
  await publisher.stop(graceMs);
  status.stop();
  const line = JSON.stringify({ ...tally.report(performance.now() - startedMs), ...outcome });
  await new Promise<void>((resolve) => process.stdout.write(`${line}\n`, () => resolve()));
  return tally.isClean ? 0 : exitUnacknowledged;
}

function loadRecording(file: string, options: ReplayOptions): Recording {
  const time = { zoneOffsetMinutes: options.tzOffset, unit: options.timeUnit };
  const start = options.start === undefined ? undefined : readTime(options.start, { ...time, unit: undefined });
  if (options.start !== undefined && start === undefined) {
    throw new RecordingError(`--start ${options.start} is no time (RFC 3339, or epoch seconds or milliseconds).`);
  }
  return parseRecording(readRecordingFile(file), {
    device: options.device ?? deviceNamedAfter(file),
    metric: options.metric,
    time,
    rateHz: options.rate,
    startMs: start?.ms,
    nowMs: Date.now(),
    shiftToNow: options.shiftToNow === true,
    acceptText: options.text === true,
    limit: options.limit,
  });
}

function readRecordingFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RecordingError(`The file cannot be read: ${reason}`, { cause: error });
  }
}

function deviceNamedAfter(file: string): string {
  const stem = basename(file).replace(/\.[^.]*$/, '');
  const id = stem.replace(/[^A-Za-z0-9._:-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return id === '' ? 'recording' : id.slice(0, 64);
}

function playingTime(recording: Recording, speed: number): string {
  const times = recording.rows.map((row) => row.time);
  const spanMs = times.reduce((a, b) => Math.max(a, b), -Infinity) - times.reduce((a, b) => Math.min(a, b), Infinity);
  const seconds = Math.round(spanMs / speed / 1_000);
  const text = seconds < 7_200 ? `${seconds} s` : `${Math.round(seconds / 360) / 10} h`;
  return `At speed ${speed} this plays for ${text}; --speed max sends as fast as the gateway acknowledges.`;
}

/** What the clocks of this place show, as ms since 1970. */
function localNowMs(): number {
  const now = new Date();
  return now.getTime() - now.getTimezoneOffset() * 60_000;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function main(): Promise<number> {
  let exitCode = 0;
  try {
    await commandLine({
      fleet: async (options) => {
        exitCode = await runFleet(options);
      },
      replay: async (file, options) => {
        exitCode = await runReplay(file, options);
      },
    }).parseAsync();
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitBadArguments;
    if (!(error instanceof RecordingError || error instanceof CredentialError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return exitBadArguments;
  }
}

process.exit(await main());
