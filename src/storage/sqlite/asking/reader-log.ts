import type { Transition } from '../../../domain/alert.ts';
import type { CommittedBatch, LogPage } from '../../../domain/commit.ts';
import { decodeCommitRecord, pickRows } from '../rows/commit-record.ts';
import { bytesIn, numberIn, textIn } from '../database.ts';
import type { Statements } from '../database.ts';
import { ErasureFilter, readErasures } from '../erasing/erasure.ts';

/** Commits on one page at most: those without readings cost something as well. */
const commitsMax = 4_096;

/** One page of the commit log after commit `after`: whole commits, at least one when there is any. */
export function readLog(
  statements: Statements,
  query: { readonly after: number; readonly readingsMax: number },
): LogPage {
  const batches: CommittedBatch[] = [];
  const erased = new ErasureFilter(readErasures(statements));
  let readings = 0;
  const rows = statements.get('SELECT seq, at, bytes FROM commit_log WHERE seq > ? ORDER BY seq').each(query.after);
  for (const row of rows) {
    const seq = numberIn(row, 0);
    const record = decodeCommitRecord(bytesIn(row, 2));
    const kept = erased.rowsKept(seq, record.readings);
    const told = kept ? pickRows(record.readings, kept) : record.readings;
    batches.push({ seq, at: numberIn(row, 1), readings: told, transitions: [] });
    readings += told.count;
    if (readings >= query.readingsMax || batches.length >= commitsMax) break;
  }
  const last = batches.at(-1)?.seq ?? query.after;
  const transitions = readTransitions(statements, query.after, last);
  return {
    batches: batches.map((batch) => ({ ...batch, transitions: transitions.get(batch.seq) ?? [] })),
    last,
    firstKept: firstKept(statements),
  };
}

function readTransitions(statements: Statements, after: number, last: number): Map<number, Transition[]> {
  const bySeq = new Map<number, Transition[]>();
  const rows = statements
    .get('SELECT seq, transition FROM transition WHERE seq > ? AND seq <= ? ORDER BY id')
    .each(after, last);
  for (const row of rows) {
    const seq = numberIn(row, 0);
    const transition = JSON.parse(textIn(row, 1)) as Transition;
    const known = bySeq.get(seq);
    if (known) known.push(transition);
    else bySeq.set(seq, [transition]);
  }
  return bySeq;
}

/** The oldest commit of the log; 1 in a new store. */
function firstKept(statements: Statements): number {
  return numberIn(statements.get('SELECT coalesce(min(seq), 1) FROM commit_log').get(), 0);
}
