import { RejectedError } from '../base/errors.ts';

/**
 * A position between commits: everything up to and including commit `seq` has been seen. `epoch` is made with the
 * database and changes only by a restore or reset, so a cursor of another life of the database is recognised.
 */
export interface Cursor {
  readonly epoch: string;
  /** 0 is before the first commit. */
  readonly seq: number;
}

export function formatCursor(epoch: string, seq: number): string {
  return `${epoch}:${seq}`;
}

/** Reads `<epoch>:<seq>`. Throws `RejectedError` (`cursor_invalid`) for anything else. */
export function parseCursor(text: string): Cursor {
  const match = /^([A-Za-z0-9]{1,32}):(\d{1,16})$/.exec(text);
  const seq = Number(match?.[2]);
  if (!match?.[1] || !Number.isSafeInteger(seq)) {
    throw new RejectedError(
      'cursor_invalid',
      'a cursor is "<epoch>:<number>" as this gateway handed it out; leave it away to begin now',
    );
  }
  return { epoch: match[1], seq };
}
