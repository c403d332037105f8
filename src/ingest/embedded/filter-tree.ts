interface Node {
  /** Subscriptions whose filter ends here. */
  count: number;
  /** The same with `/#` behind. */
  deepCount: number;
  readonly children: Map<string, Node>;
}

/**
 * Topic filters that somebody subscribed to (MQTT 3.1.1 section 4.7), as a tree of their levels: whether a topic matches
 * any costs a look-up a level, and nothing where there are none. Topics beginning with `$` are not asked about.
 */
export class FilterTree {
  readonly #root: Node = makeNode();
  #version = 0;

  /** Moves on whenever an answer of `matches` may have changed. */
  get version(): number {
    return this.#version;
  }

  /** The same filter may be added more than once. */
  add(filter: string): void {
    this.#version++;
    const { levels, isDeep } = parse(filter);
    let node = this.#root;
    for (const level of levels) {
      let child = node.children.get(level);
      if (!child) {
        child = makeNode();
        node.children.set(level, child);
      }
      node = child;
    }
    if (isDeep) node.deepCount++;
    else node.count++;
  }

  /** Takes back one `add`; one that never was changes nothing. */
  remove(filter: string): void {
    this.#version++;
    const { levels, isDeep } = parse(filter);
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (!child) return;
      path.push(child);
    }
    const node = path[path.length - 1];
    if (isDeep) node.deepCount = Math.max(node.deepCount - 1, 0);
    else node.count = Math.max(node.count - 1, 0);
    for (let depth = levels.length; depth > 0 && isBare(path[depth]); depth--) {
      path[depth - 1].children.delete(levels[depth - 1]);
    }
  }

  matches(topic: string): boolean {
    return !isBare(this.#root) && matchesBelow(this.#root, topic.split('/'), 0);
  }
}

function makeNode(): Node {
  return { count: 0, deepCount: 0, children: new Map() };
}

function isBare({ count, deepCount, children }: Node): boolean {
  return count === 0 && deepCount === 0 && children.size === 0;
}

function parse(filter: string): { levels: readonly string[]; isDeep: boolean } {
  const levels = filter.split('/');
  const isDeep = levels.at(-1) === '#';
  return { levels: isDeep ? levels.slice(0, -1) : levels, isDeep };
}

/** `#` stands for any number of levels, none included; `+` for exactly one. */
function matchesBelow(node: Node, levels: readonly string[], depth: number): boolean {
  if (node.deepCount > 0) return true;
  if (depth === levels.length) return node.count > 0;
  const same = node.children.get(levels[depth]);
  if (same && matchesBelow(same, levels, depth + 1)) return true;
  const any = node.children.get('+');
  return any !== undefined && matchesBelow(any, levels, depth + 1);
}
