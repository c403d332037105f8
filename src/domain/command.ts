/** JSON as `JSON.parse` makes it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * `queued`: on disk, not yet handed to the broker (its device is away). `sent`: published to the device. The others are
 * final; `expired` when `expiresAt` came first.
 */
export type CommandState = 'queued' | 'sent' | 'succeeded' | 'failed' | 'expired' | 'cancelled';

/** Something asked of a device. */
export interface Command {
  readonly id: string;
  readonly device: string;
  readonly name: string;
  readonly params: Json;
  readonly state: CommandState;
  /** What the device answered, or why it failed; null until then. */
  readonly result: Json;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** When it was published last, epoch ms. */
  readonly sentAt: number | null;
  /** When it reached a final state, epoch ms. */
  readonly settledAt: number | null;
}

/** A device's answer to a command, as a dialect decoded it. */
export interface CommandReply {
  readonly device: string;
  readonly id: string;
  readonly status: 'succeeded' | 'failed';
  readonly result: Json;
}

export function isFinal(state: CommandState): boolean {
  return state !== 'queued' && state !== 'sent';
}
