import { InvariantError } from '../../base/errors.ts';
import { sampleBuffers } from '../../domain/sample-columns.ts';
import { ChunkReader } from './chunk-reader.ts';
import { readCommand, readCommands } from './command-rows.ts';
import type { Database } from './database.ts';
import { numberIn, Statements, textIn } from './database.ts';
import { readBuckets } from './reader-buckets.ts';
import { readLog } from './reader-log.ts';
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
import type { Answer, Handlers, Role } from './role.ts';
import { answerWith } from './role.ts';
import { openForReading } from './schema.ts';
import type { ReaderCalls } from './worker-messages.ts';

/** The thread that asks. Every answer is read in one transaction, which ends before the answer leaves. */
export function readerRole(path: string): Role {
  let open: { database: Database; statements: Statements; chunks: ChunkReader } | undefined;

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
