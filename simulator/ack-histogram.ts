/** Each bucket is this much wider than the one before: a percentile is at most 2 % above the true value. */
const growth = 1.02;
const smallestMs = 0.01;
const buckets = 1_100;

/** Acknowledgement times in milliseconds, in a fixed 8.8 KB whatever the number of messages; covers 0.01 ms to 8 h. */
export class AckHistogram {
  readonly #counts = new Float64Array(buckets);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  record(ms: number): void {
    const bucket = ms <= smallestMs ? 0 : Math.ceil(Math.log(ms / smallestMs) / Math.log(growth));
    const at = Math.min(buckets - 1, bucket);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count++;
    if (ms > this.#max) this.#max = ms;
  }

  /** The time that `share` (0 to 1) of the acknowledgements did not exceed, ms; 0 when there were none. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return Math.min(this.#max, smallestMs * growth ** bucket);
    }
    return 0;
  }

  summary(): AckSummary {
    return {
      p50: hundredths(this.quantile(0.5)),
      p95: hundredths(this.quantile(0.95)),
      p99: hundredths(this.quantile(0.99)),
      max: hundredths(this.#max),
    };
  }
}

/** Milliseconds from handing a message over to its acknowledgement. */
export interface AckSummary {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
