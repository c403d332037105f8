import type { Device } from '../contract/device.ts';
import type { List } from '../contract/rest.ts';
import type { RestClient } from './rest-client.ts';

/** Devices that the page asks for at most; a note says when there are more. */
export const fleetMax = 10_000;

export interface Fleet {
  readonly devices: readonly Device[];
  /** False when there are more than `fleetMax`. */
  readonly isComplete: boolean;
}

/** All devices, page after page, in the order of their ids. */
export async function loadFleet(rest: RestClient, signal: AbortSignal): Promise<Fleet> {
  const devices: Device[] = [];
  let next: string | null = null;
  do {
    const page: List<Device> = await rest.get<List<Device>>(
      'api/v1/devices',
      { limit: '1000', ...(next === null ? {} : { page: next }) },
      signal,
    );
    devices.push(...page.items);
    next = page.next;
  } while (next !== null && devices.length < fleetMax);
  return { devices, isComplete: next === null };
}

/** How often the fleet is asked for again: a large one seldom enough that asking is not the load. ms. */
export function fleetEveryMs(size: number): number {
  return size <= 1_000 ? 5_000 : 30_000;
}
