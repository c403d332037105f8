import type { MetricsSnapshot } from './metrics.ts';

/** One family of `/metrics`: its name, its help text, and the samples of a snapshot as `[labels, value]`. */
export interface Family {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  samples(snapshot: MetricsSnapshot): Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>;
}

/** A family of one sample without labels; left out while there is no value. */
export function single(
  kind: Family['kind'],
  name: string,
  help: string,
  value: (snapshot: MetricsSnapshot) => number | undefined,
): Family {
  return {
    kind,
    name,
    help,
    labels: [],
    samples(snapshot) {
      const sample = value(snapshot);
      return sample === undefined ? [] : [[{}, sample]];
    },
  };
}
