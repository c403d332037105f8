import { StorageState } from '../contract/storage.ts';
import { type ClientFlags, GatewayClient } from './gateway-client.ts';

/* `pulsegate storage`: what the store holds and how long there is room, over REST. */

export interface StorageFlags extends ClientFlags {
  readonly json?: boolean;
}

export async function showStorage(flags: StorageFlags): Promise<void> {
  const state = StorageState.parse(await new GatewayClient(flags, process.env).ask('GET', '/storage'));
  if (flags.json) {
    console.log(JSON.stringify(state, null, 2));
    return;
  }
  const lines = storageLines(state);
  const width = Math.max(...lines.map(([name]) => name.length));
  for (const [name, text] of lines) console.log(`${name.padEnd(width)}  ${text}`);
}

/** What is said of the store, line by line: a name and a text for people. */
export function storageLines(state: StorageState): readonly (readonly [name: string, text: string])[] {
  const { file, readings, chunks, rollups, damagedChunks, writeAmplification, copies, maxBytes, disk } = state;
  const each = readings.bytesEach === null ? '' : `, ${readings.bytesEach} bytes each`;
  return [
    ['Readings', `${grouped(readings.stored)}${each}; ${grouped(readings.inHeads)} in memory`],
    ['Oldest', readings.oldest ?? 'none sealed yet'],
    ['File', `${size(file.bytes)}, of which ${size(file.usedBytes)} in use (log ${size(file.logBytes)})`],
    ['Write-ahead', size(file.writeAheadBytes)],
    ['Chunks', `${grouped(chunks)}; rollups ${grouped(rollups)}; damaged ${grouped(damagedChunks)}`],
    ['Written', writeAmplification === null ? 'nothing sealed yet' : `${writeAmplification} times what is sealed`],
    ['Purged', grouped(readings.purged)],
    ...copies.map(
      ({ file: copy, bytes }) =>
        ['Older copy', `${copy}, ${size(bytes)}: it holds what was deleted since, and may be deleted`] as const,
    ),
    ['Budget', maxBytes === null ? 'none but the disk' : size(maxBytes)],
    ['Disk', disk ? `${size(disk.freeBytes)} free of ${size(disk.bytes)}` : 'not known'],
    ['Growth', growthText(state)],
    ['Forecast', forecastText(state)],
  ];
}

function growthText({ growth }: StorageState): string {
  if (!growth) return 'known after ten minutes';
  const sign = growth.bytesPerDay < 0 ? '-' : '';
  return `${sign}${size(Math.abs(growth.bytesPerDay))} a day, over the last ${Math.round(growth.overMs / 60_000)} minutes`;
}

function forecastText({ forecast }: StorageState): string {
  if (!forecast) return 'known after ten minutes';
  const { limit, fullAt, balancedAt } = forecast;
  if (fullAt !== null) {
    return limit === 'budget'
      ? `the budget is reached ${fullAt}; the oldest readings go first from then on`
      : `the disk is full ${fullAt}; keep readings shorter or make room`;
  }
  if (balancedAt !== null) return `retention is in balance from ${balancedAt} on`;
  return 'there is room for years';
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** 1,024 bytes are a KB, as in the configuration. */
function size(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  let amount = bytes;
  for (; amount >= 1_024 && at < units.length - 1; at++) amount /= 1_024;
  return `${at === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[at]}`;
}
