import type { Clock, Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Commit } from '../domain/commit.ts';
import {
  type DeviceFact,
  type DeviceRecord,
  type DeviceStatus,
  isSignOfLife,
  type StatusCause,
} from '../domain/device.ts';
import { TurnWheel } from './turn-wheel.ts';

export interface PresenceParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Time of receipt, epoch ms. */
  readonly now: () => number;
  /** Devices as they are committed; who was online before a restart is unknown there until heard of. */
  readonly devices: { get(device: string): DeviceRecord | undefined };
  /** How long a device may be silent, ms: three times its interval or what its class is given. */
  readonly silenceAllowed: (device: string) => number;
  /** A device that comes, sends and leaves: the end of its connection says nothing. */
  readonly isSleepy: (device: string) => boolean;
  /** Commits facts; rejects when they could not be kept. */
  readonly commit: (facts: readonly DeviceFact[]) => Promise<void>;
}

const tickMs = 1_000;
/** A connection that is back within this long never was away: a take-over, or a network that changed. */
const graceMs = 1_000;
/** How often it is asked whether a silent device was heard of again. */
const pollMs = 5_000;

/** What is remembered of a device that is watched for silence. */
interface Watch {
  /** Its `lastSeen` at the last look. */
  lastSeen: number;
  /** Monotonic time of that look, ms. */
  lookedAt: number;
  /** Monotonic time since which nothing was heard, ms. */
  silentSince: number;
  /** Whether it was heard of since the gateway started. */
  wasHeard: boolean;
}

/**
 * Whether devices are there, from their connections and from their silence; what they say of themselves comes with
 * their messages. An open connection is as good as a message, since MQTT keeps it alive. Who said that it is offline
 * stays so until it says otherwise or connects.
 *
 * Messages cost nothing: a device is looked at when its turn comes, and then its `lastSeen` tells. Silence is counted on
 * the monotonic clock, so that nobody goes away because a wall clock was set.
 */
export class Presence {
  readonly #parts: PresenceParts;
  readonly #connections = new Map<string, number>();
  /** Devices whose last connection ended a moment ago. */
  readonly #leaving = new Map<string, { readonly cause: StatusCause; readonly at: number; readonly since: number }>();
  readonly #watched = new Map<string, Watch>();
  readonly #wheel = new TurnWheel(tickMs);
  /** Facts that are not on disk yet, the newest of each device. */
  readonly #wanted = new Map<string, DeviceFact>();
  #isCommitting = false;
  #timer: Timer | undefined;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** How many devices are watched. */
  get watched(): number {
    return this.#watched.size;
  }

  /** Takes over what was recovered; silence counts from now on. */
  start(records: readonly DeviceRecord[]): void {
    for (const { device, status, statusCause } of records) {
      if (status !== 'offline' || statusCause === 'silent') this.#watch(device);
    }
    this.#planTick();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** A connection of the device was accepted. */
  opened(device: string): void {
    const count = (this.#connections.get(device) ?? 0) + 1;
    this.#connections.set(device, count);
    this.#leaving.delete(device);
    if (count === 1 && this.#statusOf(device) !== 'online') this.#want(device, 'online', 'connected');
    this.#flush();
  }

  /** A connection of the device ended. */
  closed(device: string, cause: 'disconnected' | 'connection_lost'): void {
    const count = (this.#connections.get(device) ?? 0) - 1;
    if (count > 0) {
      this.#connections.set(device, count);
      return;
    }
    this.#connections.delete(device);
    const since = this.#parts.clock.monotonic();
    if (!this.#parts.isSleepy(device)) {
      this.#leaving.set(device, { cause, at: this.#parts.now(), since });
      return;
    }
    // Until now its connection spoke for it.
    this.#watch(device).silentSince = since;
  }

  /** Hears of every commit. */
  apply({ deviceFacts, forgottenDevices }: Pick<Commit, 'deviceFacts' | 'forgottenDevices'>): void {
    for (const device of forgottenDevices) {
      this.#watched.delete(device);
      this.#wanted.delete(device);
      this.#wheel.remove(device);
    }
    for (const fact of deviceFacts) {
      const { device, status } = fact;
      const isKnown = this.#watched.has(device);
      if (status === undefined && isKnown) continue;
      const watch = this.#watch(device);
      // Asking for a token, over HTTP perhaps, is not yet being there.
      if (!isKnown && isSignOfLife(fact) && !fact.provisioned) watch.wasHeard = true;
    }
  }

  /** Begins to watch, or looks anew in a moment: something has changed. */
  #watch(device: string): Watch {
    const now = this.#parts.clock.monotonic();
    let watch = this.#watched.get(device);
    if (!watch) {
      const lastSeen = this.#parts.devices.get(device)?.lastSeen ?? 0;
      watch = { lastSeen, lookedAt: now, silentSince: now, wasHeard: false };
      this.#watched.set(device, watch);
    }
    this.#wheel.plan(device, now + tickMs);
    return watch;
  }

  #planTick(): void {
    this.#timer = this.#parts.clock.after(tickMs, () => {
      this.#tick();
      this.#planTick();
    });
  }

