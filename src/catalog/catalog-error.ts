import type { Fault } from '../base/errors.ts';
import type { Place } from './json-text.ts';

/** A fault of a file with the place to mend it at. */
export interface FileFault extends Fault {
  readonly place: Place;
}

/** What a text has wrong, before it is known which file it came from. */
export class FileFaults extends Error {
  override readonly name = 'FileFaults';
  readonly faults: readonly FileFault[];

  constructor(faults: readonly FileFault[]) {
    super(faults.map(({ place, detail }) => `line ${place.line}, column ${place.column}: ${detail}`).join('\n'));
    this.faults = faults;
  }
}

/**
 * A file of people's decisions cannot be used. The message is for people: which file, where in it, what is wrong, and which
 * copy was last good. The file itself is never touched.
 */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly file: string;
  /** What is wrong, without where the file stands: fit for strangers too. */
  readonly problem: string;
  readonly faults: readonly FileFault[];
  readonly lastGood: string | null;

  constructor(parts: {
    readonly file: string;
    readonly problem: string;
    readonly faults: readonly FileFault[];
    readonly lastGood: string | null;
    readonly cause?: unknown;
  }) {
    const copy = parts.lastGood === null ? 'there is no earlier copy' : `the last good copy is ${parts.lastGood}`;
    super(`${parts.file} cannot be used: ${parts.problem}\nIt was left as it is; ${copy}.`, { cause: parts.cause });
    this.file = parts.file;
    this.problem = parts.problem;
    this.faults = parts.faults;
    this.lastGood = parts.lastGood;
  }
}
