import { RejectedError } from '../base/errors.ts';

const dayMs = 86_400_000;
/** 2000-01-01T00:00:00Z: nothing that we hear of was measured before. */
const earliest = 946_684_800_000;

export interface CorrectionFacts {
  /** The greatest and the smallest time in the message, epoch ms. */
  readonly newest: number;
  readonly oldest: number;
  /** Where these two stand in what was sent, RFC 6901. */
  readonly newestPointer?: string;
  readonly oldestPointer?: string;
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
  const tooOld = implausible(facts.oldest, facts);
  if (tooOld !== null) throw new RejectedError('time_implausible', tooOld, { pointer: facts.oldestPointer ?? '' });
  const tooNew = implausible(facts.newest, facts);
  if (tooNew !== null) throw new RejectedError('time_implausible', tooNew, { pointer: facts.newestPointer ?? '' });
  const ahead = facts.clockTrusted ? facts.newest - facts.receivedAt : 0;
  return ahead > facts.futureMax ? ahead : 0;
}

/** Why a time cannot be, as a sentence; null when it can. */
export function implausible(
  time: number,
  { receivedAt, clockTrusted }: Pick<CorrectionFacts, 'receivedAt' | 'clockTrusted'>,
): string | null {
  if (time < earliest) return `${shownTime(time)} is before the year 2000; has the device set its clock?`;
  if (!clockTrusted || time - receivedAt <= dayMs) return null;
  return `${shownTime(time)} is more than a day ahead of the gateway's clock; times are epoch milliseconds`;
}

function shownTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
