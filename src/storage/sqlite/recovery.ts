import type { AlertState } from '../../domain/alert.ts';
import type { SettledMessage } from '../../domain/commit.ts';
import {
  type DeviceRecord,
  type DeviceStatus,
  noAttributes,
  type Provisioned,
  type StatusCause,
} from '../../domain/device.ts';
import type { ReadingColumns, Value } from '../../domain/reading.ts';
import { valueKind } from '../../domain/reading.ts';
import type { Recovered } from '../../history/engine.ts';
import { decodeCommitRecord, decodeSettled } from './rows/commit-record.ts';
import type { Database, Row } from './database.ts';
import {
  bytesIn,
  CorruptStoreError,
  DamagedLogError,
  numberIn,
  numberOrNullIn,
  Statements,
  textIn,
  textOrNullIn,
} from './database.ts';
import { ErasureFilter, readErasures } from './erasing/erasure.ts';
import { readMeta, writeMeta } from './rows/meta.ts';
import { readOpenCommands } from './rows/command-rows.ts';
import { QuarantineRows } from './rows/quarantine-rows.ts';
import type { SeriesState } from './series-state.ts';
import { readSessions } from './rows/session-rows.ts';
import { readTokens } from './rows/token-rows.ts';
import { WriterState } from './writer-state.ts';

/** Settled messages that are remembered over a restart: a client sends again within its keep-alive, or never. */
const settledMax = 20_000;
const settledMaxAgeMs = 15 * 60_000;

/**
 * Rebuilds the writer's memory from the file: the tables tell what was sealed, the commit log from `replay_from` on
 * tells the rest. Whether a logged reading is in a chunk is decided by the position of its commit (`sealed_seq` of its
 * series), never by its time. `now` is monotonic, ms; `newEpoch` names the store when it is new.
 */
export function recover(
  database: Database,
  options: { readonly now: number; readonly newEpoch: string; readonly quarantineBytesMax: number },
): { readonly state: WriterState; readonly recovered: Recovered } {
  const statements = new Statements(database);
  const state = new WriterState();
  const epoch = readEpoch(statements, options.newEpoch);
  for (const row of statements.get(deviceColumns).each()) state.addDevice(deviceIn(row));
  readSeries(statements, state);
  readTotals(statements, state);
  state.quarantine = new QuarantineRows(database, options.quarantineBytesMax).measure();
  const erasures = readErasures(statements);
  for (const { series, chunkTo } of erasures) {
    const known = state.series[series];
    if (known && chunkTo > 0) known.isErasing = true;
  }
  replay(statements, state, { now: options.now, erased: new ErasureFilter(erasures) });
  const alertStates = statements
    .get('SELECT state FROM alert_state')
    .all()
    .map((row): AlertState => JSON.parse(textIn(row, 0)) as AlertState);
  return {
    state,
    recovered: {
      epoch,
      seq: state.seq,
      lastCommitAt: state.lastCommitAt,
      series: state.series.filter((series) => series !== undefined).map(seriesHead),
      devices: [...state.devices.values()]
        .filter(({ isForgotten }) => !isForgotten)
        .map(({ record, lastSeen }) => ({ ...record, lastSeen })),
      alertStates,
      settled: readSettled(statements, state.lastCommitAt),
      tokens: readTokens(statements),
      sessions: readSessions(statements),
      commands: readOpenCommands(statements),
    },
  };
}

function readEpoch(statements: Statements, newEpoch: string): string {
  const known = readMeta(statements, 'epoch');
  if (known !== null) return String(known);
  writeMeta(statements, 'epoch', newEpoch);
  return newEpoch;
}

const deviceColumns = `SELECT device, first_seen, last_seen, status, status_at, status_cause, attributes, clock_corrected, provisioned
   FROM device ORDER BY device`;

function deviceIn(row: Row): DeviceRecord {
  return {
    device: textIn(row, 0),
    firstSeen: numberIn(row, 1),
    lastSeen: numberIn(row, 2),
    status: textOrNullIn(row, 3) as DeviceStatus | null,
    statusAt: numberOrNullIn(row, 4),
    statusCause: textOrNullIn(row, 5) as StatusCause | null,
    attributes: attributesIn(textIn(row, 6)),
    clockCorrected: numberIn(row, 7),
    provisioned: row[8] === null ? null : (JSON.parse(textIn(row, 8)) as Provisioned),
  };
}

function attributesIn(text: string): DeviceRecord['attributes'] {
  return text === '{}' ? noAttributes : (JSON.parse(text) as Record<string, Value>);
}

