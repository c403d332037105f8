import type { Value } from './reading.ts';

export type DeviceStatus = 'online' | 'offline';

/** Something a machine told about itself that is worth a row; ordinary readings only move `lastSeen`. */
export interface DeviceFact {
  readonly device: string;
  /** Receipt time, epoch ms. */
  readonly at: number;
  readonly status?: DeviceStatus | undefined;
  /** Merged into the attributes known so far. */
  readonly attributes?: Readonly<Record<string, Value>> | undefined;
  /** How many messages of the device had their clock corrected since the last fact. */
  readonly clockCorrected?: number | undefined;
}

/** What the engine knows of a device. */
export interface DeviceRecord {
  readonly device: string;
  readonly firstSeen: number;
  /** Receipt time of the newest message, epoch ms. */
  readonly lastSeen: number;
  /** null until a status message came. */
  readonly status: DeviceStatus | null;
  readonly statusAt: number | null;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly clockCorrected: number;
}
