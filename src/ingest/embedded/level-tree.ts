/** A place in the tree; `value` is what stands exactly here. */
export interface LevelNode<T> {
  value: T | undefined;
  readonly children: Map<string, LevelNode<T>>;
}

/**
 * Values by topic name or topic filter, level by level (MQTT 3.1.1 section 4.7.1.1). Places that hold nothing any more
 * are taken away. Wildcards are levels like any other here; what they mean is for whoever walks the tree.
 */
export class LevelTree<T> {
  readonly root: LevelNode<T> = { value: undefined, children: new Map() };

  get(name: string): T | undefined {
    let node: LevelNode<T> | undefined = this.root;
    for (const level of name.split('/')) node = node?.children.get(level);
    return node?.value;
  }

  set(name: string, value: T): void {
    let node = this.root;
    for (const level of name.split('/')) {
      let child = node.children.get(level);
      if (!child) {
        child = { value: undefined, children: new Map() };
        node.children.set(level, child);
      }
      node = child;
    }
    node.value = value;
  }

  /** Whether there was a value. */
  delete(name: string): boolean {
    const levels = name.split('/');
    const path = [this.root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (!child) return false;
      path.push(child);
    }
    const last = path[path.length - 1];
    if (last.value === undefined) return false;
    last.value = undefined;
    for (let depth = levels.length; depth > 0; depth--) {
      if (path[depth].value !== undefined || path[depth].children.size > 0) break;
      path[depth - 1].children.delete(levels[depth - 1]);
    }
    return true;
  }
}
