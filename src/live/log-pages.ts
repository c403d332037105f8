import type { LogPage } from '../domain/commit.ts';
import type { ReadLog } from './ports.ts';

interface KeptPage {
  readonly after: number;
  readonly page: LogPage;
}

/**
 * Pages of the commit log, read once for everybody. One read is in flight at a time; whoever waits for it looks into
 * the kept pages again before reading more. A kept page serves every position inside it, so clients that resume from
 * nearby positions meet at the end of the page and go on together.
 */
export class LogPages {
  readonly #read: ReadLog;
  readonly #readingsMax: number;
  readonly #pagesKept: number;
  readonly #onRead: () => void;
  #kept: KeptPage[] = [];
  #reading: Promise<void> | null = null;

  constructor(options: { read: ReadLog; readingsMax: number; pagesKept: number; onRead: () => void }) {
    this.#read = options.read;
    this.#readingsMax = options.readingsMax;
    this.#pagesKept = options.pagesKept;
    this.#onRead = options.onRead;
  }

  /** A page in which the commit after `after` is found, or that shows it trimmed, or that is empty. May begin earlier. */
  async page(after: number): Promise<LogPage> {
    for (;;) {
      const kept = this.#find(after);
      if (kept) return kept;
      if (this.#reading) await this.#reading;
      else return await this.#fetch(after);
    }
  }

  /** Lets go of the pages; called when nobody catches up any more. */
  forget(): void {
    this.#kept = [];
  }

  async #fetch(after: number): Promise<LogPage> {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#reading = done;
    try {
      this.#onRead();
      const page = await this.#read({ after, readingsMax: this.#readingsMax });
      // An empty page would hide what is committed next.
      if (page.last > after) {
        this.#kept.push({ after, page });
        if (this.#kept.length > this.#pagesKept) this.#kept.shift();
      }
      return page;
    } finally {
      this.#reading = null;
      resolve();
    }
  }

  #find(after: number): LogPage | null {
    for (const { after: from, page } of this.#kept) {
      if (from <= after && after < page.last) return page;
    }
    return null;
  }
}
