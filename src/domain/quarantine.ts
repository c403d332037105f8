import type { Sender } from './principal.ts';

/** A refused message, kept as it came. */
export interface QuarantineEntry {
  /** Receipt time, epoch ms. */
  readonly receivedAt: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** MQTT client id, or null. */
  readonly client: string | null;
  /** The device whose connection it came on, or null; `forOthers` as it was then. Needed to try it again. */
  readonly sender: Sender;
  /** A code of the error registry. */
  readonly reason: string;
  /** RFC 6901 pointer into the payload, "" for the whole. */
  readonly pointer: string;
  readonly detail: string;
}

export interface QuarantineRecord extends QuarantineEntry {
  /** Ascending. */
  readonly id: number;
}
