import { InvariantError } from '../../../base/errors.ts';
import { sampleBuffers } from '../../../domain/sample-columns.ts';
import { readCommand, readCommands } from '../rows/command-rows.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements, textIn } from '../database.ts';
import { PageTextWriter } from '../../../history/text/page-text.ts';
import type { AcrossQuery, AggregateQuery, DecimateQuery, SeriesRange } from '../../../history/queries.ts';
import { AcrossTask } from '../asking/reader-across.ts';
import { AggregateTask } from '../asking/reader-aggregate.ts';
import { BoundariesTask } from '../asking/reader-boundaries.ts';
import { SnapshotChunks } from '../asking/reader-chunks.ts';
import { DecimateTask } from '../asking/reader-decimate.ts';
import { EstimateTask } from '../asking/reader-estimate.ts';
import { readLog } from '../asking/reader-log.ts';
import { readPage, readText } from '../asking/reader-page.ts';
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
} from '../asking/reader-rows.ts';
import type { Sources } from '../asking/reader-task.ts';
import { LongQuestions } from '../asking/reader-task.ts';
import type { Answer, Handlers, Role } from './role.ts';
import { answerWith } from './role.ts';
import { RollupReader } from '../rollups/rollup-reader.ts';
import { openForReading } from '../schema.ts';
import type { ReaderCalls } from './worker-messages.ts';

/** Damaged chunks that are counted; a store with more is beyond counting. */
const damagedMax = 100_000;

interface OpenReader {
  readonly database: Database;
  readonly statements: Statements;
  readonly rollups: RollupReader;
}

/** The thread that asks. Every answer is read in one transaction, which ends before the answer leaves. */
export function readerRole(path: string): Role {
  let open: OpenReader | undefined;

  const textWriter = new PageTextWriter();
  const aggregates = new LongQuestions((query: AggregateQuery) => new AggregateTask(query));
  const acrosses = new LongQuestions((query: AcrossQuery) => new AcrossTask(query));
  const decimations = new LongQuestions((query: DecimateQuery) => new DecimateTask(query));
  const boundaries = new LongQuestions((ranges: readonly SeriesRange[]) => new BoundariesTask(ranges));
  const estimates = new LongQuestions((ranges: readonly SeriesRange[]) => new EstimateTask(ranges));
  const longQuestions = [aggregates, acrosses, decimations, boundaries, estimates];
  let runs = 0;
  /** Keys of chunks found damaged. */
  const damaged = new Set<number>();

  /** One snapshot a question, so that chunks and series tell of the same moment. */
  const snapshot = <T>(read: (statements: Statements, open: OpenReader) => T): Answer<T> => {
    if (!open) throw new InvariantError('the reader is not open');
    const { database, statements } = open;
    database.exec('BEGIN');
    try {
      return { answer: read(statements, open) };
    } finally {
      if (database.inTransaction) database.exec('COMMIT');
    }
  };

  /** The same for questions about readings. */
  const reading = <T>(read: (snapshot: Omit<Sources, 'heads'>) => T): T =>
    snapshot((statements, { rollups }) => {
      const chunks = new SnapshotChunks(statements);
      runs++;
      const answer = read({ chunks, rollups });
      for (const id of chunks.damagedIds) if (damaged.size < damagedMax) damaged.add(id);
      return answer;
    }).answer;

  const handlers: Handlers<ReaderCalls> = {
    open() {
      const database = openForReading(path);
      open = {
        database,
        statements: new Statements(database),
        rollups: new RollupReader(database),
      };
      return { answer: null };
    },
    page({ query, heads }) {
      const answer = reading(({ chunks }) => readPage(chunks, query, heads));
      return { answer, transfer: answer.parts.flatMap(({ columns }) => sampleBuffers(columns)) };
    },
    text({ query, heads }) {
      const answer = reading(({ chunks }) => readText(chunks, query, heads, textWriter));
      return { answer, transfer: answer.times ? [answer.bytes.buffer, answer.times.buffer] : [answer.bytes.buffer] };
    },
    aggregate: (question) => ({ answer: reading((snapshot) => aggregates.goOn(question, snapshot)) }),
    across: (question) => ({ answer: reading((snapshot) => acrosses.goOn(question, snapshot)) }),
    decimate(question) {
      const answer = reading((snapshot) => decimations.goOn(question, snapshot));
      return {
        answer,
        transfer: answer.isDone ? answer.answer.parts.flatMap(({ columns }) => sampleBuffers(columns)) : [],
      };
    },
    boundaries: (question) => ({ answer: reading((snapshot) => boundaries.goOn(question, snapshot)) }),
    estimate: (question) => ({ answer: reading((snapshot) => estimates.goOn(question, snapshot)) }),
    forget(task) {
      for (const questions of longQuestions) questions.forget(task);
      return { answer: null };
    },
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
        openQuestions: longQuestions.reduce((sum, { open }) => sum + open, 0),
        questionRuns: runs,
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
