import { type LevelNode, LevelTree } from './level-tree.ts';

/**
 * Topic filters that somebody subscribed to (MQTT 3.1.1 section 4.7), as a tree of their levels: whether a topic matches
 * any costs a look-up a level, and nothing where there are none. Topics beginning with `$` are not asked about.
 */
export class FilterTree {
  /** By filter: how many have it. */
  readonly #counts = new LevelTree<number>();
  #version = 0;

  /** Moves on whenever an answer of `matches` may have changed. */
  get version(): number {
    return this.#version;
  }

  /** The same filter may be added more than once. */
  add(filter: string): void {
    this.#version++;
    this.#counts.set(filter, (this.#counts.get(filter) ?? 0) + 1);
  }

  /** Takes back one `add`; one that never was changes nothing. */
  remove(filter: string): void {
    this.#version++;
    const count = this.#counts.get(filter) ?? 0;
    if (count > 1) this.#counts.set(filter, count - 1);
    else this.#counts.delete(filter);
  }

  matches(topic: string): boolean {
    const { root } = this.#counts;
    return root.children.size > 0 && matchesBelow(root, topic.split('/'), 0);
  }
}

/** `#` stands for any number of levels, none included; `+` for exactly one. */
function matchesBelow(node: LevelNode<number>, levels: readonly string[], depth: number): boolean {
  if (node.children.has('#')) return true;
  if (depth === levels.length) return node.value !== undefined;
  const same = node.children.get(levels[depth]);
  if (same && matchesBelow(same, levels, depth + 1)) return true;
  const any = node.children.get('+');
  return any !== undefined && matchesBelow(any, levels, depth + 1);
}
