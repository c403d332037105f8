import { type LevelNode, LevelTree } from '../level-tree.ts';

/** Values by topic name, found by filter (MQTT 3.1.1 section 4.7) without looking at every topic. */
export class TopicTree<T> {
  readonly #topics = new LevelTree<T>();
  #size = 0;

  /** Topics that have a value. */
  get size(): number {
    return this.#size;
  }

  get(topic: string): T | undefined {
    return this.#topics.get(topic);
  }

  set(topic: string, value: T): void {
    if (this.#topics.get(topic) === undefined) this.#size++;
    this.#topics.set(topic, value);
  }

  delete(topic: string): void {
    if (this.#topics.delete(topic)) this.#size--;
  }

  /** Values whose topic the filter matches. A wildcard in front finds no topic that begins with `$`. */
  *matching(filter: string): Generator<T> {
    yield* below(this.#topics.root, filter.split('/'), 0);
  }
}

function* below<T>(node: LevelNode<T>, levels: readonly string[], depth: number): Generator<T> {
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

function* everything<T>(node: LevelNode<T>, isRoot: boolean): Generator<T> {
  if (node.value !== undefined) yield node.value;
  for (const [name, child] of node.children) {
    if (!isRoot || !name.startsWith('$')) yield* everything(child, false);
  }
}
