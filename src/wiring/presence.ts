import type { DeviceBook } from '../access/device-book.ts';
import { Presence } from '../pipeline/presence.ts';
import type { Memory } from './memory.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** A device is given so many of its intervals before its silence means something. */
const intervals = 3;

/** Whether devices are there: their connections, and how long their profile lets them be silent. */
export function buildPresence(
  { config, clock, log, stops }: Surroundings,
  { memory, stream, book }: { readonly memory: Memory; readonly stream: Stream; readonly book: DeviceBook },
): Presence {
  const { offlineAfter, sleepyOfflineAfter } = config.device;
  const presence = new Presence({
    clock,
    log,
    now: () => stream.receiptClock.now(),
    devices: memory.devices,
    silenceAllowed(device) {
      const profile = book.profileOf(device);
      const ofClass = profile?.presence === 'sleepy' ? sleepyOfflineAfter : offlineAfter;
      return Math.max(ofClass, (profile?.interval ?? 0) * intervals);
    },
    isSleepy: (device) => book.profileOf(device)?.presence === 'sleepy',
    commit: (facts) => stream.commit({ facts }),
  });
  presence.start(memory.recovered.devices);
  stops.push('presence', () => presence.stop());
  return presence;
}
