import type { Mapping } from '../domain/mapping.ts';
import type { Dialect } from './decoded.ts';
import { type CompiledMapping, compileMapping } from './mapping.ts';
import type { PayloadOptions } from './payload.ts';

const none: readonly never[] = [];
/** So many devices' filters are remembered; then it begins anew. */
const rememberedMax = 100_000;

/** The user's mappings in their order: the first whose pattern fits a topic has it. */
export class MappedTopics {
  readonly #mappings: readonly CompiledMapping[];
  readonly #filters = new Map<string, readonly string[]>();

  /** Throws `InvariantError` for a mapping with faults. */
  constructor(mappings: readonly Mapping[], payloads: PayloadOptions) {
    this.#mappings = mappings.map((mapping) => compileMapping(mapping, payloads));
  }

  /** Walks all patterns; whoever asks remembers the answer. */
  find(topic: string): Dialect | null {
    for (const mapping of this.#mappings) {
      const found = mapping.at(topic);
      if (found) return found;
    }
    return null;
  }

  /** MQTT filters under which the device may publish, each once. The same array each time: it is asked for every message. */
  filters(device: string): readonly string[] {
    if (this.#mappings.length === 0) return none;
    const known = this.#filters.get(device);
    if (known) return known;
    const filters = [...new Set(this.#mappings.flatMap((mapping) => mapping.filter(device) ?? []))];
    if (this.#filters.size >= rememberedMax) this.#filters.clear();
    this.#filters.set(device, filters);
    return filters;
  }
}