  #tick(): void {
    const now = this.#parts.clock.monotonic();
    for (const [device, { cause, at, since }] of this.#leaving) {
      if (now - since < graceMs) break;
      this.#leaving.delete(device);
      // Neither who said goodbye in its own words nor who was forgotten in the meantime.
      if (this.#statusOf(device) === 'online') this.#want(device, 'offline', cause, at);
    }
    for (const device of this.#wheel.due(now)) this.#look(device, now);
    this.#flush();
  }

  /** A device's turn has come. */
  #look(device: string, now: number): void {
    const record = this.#parts.devices.get(device);
    const watch = this.#watched.get(device);
    if (!record || !watch) {
      this.#watched.delete(device);
      return;
    }
    this.#listen(record, watch, now);
    const next = this.#wanted.has(device) ? tickMs : this.#judge(record, watch, now);
    if (next === null) this.#watched.delete(device);
    else this.#wheel.plan(device, now + next);
  }

  /** Brings `watch` up to date. */
  #listen({ device, lastSeen }: DeviceRecord, watch: Watch, now: number): void {
    if (lastSeen > watch.lastSeen) {
      watch.wasHeard = true;
      // When exactly, the wall clock says, but it cannot have been before the last look.
      const ago = Math.max(this.#parts.now() - lastSeen, 0);
      watch.silentSince = Math.max(now - ago, watch.lookedAt);
    }
    if (this.#connections.has(device) || this.#leaving.has(device)) watch.silentSince = now;
    watch.lastSeen = lastSeen;
    watch.lookedAt = now;
  }

  /** What follows from silence; when to look again, ms, or null for not before something changes. */
  #judge(
    { device, status, statusAt, statusCause, lastSeen }: DeviceRecord,
    { silentSince, wasHeard }: Watch,
    now: number,
  ): number | null {
    if (status === 'offline') {
      if (statusCause !== 'silent') return null;
      // `lastSeen` is not moved by the fact that it is silent, so anything newer was said since.
      if (lastSeen > (statusAt ?? 0)) this.#want(device, 'online', 'heard');
      return pollMs;
    }
    const left = this.#parts.silenceAllowed(device) - (now - silentSince);
    if (left <= 0) {
      this.#want(device, 'offline', 'silent');
      return pollMs;
    }
    if (status === 'online') return left;
    // Unknown: it was online before a restart, or it is new.
    if (wasHeard) this.#want(device, 'online', 'heard');
    return Math.min(left, pollMs);
  }

  /** The status as it will be once everything wanted is on disk. */
  #statusOf(device: string): DeviceStatus | null {
    return this.#wanted.get(device)?.status ?? this.#parts.devices.get(device)?.status ?? null;
  }

  #want(device: string, status: DeviceStatus, cause: StatusCause, at = this.#parts.now()): void {
    this.#wanted.set(device, { device, at, status, cause });
  }

  /** Everything wanted in one commit; what cannot be kept stays wanted for the next tick. */
  #flush(): void {
    if (this.#wanted.size === 0 || this.#isCommitting) return;
    const facts = [...this.#wanted.values()];
    this.#isCommitting = true;
    this.#parts
      .commit(facts)
      .then(
        () => {
          for (const fact of facts) if (this.#wanted.get(fact.device) === fact) this.#wanted.delete(fact.device);
        },
        (error: unknown) => {
          this.#parts.log.warn(
            { devices: facts.length, error: messageOf(error) },
            'who came and went was not kept yet',
          );
        },
      )
      .finally(() => {
        this.#isCommitting = false;
      });
  }
}
