import { RejectedError } from '../base/errors.ts';
import { isMetricName } from '../domain/series.ts';
import { foreignMetric } from './foreign-name.ts';
import type { SparkplugMetric } from './sparkplug-payload.ts';
import { isSingle } from './sparkplug-value.ts';

/** What a birth says of a metric. */
export interface MetricDefinition {
  /** As the birth has it. */
  readonly name: string;
  /** The device behind the edge node that it belongs to; null for the node's own. */
  readonly owner: string | null;
  readonly alias: bigint | null;
  readonly datatype: number;
  /** What becomes of its values: a reading of this metric, an attribute of this name, or nothing. */
  readonly use: { readonly kind: 'reading' | 'attribute'; readonly name: string } | { readonly kind: 'nothing' };
}

/** What a birth begins: from here on metrics are known by their alias. Ends with the death of the same bdSeq. */
export class SparkplugSession {
  readonly bdSeq: bigint | null;
  /** The owners that are born. */
  readonly owners = new Set<string>();
  readonly #byAlias = new Map<bigint, MetricDefinition>();
  readonly #byOwner = new Map<string | null, ReadonlyMap<string, MetricDefinition>>();
  #seq: number;
  #size = 0;

  constructor(bdSeq: bigint | null, seq: number) {
    this.bdSeq = bdSeq;
    this.#seq = seq;
  }

  /** How much is remembered: owners and metrics, each by the length of its name (see `weightOf`). */
  get size(): number {
    return this.#size;
  }

  /** Goes on to `seq` (0 … 255, after 255 comes 0); false when a message is missing before it. */
  advance(seq: bigint | null): boolean {
    const expected = (this.#seq + 1) % 256;
    this.#seq = seq === null ? expected : Number(BigInt.asUintN(8, seq));
    return this.#seq === expected;
  }

  /** The definitions of an owner, in place of those it had. */
  define(owner: string | null, definitions: readonly MetricDefinition[]): void {
    this.forget(owner);
    this.#byOwner.set(owner, new Map(definitions.map((definition) => [definition.name, definition])));
    for (const definition of definitions)
      if (definition.alias !== null) this.#byAlias.set(definition.alias, definition);
    this.#size += 1 + totalOf(definitions);
    if (owner !== null) this.owners.add(owner);
  }

  forget(owner: string | null): void {
    const known = this.#byOwner.get(owner);
    if (!known) return;
    this.#byOwner.delete(owner);
    for (const { alias } of known.values()) {
      if (alias !== null && this.#byAlias.get(alias)?.owner === owner) this.#byAlias.delete(alias);
    }
    this.#size -= 1 + totalOf(known.values());
    if (owner !== null) this.owners.delete(owner);
  }

  /** By alias or name; an alias of another owner is unknown. */
  find({ alias, name }: Pick<SparkplugMetric, 'alias' | 'name'>, owner: string | null): MetricDefinition | null {
    const definition =
      name === null ? (alias === null ? undefined : this.#byAlias.get(alias)) : this.#byOwner.get(owner)?.get(name);
    return definition?.owner === owner ? definition : null;
  }

  /** By the name of the reading or as the birth has it. */
  named(name: string, owner: string | null): MetricDefinition | null {
    const definitions = this.#byOwner.get(owner);
    const exact = definitions?.get(name);
    if (exact) return exact;
    return [...(definitions?.values() ?? [])].find(({ use }) => use.kind === 'reading' && use.name === name) ?? null;
  }
}

/** One, and one more for every 256 characters of its name, which a stranger may make as long as a packet. */
function weightOf({ name }: MetricDefinition): number {
  return 1 + (name.length >> 8);
}

function totalOf(definitions: Iterable<MetricDefinition>): number {
  let total = 0;
  for (const definition of definitions) total += weightOf(definition);
  return total;
}

/** What a metric that carries its name and type says of itself; null for one that does not. */
export function definitionOf(metric: SparkplugMetric, owner: string | null): MetricDefinition | null {
  const { name, alias, datatype } = metric;
  if (name === null || name === '' || datatype === null) return null;
  // What is born transient is not to be kept, also when later values do not say so again.
  return { name, owner, alias, datatype, use: metric.isTransient ? { kind: 'nothing' } : useOf(name, datatype) };
}

/** The definitions of a birth. Throws `payload_invalid` for a metric without name or datatype. */
export function definitionsOf(metrics: readonly SparkplugMetric[], owner: string | null): readonly MetricDefinition[] {
  // Some births repeat a metric; one definition a name is what counts.
  const definitions = new Map<string, MetricDefinition>();
  for (const [index, metric] of metrics.entries()) {
    const definition = definitionOf(metric, owner);
    if (!definition) {
      throw new RejectedError('payload_invalid', 'a metric of a birth has a name and a datatype', {
        pointer: `/metrics/${index}`,
      });
    }
    definitions.set(definition.name, definition);
  }
  return [...definitions.values()];
}

/** `bdSeq` and the controls are the protocol's own; what stands under `Properties/` are facts of the device. */
function useOf(name: string, datatype: number): MetricDefinition['use'] {
  if (name === 'bdSeq' || /^(Node|Device) Control\//.test(name) || !isSingle(datatype)) return { kind: 'nothing' };
  const property = /^Properties\/(.+)$/s.exec(name)?.[1];
  if (property !== undefined) return { kind: 'attribute', name: foreignMetric(property).slice(0, 128) };
  const metric = foreignMetric(name);
  return isMetricName(metric) ? { kind: 'reading', name: metric } : { kind: 'nothing' };
}
