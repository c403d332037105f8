import type { Value } from './reading.ts';

export type DeviceStatus = 'online' | 'offline';

/**
 * How a device's status became known: it said so itself (`reported`), its connection opened, ended or broke (its will is
 * `reported`), or nothing was heard for longer than it is expected to be silent; a message ends a `silent` spell.
 */
export type StatusCause = 'reported' | 'connected' | 'disconnected' | 'connection_lost' | 'silent' | 'heard';

/** A device that asked for its own token with a provisioning key. */
export interface Provisioned {
  readonly profile: string;
  /** Id of the provisioning key. */
  readonly key: string;
  /** Whether a person must approve it; the decision itself is in the catalog. */
  readonly needsApproval: boolean;
  /** Epoch ms. */
  readonly at: number;
}

/** Something a machine told about itself that is worth a row; ordinary readings only move `lastSeen`. */
export interface DeviceFact {
  readonly device: string;
  /** Receipt time, epoch ms. */
  readonly at: number;
  readonly status?: DeviceStatus | undefined;
  /** Given with `status`. */
  readonly cause?: StatusCause | undefined;
  /** Merged into the attributes known so far, see `withAttributes`. */
  readonly attributes?: Readonly<Record<string, Value>> | undefined;
  /** How many messages of the device had their clock corrected since the last fact. */
  readonly clockCorrected?: number | undefined;
  readonly provisioned?: Provisioned | undefined;
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
  readonly statusCause: StatusCause | null;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly clockCorrected: number;
  /** null for a device that was not provisioned by itself. */
  readonly provisioned: Provisioned | null;
}

/** Most devices tell nothing of themselves, and 25,000 empty objects are a megabyte. */
export const noAttributes: DeviceRecord['attributes'] = {};

/** A device on its first appearance. */
export function newDevice(device: string, at: number): DeviceRecord {
  return {
    device,
    firstSeen: at,
    lastSeen: at,
    status: null,
    statusAt: null,
    statusCause: null,
    attributes: noAttributes,
    clockCorrected: 0,
    provisioned: null,
  };
}

/** A device's status became another; both are those of the store, before and after one commit. */
export interface StatusChange {
  readonly device: string;
  readonly status: DeviceStatus;
  readonly cause: StatusCause;
  /** When it happened, epoch ms. */
  readonly at: number;
  /** null when nothing was known. */
  readonly previous: DeviceStatus | null;
}

/** Whether a fact comes of something that the device did just then, and so moves `lastSeen`. */
export function isSignOfLife({ cause }: Pick<DeviceFact, 'cause'>): boolean {
  return cause !== 'silent' && cause !== 'connection_lost' && cause !== 'heard';
}

/** Most attributes of one device. */
export const attributesMax = 250;

/**
 * What is known of a device with what it tells now. Names that were told first make room for new ones beyond
 * `attributesMax`: a device that makes up names does not grow without end.
 */
export function withAttributes(
  known: Readonly<Record<string, Value>>,
  told: Readonly<Record<string, Value>>,
): Readonly<Record<string, Value>> {
  const merged = { ...known, ...told };
  const excess = Object.keys(merged).length - attributesMax;
  if (excess <= 0) return merged;
  // What is told anew stands behind what is only known, so that it is not the first to go.
  const rest = Object.entries(known).filter(([name]) => !Object.hasOwn(told, name));
  return Object.fromEntries([...rest, ...Object.entries(told)].slice(excess));
}
