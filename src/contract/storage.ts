import { z } from 'zod';
import { Time } from './rest.ts';

const bytes = z.number().min(0);
const count = z.number().int().min(0);

/** `GET /storage`: what the store holds, how fast it grows, and until when there is room. */
export const StorageState = z
  .object({
    file: z
      .object({
        bytes: bytes.meta({ description: 'Size of the database file' }),
        usedBytes: bytes.meta({ description: 'In use, with what still waits in the write-ahead log' }),
        freeBytes: bytes.meta({ description: 'Free in the file, to be used again; it never shrinks' }),
        logBytes: bytes.meta({ description: 'Of the bytes in use: the commit log, from which live clients resume' }),
        writeAheadBytes: bytes.meta({ description: 'Beside the file: what is not copied into it yet' }),
      })
      .meta({ id: 'StorageFile' }),
    readings: z
      .object({
        stored: count.meta({ description: 'Readings as they came, sealed ones and those in memory' }),
        inHeads: count.meta({ description: 'Of these not sealed yet: in memory and in the commit log' }),
        purged: count.meta({
          description: 'Deleted since the store was made, because their time was over or for room',
        }),
        oldest: Time.nullable().meta({ description: 'Time of the oldest sealed reading' }),
        bytesEach: z
          .number()
          .nullable()
          .meta({ description: 'Bytes in use beside the log, for each sealed reading; null before there are any' }),
      })
      .meta({ id: 'StoredReadings' }),
    chunks: count,
    rollups: count.meta({ description: 'Windows of sums by the minute or hour' }),
    writeAmplification: z.number().nullable().meta({
      description: 'Bytes of chunks written, by sealing and merging, for each byte sealed; null before any was',
    }),
    damagedChunks: count.meta({ description: 'Found since the start; `pulsegate doctor` says which' }),
    copies: z.array(z.object({ file: z.string(), bytes }).meta({ id: 'StorageCopy' })).meta({
      description:
        'Copies of the database that upgrades made, in the data folder. They still hold what was deleted since: delete the files once nobody wants to go back to the older version',
    }),
    maxBytes: bytes.nullable().meta({ description: '`storage.maxBytes`; null: no bound but the disk' }),
    disk: z
      .object({ bytes, freeBytes: bytes })
      .nullable()
      .meta({ description: 'Of the file system of the data folder; null where it does not say', id: 'StorageDisk' }),
    growth: z
      .object({
        bytesPerDay: z.number().meta({ description: 'Negative when the store shrinks' }),
        overMs: z.number().meta({ description: 'Time over which it was watched, up to a day' }),
      })
      .nullable()
      .meta({ description: 'Null until ten minutes are known', id: 'StorageGrowth' }),
    forecast: z
      .object({
        limit: z.enum(['budget', 'disk']).meta({ description: 'What ends first: `storage.maxBytes` or the disk' }),
        fullAt: Time.nullable().meta({
          description:
            'When it is reached as things go: from then on the oldest readings go first (budget), or nothing can be stored (disk). Null: not within ten years, or retention is in balance before',
        }),
        balancedAt: Time.nullable().meta({
          description:
            'From when on as much is deleted as comes, where no series keeps its readings for ever; else null',
        }),
      })
      .nullable()
      .meta({ description: 'Null until the growth is known', id: 'StorageForecast' }),
  })
  .meta({ id: 'StorageState' });
export type StorageState = z.infer<typeof StorageState>;
