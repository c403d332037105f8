import { type LevelNode, LevelTree } from '../level-tree.ts';

/** Of one filter, by client. */
type OfFilter<T> = Map<string, T>;

/** Subscriptions by filter, found by topic (MQTT 3.1.1 section 4.7). One client has a filter at most once. */
export class SubscriptionTree<T> {
  readonly #filters = new LevelTree<OfFilter<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  set(filter: string, client: string, subscription: T): void {
    let clients = this.#filters.get(filter);
    if (!clients) {
      clients = new Map();
      this.#filters.set(filter, clients);
    }
    if (!clients.has(client)) this.#size++;
    clients.set(client, subscription);
  }

  delete(filter: string, client: string): void {
    const clients = this.#filters.get(filter);
    if (!clients?.delete(client)) return;
    this.#size--;
    if (clients.size === 0) this.#filters.delete(filter);
  }

  /** Every subscription that the topic matches; a client with several filters may be there several times. */
  matching(topic: string): T[] {
    const found: T[] = [];
    if (this.#size > 0) collect(this.#filters.root, topic.split('/'), 0, found);
    return found;
  }
}

function collect<T>(node: LevelNode<OfFilter<T>>, levels: readonly string[], depth: number, found: T[]): void {
  // A topic that begins with $ is matched by no wildcard in front [MQTT-4.7.2-1].
  const wild = depth > 0 || !levels[0].startsWith('$');
  if (wild) found.push(...(node.children.get('#')?.value?.values() ?? []));
  if (depth === levels.length) {
    found.push(...(node.value?.values() ?? []));
    return;
  }
  const same = node.children.get(levels[depth]);
  if (same) collect(same, levels, depth + 1, found);
  const any = wild && node.children.get('+');
  if (any) collect(any, levels, depth + 1, found);
}
