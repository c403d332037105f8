import type { Device } from '../contract/device.ts';
import { spanText } from './time-text.ts';

type Told = Pick<Device, 'state' | 'stateCause' | 'stateSince' | 'lastSeen' | 'metricCount'>;

/**
 * Why a device is in its state, and for how long, at `now` (epoch ms): "silent for 5 min", "connection lost 2 h ago".
 * Empty where the state says it all.
 */
export function causeText({ state, stateCause, stateSince, lastSeen, metricCount }: Told, now: number): string {
  // Readings stay when a device is deleted, and are those of the next device under its id.
  if (state === 'unknown') return lastSeen === null && metricCount === 0 ? 'never heard of' : '';
  const span = stateSince === null ? null : spanText(now - Date.parse(stateSince));
  if (state === 'online') return span === null ? '' : `for ${span}`;
  const ago = span === null ? '' : ` ${span} ago`;
  switch (stateCause) {
    case 'silent':
      return lastSeen === null ? 'silent' : `silent for ${spanText(now - Date.parse(lastSeen))}`;
    case 'connection_lost':
      return `connection lost${ago}`;
    case 'disconnected':
      return `disconnected${ago}`;
    case 'reported':
      return `said so${ago}`;
    default:
      return span === null ? '' : `for ${span}`;
  }
}

/** What a person calls it. */
export function nameOf(device: Pick<Device, 'id' | 'name'>): string {
  return device.name === '' ? device.id : device.name;
}

/** `room:lab`, in order of the keys. */
export function tagTexts(tags: Device['tags']): string[] {
  return Object.entries(tags)
    .map(([key, value]) => `${key}:${value}`)
    .toSorted();
}

/** Reads `room:lab, line:2`; null when a part has no colon or no key. */
export function parseTags(text: string): Record<string, string> | null {
  const tags: Record<string, string> = {};
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '') continue;
    const at = part.indexOf(':');
    if (at < 1) return null;
    Object.defineProperty(tags, part.slice(0, at).trim(), {
      value: part.slice(at + 1).trim(),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return tags;
}
