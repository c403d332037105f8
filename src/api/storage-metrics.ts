import type { EngineStats } from '../history/reader.ts';
import { type Family, single } from './metric-family.ts';

const stored = (
  kind: Family['kind'],
  name: string,
  help: string,
  count: (stats: EngineStats) => number | undefined,
): Family =>
  single(kind, `pulsegate_storage_${name}`, help, ({ engine }) => (engine === null ? undefined : count(engine)));

/** What the store holds, and what keeping it in order has cost. */
export const storageFamilies: readonly Family[] = [
  stored('gauge', 'used_bytes', 'Bytes of the database in use', (now) => now.usedBytes),
  stored('gauge', 'log_bytes', 'Of these: the commit log', (now) => now.logBytes),
  stored('gauge', 'readings', 'Readings as they came', (now) => now.chunkReadings + now.headReadings),
  stored('gauge', 'rollups', 'Windows of sums by the minute or hour', (now) => now.rollups),
  stored('gauge', 'damaged_chunks', 'Chunks found damaged since the start', (now) => now.damagedChunks),
  stored('gauge', 'open_questions', 'Long questions about readings that are gone on with', (now) => now.openQuestions),
  stored('counter', 'question_runs_total', 'Runs of questions about readings', (now) => now.questionRuns),
  stored('counter', 'sealed_bytes_total', 'Bytes of chunks first written', (now) => now.sealedBytes),
  stored('counter', 'merged_bytes_total', 'Bytes of chunks written again by merging', (now) => now.mergedBytes),
  stored(
    'counter',
    'purged_readings_total',
    'Readings deleted because their time was over, or for room',
    (now) => now.purgedReadings,
  ),
  stored('gauge', 'oldest_reading_timestamp_seconds', 'Time of the oldest sealed reading', (now) =>
    now.oldestTime === null ? undefined : now.oldestTime / 1_000,
  ),
];
