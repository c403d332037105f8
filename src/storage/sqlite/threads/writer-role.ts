import { systemClock } from '../../../base/clock.ts';
import { InvariantError } from '../../../base/errors.ts';
import type { Commit } from '../../../domain/commit.ts';
import { readingBuffers } from '../../../domain/reading.ts';
import type { Database } from '../database.ts';
import { headBuffers, keptOnly, sliceHeads } from '../asking/reader-heads.ts';
import { recover } from '../recovery.ts';
import type { Handlers, Role } from './role.ts';
import { answerWith } from './role.ts';
import { openForWriting, refusalOf } from '../schema.ts';
import { TransactionError } from '../transaction.ts';
import type { WriterCalls } from './worker-messages.ts';
import { Writer } from '../writer.ts';

/** On close, heads of at least this part of a full chunk are sealed; smaller ones are read back from the log. */
const worthSealing = 0.125;

/** The thread that owns the writing connection. */
export function writerRole(path: string): Role {
  let database: Database | undefined;
  let writer: Writer | undefined;
  let sealCount = 0;
  /** Work that failed waits for the next commit or tick, rather than spin. */
  let isWorkBlocked = false;
  let workFailure: string | null = null;

  const opened = (): Writer => {
    if (!writer) throw new InvariantError('the writer is not open');
    return writer;
  };

  const handlers: Handlers<WriterCalls> = {
    open({ now, newEpoch, busyTimeoutMs, pagesMax, options }) {
      database = openForWriting(path, { busyTimeoutMs, pagesMax });
      try {
        const { state, recovered } = recover(database, {
          now,
          newEpoch,
          quarantineBytesMax: options.quarantineBytesMax,
        });
        sealCount = options.sealCount;
        writer = new Writer(database, state, options, systemClock);
        return { answer: recovered };
      } catch (error) {
        database.close();
        throw refusalOf(error, path);
      }
    },
    commit({ commit, now }) {
      isWorkBlocked = false;
      const result = opened().commit(commit, now);
      const transfer = [...readingBuffers(result.readings)];
      if (result.dispositions) transfer.push(result.dispositions.buffer);
      const gone = opened().state.rollups.tellMoved();
      return { answer: { ...result, uncopiedFrames: opened().uncopiedFrames(), gone }, transfer };
    },
    heads(query) {
      const { state } = opened();
      const kept = keptOnly(query, state.rollups.rawFrom);
      const answer = sliceHeads((series) => state.series[series]?.head, state.seq, kept);
      return { answer, transfer: headBuffers(answer) };
    },
    tick({ now }) {
      isWorkBlocked = false;
      opened().tick(now);
      const { isRollupWanted, budgetState } = opened();
      const gone = opened().state.rollups.tellMoved();
      const answer = { uncopiedFrames: opened().uncopiedFrames(), workFailure, isRollupWanted, budgetState, gone };
      workFailure = null;
      return { answer };
    },
    retain(plan) {
      const answer = opened().retain(plan);
      return { answer, transfer: [answer.buffer] };
    },
    rollupTasks: () => ({ answer: opened().rollupTasks() }),
    acceptRollups(results) {
      opened().acceptRollups(results);
      return { answer: null };
    },
    checkpoint() {
      opened().checkpoint();
      return { answer: null };
    },
    stats() {
      const { state } = opened();
      return {
        answer: {
          seq: state.seq,
          firstKept: state.log.firstKept,
          logReadings: state.log.readings,
          logBytes: state.log.bytes,
          headReadings: state.headReadings,
          chunks: state.chunks,
          chunkReadings: state.chunkReadings,
          ...opened().kept(),
          damagedChunks: state.damagedChunks,
          sealedBytes: state.sealedBytes,
          mergedBytes: state.mergedBytes,
          quarantineEntries: state.quarantine.entries,
          quarantineBytes: state.quarantine.bytes,
        },
      };
    },
    close() {
      try {
        writer?.seal(Math.ceil(sealCount * worthSealing));
      } catch (error) {
        // Nothing is lost: what is not sealed is in the log.
        if (!(error instanceof TransactionError)) throw error;
      } finally {
        writer = undefined;
        database?.close();
      }
      return { answer: null };
    },
  };

  return {
    answer: (name, question) => answerWith<WriterCalls>(handlers, name, question),
    returned(name, question) {
      if (name !== 'commit') return { answer: null };
      const { readings } = (question as { commit: Commit }).commit;
      return { answer: readings, transfer: readingBuffers(readings) };
    },
    work() {
      if (!writer || isWorkBlocked) return false;
      try {
        return writer.work();
      } catch (error) {
        if (!(error instanceof TransactionError)) throw error;
        isWorkBlocked = true;
        workFailure = error.message;
        return false;
      }
    },
  };
}
