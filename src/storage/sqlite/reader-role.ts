import { InvariantError } from '../../base/errors.ts';
import { sampleBuffers } from '../../domain/sample-columns.ts';
import { ChunkReader } from './chunk-reader.ts';
import { readCommand, readCommands } from './command-rows.ts';
import type { Database } from './database.ts';
import { numberIn, Statements, textIn } from './database.ts';
import { PageTextWriter } from '../../history/text/page-text.ts';
import type { SeriesRange } from '../../history/queries.ts';
import { BoundariesTask } from './reader-boundaries.ts';
import { readBuckets } from './reader-buckets.ts';
import { SnapshotChunks } from './reader-chunks.ts';
import { EstimateTask } from './reader-estimate.ts';
import { readLog } from './reader-log.ts';
import { readPage, readText } from './reader-page.ts';
import { readReadings } from './reader-readings.ts';
import {
  countPending,
  readAlert,
  readAlerts,
  readAttempts,
  readDeliveries,
  readDelivery,
  readQuarantine,
  readQuarantined,
  readTransitions,
} from './reader-rows.ts';
import { LongQuestions } from './reader-task.ts';
import type { Answer, Handlers, Role } from './role.ts';
import { answerWith } from './role.ts';
import { openForReading } from './schema.ts';
import type { ReaderCalls } from './worker-messages.ts';

/** Damaged chunks that are counted; a store with more is beyond counting. */
const damagedMax = 100_000;

/** The thread that asks. Every answer is read in one transaction, which ends before the answer leaves. */
export function readerRole(path: string): Role {
  let open: { database: Database; statements: Statements; chunks: ChunkReader } | undefined;

  const textWriter = new PageTextWriter();
  const boundaries = new LongQuestions((ranges: readonly SeriesRange[]) => new BoundariesTask(ranges));
  const estimates = new LongQuestions((ranges: readonly SeriesRange[]) => new EstimateTask(ranges));
  /** Keys of chunks found damaged. */
  const damaged = new Set<number>();

  /** One snapshot a question, so that chunks and series tell of the same moment. */
  const snapshot = <T>(read: (statements: Statements, chunks: ChunkReader) => T): Answer<T> => {
    if (!open) throw new InvariantError('the reader is not open');
    const { database, statements, chunks } = open;
    database.exec('BEGIN');
    try {
      return { answer: read(statements, chunks) };
    } finally {
      if (database.inTransaction) database.exec('COMMIT');
    }
  };

  /** The same for questions about readings. */
  const reading = <T>(read: (chunks: SnapshotChunks) => T): T =>
    snapshot((statements) => {
      const chunks = new SnapshotChunks(statements);
      const answer = read(chunks);
      for (const id of chunks.damagedIds) if (damaged.size < damagedMax) damaged.add(id);
      return answer;
    }).answer;

  const handlers: Handlers<ReaderCalls> = {
    open() {
      const database = openForReading(path);
      open = { database, statements: new Statements(database), chunks: new ChunkReader(database) };
      return { answer: null };
    },
    readings({ query, slice }) {
      const { answer } = snapshot((_, chunks) => readReadings(chunks, query, slice));
      return { answer, transfer: sampleBuffers(answer) };
    },
    buckets: ({ query, slice }) => snapshot((_, chunks) => readBuckets(chunks, query, slice)),
    page({ query, heads }) {
      const answer = reading((chunks) => readPage(chunks, query, heads));
      return { answer, transfer: answer.parts.flatMap(({ columns }) => sampleBuffers(columns)) };
    },
    text({ query, heads }) {
      const answer = reading((chunks) => readText(chunks, query, heads, textWriter));
      return { answer, transfer: answer.times ? [answer.bytes.buffer, answer.times.buffer] : [answer.bytes.buffer] };
    },
    boundaries: (question) => ({ answer: reading((chunks) => boundaries.goOn(question, chunks)) }),
    estimate: (question) => ({ answer: reading((chunks) => estimates.goOn(question, chunks)) }),
    log(query) {
      const { answer } = snapshot((statements) => readLog(statements, query));
      const transfer = answer.batches.flatMap(({ readings: { series, times, values, kinds } }) => [
        series.buffer,
        times.buffer,
        values.buffer,
        kinds.buffer,
      ]);
      return { answer, transfer };
    },
    alerts: (query) => snapshot((statements) => readAlerts(statements, query)),
    alert: (id) => snapshot((statements) => readAlert(statements, id)),
    transitions: (alertId) => snapshot((statements) => readTransitions(statements, alertId)),
    deliveries: (query) => snapshot((statements) => readDeliveries(statements, query)),
    delivery: (id) => snapshot((statements) => readDelivery(statements, id)),
    attempts: (deliveryId) => snapshot((statements) => readAttempts(statements, deliveryId)),
    quarantine: (query) => snapshot((statements) => readQuarantine(statements, query)),
    quarantined: (id) => snapshot((statements) => readQuarantined(statements, id)),
    commands: (query) => snapshot((statements) => readCommands(statements, query)),
    command: (id) => snapshot((statements) => readCommand(statements, id)),
    stats: () =>
      snapshot((statements) => ({
        pendingDeliveries: countPending(statements),
        usedBytes: usedBytes(statements),
        damagedChunks: damaged.size,
        engineVersion: textIn(statements.get('SELECT sqlite_version()').get() ?? [], 0),
      })),
    close() {
      open?.database.close();
      open = undefined;
      return { answer: null };
    },
  };
  return { answer: (name, question) => answerWith<ReaderCalls>(handlers, name, question) };
}

function usedBytes(statements: Statements): number {
  const pages = numberIn(statements.get('PRAGMA page_count').get(), 0);
  const free = numberIn(statements.get('PRAGMA freelist_count').get(), 0);
  return (pages - free) * numberIn(statements.get('PRAGMA page_size').get(), 0);
}
