/** Something that is wrong with a store, as the doctor tells it. Times are epoch ms. */
export type Finding =
  /** The file itself, as SQLite sees it: nothing in it can be relied on. */
  | { readonly kind: 'file'; readonly detail: string }
  /** A chunk that cannot be read, or says of itself what is not so. `lastTime` is inclusive. */
  | {
      readonly kind: 'chunk';
      readonly device: string;
      readonly metric: string;
      readonly firstTime: number;
      readonly lastTime: number;
      readonly readings: number;
      readonly detail: string;
      readonly series: number;
      readonly number: number;
    }
  /** A commit of the log. `isNeeded`: its readings are in no chunk yet, and the gateway does not start without them. */
  | {
      readonly kind: 'commit';
      readonly seq: number;
      readonly at: number;
      readonly readings: number;
      readonly isNeeded: boolean;
      readonly detail: string;
    }
  /** What was summed up of a window of time; it is made again from the readings where they are still kept. */
  | {
      readonly kind: 'rollup';
      readonly device: string;
      readonly metric: string;
      readonly tier: 'minute' | 'hour';
      readonly from: number;
      readonly to: number;
      readonly detail: string;
      readonly id: number;
    }
  /** A number that is kept beside what it counts, and differs. */
  | { readonly kind: 'total'; readonly name: string; readonly kept: number; readonly counted: number }
  /** A file of secrets that others can read. */
  | { readonly kind: 'mode'; readonly file: string; readonly detail: string };
