interface Node<T> {
  /** By client: subscriptions whose filter ends here … */
  readonly here: Map<string, T>;
  /** … and with `/#` behind. */
  readonly deep: Map<string, T>;
  readonly children: Map<string, Node<T>>;
}

/** Subscriptions by filter, found by topic (MQTT 3.1.1 section 4.7). One client has a filter at most once. */
export class SubscriptionTree<T> {
  readonly #root: Node<T> = makeNode();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  set(filter: string, client: string, subscription: T): void {
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
    const kept = isDeep ? node.deep : node.here;
    if (!kept.has(client)) this.#size++;
    kept.set(client, subscription);
  }

  delete(filter: string, client: string): void {
    const { levels, isDeep } = parse(filter);
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (!child) return;
      path.push(child);
    }
    const last = path[path.length - 1];
    if (!(isDeep ? last.deep : last.here).delete(client)) return;
    this.#size--;
    for (let depth = levels.length; depth > 0; depth--) {
      const { here, deep, children } = path[depth];
      if (here.size > 0 || deep.size > 0 || children.size > 0) return;
      path[depth - 1].children.delete(levels[depth - 1]);
    }
  }

  /** Every subscription that the topic matches; a client with several filters may be there several times. */
  matching(topic: string): T[] {
    const found: T[] = [];
    if (this.#size > 0) collect(this.#root, topic.split('/'), 0, found);
    return found;
  }
}

function makeNode<T>(): Node<T> {
  return { here: new Map(), deep: new Map(), children: new Map() };
}

function parse(filter: string): { levels: readonly string[]; isDeep: boolean } {
  const levels = filter.split('/');
  const isDeep = levels.at(-1) === '#';
  return { levels: isDeep ? levels.slice(0, -1) : levels, isDeep };
}

function collect<T>(node: Node<T>, levels: readonly string[], depth: number, found: T[]): void {
  // A topic that begins with $ is matched by no wildcard in front [MQTT-4.7.2-1].
  const wild = depth > 0 || !levels[0].startsWith('$');
  if (wild) found.push(...node.deep.values());
  if (depth === levels.length) {
    found.push(...node.here.values());
    return;
  }
  const same = node.children.get(levels[depth]);
  if (same) collect(same, levels, depth + 1, found);
  const any = wild && node.children.get('+');
  if (any) collect(any, levels, depth + 1, found);
}