function readSeries(statements: Statements, state: WriterState): void {
  const rows = statements
    .get('SELECT id, device, metric, time, kind, value, sealed_seq, chunks FROM series ORDER BY id')
    .each();
  for (const row of rows) {
    const id = numberIn(row, 0);
    if (id !== state.series.length) throw new CorruptStoreError(`series ${state.series.length} is missing`);
    const series = state.addSeries(id, textIn(row, 1), textIn(row, 2));
    series.sealedSeq = numberIn(row, 6);
    series.chunks = numberIn(row, 7);
    if (row[3] === null) continue;
    const [time, kind] = [numberIn(row, 3), numberIn(row, 4)];
    const isText = kind === valueKind.text;
    series.setNewest({ time, kind, value: isText ? 0 : numberIn(row, 5), text: isText ? textIn(row, 5) : '' });
    series.sealedTime = time;
  }
}

function readTotals(statements: Statements, state: WriterState): void {
  const last = statements.get('SELECT seq, at FROM commit_log ORDER BY seq DESC LIMIT 1').get();
  if (last) {
    state.seq = numberIn(last, 0);
    state.lastCommitAt = numberIn(last, 1);
  }
  const log = statements
    .get('SELECT coalesce(min(seq), ?), coalesce(sum(length(bytes)), 0), coalesce(sum(readings), 0) FROM commit_log')
    .get(state.seq + 1);
  state.log = { firstKept: numberIn(log, 0), bytes: numberIn(log, 1), readings: numberIn(log, 2) };
  state.replayFrom = Number(readMeta(statements, 'replay_from') ?? 1);
  state.chunks = Number(readMeta(statements, 'chunks') ?? 0);
  state.chunkReadings = Number(readMeta(statements, 'chunk_readings') ?? 0);
  state.sealedBytes = Number(readMeta(statements, 'sealed_bytes') ?? 0);
  state.mergedBytes = Number(readMeta(statements, 'merged_bytes') ?? 0);
}

function replay(
  statements: Statements,
  state: WriterState,
  { now, erased }: { readonly now: number; readonly erased: ErasureFilter },
): void {
  const rows = statements
    .get('SELECT seq, at, bytes FROM commit_log WHERE seq >= ? ORDER BY seq')
    .each(state.replayFrom);
  for (const row of rows) {
    const seq = numberIn(row, 0);
    const at = numberIn(row, 1);
    const bytes = bytesIn(row, 2);
    state.meter.add(seq, bytes.length);
    const { readings } = readCommit(seq, () => decodeCommitRecord(bytes));
    // A head is as old as its first commit, so that a gateway that restarts often seals as well.
    replayReadings(readings, state, { seq, at, openedAt: now - Math.max(state.lastCommitAt - at, 0), erased });
  }
}

/** Readings that nobody else holds must not go unseen, so a start ends here; the doctor sets the commit aside. */
function readCommit<T>(seq: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CorruptStoreError) throw new DamagedLogError(seq, error);
    throw error;
  }
}

function replayReadings(
  readings: ReadingColumns,
  state: WriterState,
  commit: { readonly seq: number; readonly at: number; readonly openedAt: number; readonly erased: ErasureFilter },
): void {
  const { count, series: numbers, times, values, kinds, texts } = readings;
  for (let row = 0; row < count; row++) {
    const series = state.series[numbers[row]];
    if (!series)
      throw new CorruptStoreError(`commit ${commit.seq} holds a reading of the unknown series ${numbers[row]}`);
    if (commit.at > series.device.lastSeen) series.device.lastSeen = commit.at;
    if (commit.seq <= series.sealedSeq || commit.erased.hides(commit.seq, series.id, times[row])) continue;
    const kind = kinds[row];
    const value = values[row];
    state.apply(series.id, times[row], value, kind, kind === valueKind.text ? texts[value] : '', commit);
  }
}

function seriesHead(series: SeriesState): Recovered['series'][number] {
  const value = series.newest();
  return {
    id: series.id,
    device: series.device.record.device,
    metric: series.metric,
    time: value === null ? null : series.time,
    value,
  };
}

function readSettled(statements: Statements, lastCommitAt: number): SettledMessage[] {
  const newestFirst: (readonly SettledMessage[])[] = [];
  let count = 0;
  for (const row of statements.get('SELECT at, bytes, seq FROM commit_log ORDER BY seq DESC').each()) {
    if (count >= settledMax || numberIn(row, 0) < lastCommitAt - settledMaxAgeMs) break;
    const settled = readCommit(numberIn(row, 2), () => decodeSettled(bytesIn(row, 1)));
    newestFirst.push(settled);
    count += settled.length;
  }
  return newestFirst.reverse().flat();
}
