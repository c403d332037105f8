import type { Mapping } from '../domain/mapping.ts';
import type { Dialect } from './decoded.ts';
import { type CompiledMapping, compileMapping } from './mapping.ts';

/** The user's mappings in their order: the first whose pattern fits a topic has it. */
export class MappedTopics {
  readonly #mappings: readonly CompiledMapping[];

  /** Throws `InvariantError` for a mapping with faults. */
  constructor(mappings: readonly Mapping[]) {
    this.#mappings = mappings.map(compileMapping);
  }

  /** Walks all patterns; whoever asks remembers the answer. */
  find(topic: string): Dialect | null {
    for (const mapping of this.#mappings) {
      const found = mapping.at(topic);
      if (found) return found;
    }
    return null;
  }

  /** MQTT filters under which the device may publish, each once. */
  filters(device: string): readonly string[] {
    return [...new Set(this.#mappings.flatMap((mapping) => mapping.filter(device) ?? []))];
  }
}
