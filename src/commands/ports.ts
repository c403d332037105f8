import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Command } from '../domain/command.ts';

/**
 * Who took a command: its device, which is connected or has a durable session that keeps the message; somebody who
 * listens to such topics, which may or may not be the device; or nobody.
 */
export type Taker = 'device' | 'somebody' | 'nobody';

/** What commands need of the rest of the gateway. */
export interface CommandPorts {
  /**
   * Commits commands as they are to be, all or none; resolves once they are on disk and `CommandBook.apply` has heard
   * of it, rejects with `TransientError`.
   */
  readonly commit: (commands: readonly Command[]) => Promise<void>;
  /**
   * Hands a command to its device, in the device's dialect. Rejects with `RejectedError` for a command that its device
   * could not understand, which was not known when it was made.
   */
  readonly publish: (command: Command) => Promise<Taker>;
  /** Throws `RejectedError` for a command that its device could not understand. Every command is asked about; without it all are taken. */
  readonly check?: (command: Command) => void;
  /** Time of receipt, epoch ms; never runs backwards. */
  readonly now: () => number;
  readonly clock: Clock;
  /** Gives an id that can stand in a topic. */
  readonly newId: () => string;
  readonly log: Log;
}

export interface CommandLimits {
  /** Open commands of one device at most. */
  readonly deviceMax: number;
  /** Open commands in all at most. */
  readonly totalMax: number;
}

export const defaultCommandLimits: CommandLimits = { deviceMax: 100, totalMax: 10_000 };

export interface CommandCounts {
  /** Not in a final state. */
  readonly open: number;
  readonly created: number;
  /** Handed over, repetitions included. */
  readonly published: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly expired: number;
  readonly cancelled: number;
  /** Answers to no command, to one that was final already, or to that of another device. */
  readonly repliesIgnored: number;
}
