import { statfs } from 'node:fs/promises';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { StorageState } from '../contract/storage.ts';
import { rollupTiers } from '../domain/retention.ts';
import type { EngineStats } from '../history/reader.ts';

/** How often the size is noted, ms. */
const sampleEveryMs = 5 * 60_000;
/** Growth is told over at most this long … */
const spanMaxMs = 86_400_000;
/** … and from this long on. */
const spanMinMs = 600_000;
const dayMs = 86_400_000;
/** Further ahead nothing is foretold. */
const forecastMaxMs = 3_650 * dayMs;
/**
 * Readings go by whole windows, so that a store in balance grows for hours before it shrinks again: only a day, which
 * holds as many windows whenever it begins, shows whether it grows all the same.
 */
const windowMs = rollupTiers.minute.windowMs;
const wholeDayMs = spanMaxMs - sampleEveryMs;
/** A budget of which this share is in use is reached: what goes first makes more room than the next readings take. */
const reachedShare = 0.97;

export interface StorageWatchParts {
  readonly clock: Clock;
  readonly log: Log;
  stats(): Promise<EngineStats>;
  /** Bytes of the file system in which the store lies, and those still free; null where it does not say. */
  disk(): Promise<StorageState['disk']>;
  /** Copies that upgrades left beside the store. */
  copies(): Promise<StorageState['copies']>;
  /** `storage.maxBytes`; null: no bound but the disk. */
  readonly maxBytes: number | null;
  /** The longest that readings of any series are kept, ms; null: some for ever. */
  longestRaw(): number | null;
}

interface Sample {
  /** Monotonic ms. */
  readonly at: number;
  readonly bytes: number;
  /** As much was deleted as came. */
  readonly isBalanced: boolean;
}

/** Notes how large the store is, now and then, and tells what becomes of it as things go. */
export class StorageWatch {
  readonly #parts: StorageWatchParts;
  #samples: Sample[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: StorageWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#stopped) return;
    this.#parts
      .stats()
      .then((stats) => this.#note(stats))
      .catch((error: unknown) => {
        // While the store is closed there is nothing to note.
        this.#parts.log.debug({ error: messageOf(error) }, 'the size of the store is not known');
      });
    this.#timer = this.#parts.clock.after(sampleEveryMs, () => this.start());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Rejects when the store does not answer. */
  async state(): Promise<StorageState> {
    const [stats, disk, copies] = await Promise.all([this.#parts.stats(), this.#parts.disk(), this.#parts.copies()]);
    const growth = this.#growth(stats);
    const { maxBytes } = this.#parts;
    return { ...describe(stats), copies, maxBytes, disk, growth, forecast: this.#forecast(stats, disk, growth) };
  }

  #note({ usedBytes, oldestTime }: EngineStats): void {
    const at = this.#parts.clock.monotonic();
    const balanced = this.#balancedAt(oldestTime);
    const isBalanced = balanced !== null && balanced - windowMs <= this.#parts.clock.now();
    this.#samples.push({ at, bytes: usedBytes, isBalanced });
    this.#samples = this.#samples.filter((sample) => sample.at >= at - spanMaxMs);
  }

  #growth({ usedBytes }: EngineStats): StorageState['growth'] {
    const [first] = this.#samples;
    if (!first) return null;
    const overMs = this.#parts.clock.monotonic() - first.at;
    if (overMs < spanMinMs) return null;
    return { bytesPerDay: Math.round(((usedBytes - first.bytes) / overMs) * dayMs), overMs: Math.round(overMs) };
  }

  #forecast(
    { usedBytes, fileBytes, oldestTime }: EngineStats,
    disk: StorageState['disk'],
    growth: StorageState['growth'],
  ): StorageState['forecast'] {
    if (!growth) return null;
    const budgetRoom = this.#parts.maxBytes === null ? null : Math.max(0, this.#parts.maxBytes - usedBytes);
    // Free pages of the file are used before it grows.
    const diskRoom = disk && disk.freeBytes + Math.max(0, fileBytes - usedBytes);
    const rooms = [budgetRoom, diskRoom].filter((room) => room !== null);
    if (rooms.length === 0) return null;
    const room = Math.min(...rooms);
    const limit = room === budgetRoom ? 'budget' : 'disk';
    const now = this.#parts.clock.now();
    const balanced = this.#balancedAt(oldestTime);
    const isReached = limit === 'budget' && room <= (this.#parts.maxBytes ?? 0) * (1 - reachedShare);
    const left = growth.bytesPerDay > 0 ? (room / growth.bytesPerDay) * dayMs : Number.POSITIVE_INFINITY;
    const full = isReached ? now : now + left;
    const isBalancedBefore = balanced !== null && balanced <= full && !isReached && !this.#growsInBalance(growth);
    const fullAt = full - now > forecastMaxMs || isBalancedBefore ? null : rfc3339(full);
    return { limit, fullAt, balancedAt: balanced === null ? null : rfc3339(balanced) };
  }

  /** From when on as much is deleted as comes, epoch ms; null where readings of a series are kept for ever. */
  #balancedAt(oldestTime: number | null): number | null {
    const now = this.#parts.clock.now();
    const longest = this.#parts.longestRaw();
    return longest === null ? null : Math.max(now, (oldestTime ?? now) + longest);
  }

  /** Whether the growth is what comes beyond what is deleted: more and more devices, or rollups. */
  #growsInBalance({ overMs }: { readonly overMs: number }): boolean {
    return overMs >= wholeDayMs && this.#samples.every(({ isBalanced }) => isBalanced);
  }
}

/** What `statfs` says of the folder. */
export async function diskOf(folder: string): Promise<StorageState['disk']> {
  const { bsize, blocks, bavail } = await statfs(folder);
  return blocks > 0 ? { bytes: bsize * blocks, freeBytes: bsize * bavail } : null;
}

function describe(stats: EngineStats): Omit<StorageState, 'copies' | 'maxBytes' | 'disk' | 'growth' | 'forecast'> {
  const { fileBytes, usedBytes, logBytes, walBytes, chunkReadings, headReadings } = stats;
  const { sealedBytes, mergedBytes, chunks, rollups, damagedChunks, purgedReadings, oldestTime } = stats;
  const keptBytes = Math.max(0, usedBytes - logBytes);
  return {
    file: {
      bytes: fileBytes,
      usedBytes,
      freeBytes: Math.max(0, fileBytes - usedBytes),
      logBytes,
      writeAheadBytes: walBytes,
    },
    readings: {
      stored: chunkReadings + headReadings,
      inHeads: headReadings,
      purged: purgedReadings,
      oldest: oldestTime === null ? null : rfc3339(oldestTime),
      bytesEach: chunkReadings === 0 ? null : hundredths(keptBytes / chunkReadings),
    },
    chunks,
    rollups,
    writeAmplification: sealedBytes === 0 ? null : hundredths((sealedBytes + mergedBytes) / sealedBytes),
    damagedChunks,
  };
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

function rfc3339(time: number): string {
  return new Date(time).toISOString();
}
