import type { StorageState } from '../contract/storage.ts';
import { spanText } from './time-text.ts';
import { countText } from './value-text.ts';

/** One line of the storage panel. */
export interface StorageFact {
  readonly name: string;
  readonly text: string;
  /** What the text means, in smaller print. */
  readonly detail: string;
  readonly tone: 'calm' | 'watch' | 'alarm';
}

const dayMs = 86_400_000;
/** So soon before the end of the room it is said louder. */
const soonMs = 14 * dayMs;

/** What the panel says of the store at `now` (epoch ms): how much, how fast, until when, and what is wrong. */
export function storageFacts(state: StorageState, now: number): readonly StorageFact[] {
  const { damagedChunks } = state;
  const facts = [readingsFact(state), sizeFact(state), growthFact(state), roomFact(state, now)];
  if (damagedChunks === 0) return facts;
  const damaged: StorageFact = {
    name: 'Damaged',
    text: countText(damagedChunks),
    detail: `${damagedChunks === 1 ? 'chunk' : 'chunks'}; pulsegate doctor says which`,
    tone: 'alarm',
  };
  return [...facts, damaged];
}

/** Bytes to about three digits; 1,024 bytes are a KB. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  let amount = Math.abs(bytes);
  for (; amount >= 1_023.5 && at < units.length - 1; at++) amount /= 1_024;
  const digits = at === 0 || amount >= 99.95 ? countText(amount) : amount.toFixed(1);
  return `${bytes < 0 ? '−' : ''}${digits} ${units[at]}`;
}

function readingsFact({ readings }: StorageState): StorageFact {
  const { stored, oldest, bytesEach } = readings;
  const detail = [oldest !== null && `since ${oldest.slice(0, 10)}`, bytesEach !== null && `${bytesEach} bytes each`];
  return {
    name: 'Readings',
    text: countText(stored),
    detail: detail.filter((part) => part !== false).join(', ') || 'none sealed yet',
    tone: 'calm',
  };
}

function sizeFact({ file, maxBytes }: StorageState): StorageFact {
  const free = file.freeBytes === 0 ? '' : `; beside it ${bytesText(file.freeBytes)} to be used again`;
  const budget = maxBytes === null ? '' : ` of ${bytesText(maxBytes)}`;
  return {
    name: 'In use',
    text: `${bytesText(file.usedBytes)}${budget}`,
    detail: `of it the log ${bytesText(file.logBytes)}${free}`,
    tone: maxBytes !== null && file.usedBytes > maxBytes ? 'watch' : 'calm',
  };
}

function growthFact({ growth }: StorageState): StorageFact {
  if (growth === null) return { name: 'Growth', text: '–', detail: 'known after ten minutes', tone: 'calm' };
  const over = spanText(growth.overMs);
  return { name: 'Growth', text: `${bytesText(growth.bytesPerDay)} a day`, detail: `over ${over}`, tone: 'calm' };
}

function roomFact({ forecast, disk }: StorageState, now: number): StorageFact {
  const free = disk === null ? 'the disk does not say' : `${bytesText(disk.freeBytes)} of the disk free`;
  if (forecast === null) {
    const text = disk === null ? '–' : bytesText(disk.freeBytes);
    return { name: 'Room', text, detail: disk === null ? free : 'free on the disk', tone: 'calm' };
  }
  const { fullAt, balancedAt, limit } = forecast;
  if (fullAt !== null) {
    const left = Date.parse(fullAt) - now;
    const soon = left < soonMs;
    if (limit === 'budget') {
      if (left <= 0) return { name: 'Budget', text: 'reached', detail: 'the oldest readings go first', tone: 'calm' };
      const detail = 'then the oldest readings go first';
      return { name: 'Budget lasts', text: spanText(left), detail, tone: 'calm' };
    }
    return { name: 'Room lasts', text: spanText(left), detail: free, tone: soon ? 'alarm' : 'calm' };
  }
  if (balancedAt !== null) {
    const left = Date.parse(balancedAt) - now;
    const detail = left < dayMs ? 'as much is deleted as comes' : `retention is in balance in ${spanText(left)}`;
    return { name: 'Room', text: 'enough', detail, tone: 'calm' };
  }
  return { name: 'Room', text: 'for years', detail: free, tone: 'calm' };
}
