interface Node<T> {
  value: T | undefined;
  readonly children: Map<string, Node<T>>;
}

/** Values by topic name, found by filter (MQTT 3.1.1 section 4.7) without looking at every topic. */
export class TopicTree<T> {
  readonly #root: Node<T> = { value: undefined, children: new Map() };
  #size = 0;

  /** Topics that have a value. */
  get size(): number {
    return this.#size;
  }

  get(topic: string): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const level of topic.split('/')) node = node?.children.get(level);
    return node?.value;
  }

  set(topic: string, value: T): void {
    let node = this.#root;
    for (const level of topic.split('/')) {
      let child = node.children.get(level);
      if (!child) {
        child = { value: undefined, children: new Map() };
        node.children.set(level, child);
      }
      node = child;
    }
    if (node.value === undefined) this.#size++;
    node.value = value;
  }

  delete(topic: string): void {
    const levels = topic.split('/');
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (!child) return;
      path.push(child);
    }
    const last = path[path.length - 1];
    if (last.value === undefined) return;
    last.value = undefined;
    this.#size--;
    for (let depth = levels.length; depth > 0; depth--) {
      if (path[depth].value !== undefined || path[depth].children.size > 0) return;
      path[depth - 1].children.delete(levels[depth - 1]);
    }
  }

  /** Values whose topic the filter matches. A wildcard in front finds no topic that begins with `$`. */
  *matching(filter: string): Generator<T> {
    yield* below(this.#root, filter.split('/'), 0);
  }
}

function* below<T>(node: Node<T>, levels: readonly string[], depth: number): Generator<T> {
  if (depth === levels.length) {
    if (node.value !== undefined) yield node.value;
    return;
  }
  const level = levels[depth];
  if (level === '#') {
    yield* everything(node, depth === 0);
    return;
  }
  if (level !== '+') {
    const child = node.children.get(level);
    if (child) yield* below(child, levels, depth + 1);
    return;
  }
  for (const [name, child] of node.children) {
    if (depth > 0 || !name.startsWith('$')) yield* below(child, levels, depth + 1);
  }
}

function* everything<T>(node: Node<T>, isRoot: boolean): Generator<T> {
  if (node.value !== undefined) yield node.value;
  for (const [name, child] of node.children) {
    if (!isRoot || !name.startsWith('$')) yield* everything(child, false);
  }
}
