/** A refused message, kept as it came. */
export interface QuarantineEntry {
  /** Receipt time, epoch ms. */
  readonly receivedAt: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** MQTT client id, or null. */
  readonly client: string | null;
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
