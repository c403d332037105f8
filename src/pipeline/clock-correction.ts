import { RejectedError } from '../base/errors.ts';

const dayMs = 86_400_000;
/** 2000-01-01T00:00:00Z: nothing that we hear of was measured before. */
const earliest = 946_684_800_000;

export interface CorrectionFacts {
  /** The greatest and the smallest time in the message, epoch ms. */
  readonly newest: number;
  readonly oldest: number;
  readonly receivedAt: number;
  /** How far ahead a time may be before the message's clock is held to be wrong, ms. */
  readonly futureMax: number;
  /** False while the gateway's own clock is behind its newest commit: then it is no judge of others. */
  readonly clockTrusted: boolean;
}

/**
 * Milliseconds to subtract from every time of a message: 0 for a clock that is right, and for one that is ahead the
 * amount that makes the newest time the time of receipt, spacing kept. Throws `time_implausible` for a message from
 * before the year 2000 or from more than a day ahead.
 */
export function clockCorrection(facts: CorrectionFacts): number {
  if (facts.oldest < earliest)
    throw new RejectedError(
      'time_implausible',
      `${shownTime(facts.oldest)} is before the year 2000; has the device set its clock?`,
    );
  if (!facts.clockTrusted) return 0;
  const ahead = facts.newest - facts.receivedAt;
  if (ahead > dayMs) {
    throw new RejectedError(
      'time_implausible',
      `${shownTime(facts.newest)} is more than a day ahead of the gateway's clock; times are epoch milliseconds`,
    );
  }
  return ahead > facts.futureMax ? ahead : 0;
}

function shownTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
