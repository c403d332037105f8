import { Aedes, type AedesOptions, type Subscription } from 'aedes';
import type { SubscribedTopics } from './express-lane-topics.ts';
import { FilterTree } from './filter-tree.ts';
import { GuardedConnection } from './guarded-connection.ts';
import { makeNoNumbersAhead } from './packet-numbers.ts';
import { PubrecOrder } from './pubrec-order.ts';

type Publish = Parameters<Aedes['publish']>;
type Subscribe = Parameters<Aedes['subscribe']>;

/**
 * aedes that forwards only what somebody asked for. Left to itself it looks for subscribers twice a message, of those
 * who are here and of sessions whose client is away, which on a gateway whose devices publish and seldom subscribe is a
 * large part of what it costs. Retained messages, its own `$SYS` messages and whatever matches a filter go the usual way.
 */
export class Relay extends Aedes {
  readonly #filters = new FilterTree();
  /** By client id: what a session that outlives its connection is subscribed to; it is owed messages while away. */
  readonly #lasting = new Map<string, Set<string>>();
  /** By client, as long as it is there. */
  readonly #pubrecs = new WeakMap<object, PubrecOrder>();

  constructor(options: AedesOptions) {
    super(options);
    makeNoNumbersAhead();
    this.on('client', (client) => {
      // A clean session ends the one that was there before (MQTT 3.1.1 section 3.1.2.4).
      if (client.clean) this.#forget(client.id, [...(this.#lasting.get(client.id) ?? [])]);
    });
    this.on('subscribe', (subscriptions, client) => {
      if (!client.clean) this.#keep(client.id, subscriptions);
      if (client.conn instanceof GuardedConnection) client.conn.subscriptionsMade();
    });
    this.on('unsubscribe', (filters, client) => {
      this.#forget(client.id, filters);
      if (client.conn instanceof GuardedConnection) client.conn.subscriptionsMade();
    });
  }

  /** Which topics somebody asked for, with a number that changes whenever the answer may. */
  get subscribed(): SubscribedTopics {
    return this.#filters;
  }

  /** Called by aedes for every message, with the client that sent it before the callback, which its types leave out. */
  override publish(...parameters: Publish): void {
    const [{ topic, retain, qos, messageId }] = parameters;
    const sender: unknown = parameters[parameters.length - 2];
    const done = parameters.at(-1);
    // A will has no packet id, and nobody waits for its PUBREC.
    if (qos === 2 && messageId !== undefined && sender instanceof Object && typeof done === 'function') {
      parameters[parameters.length - 1] = this.#pubrecsOf(sender).take(done);
    }
    if (retain || topic.startsWith('$') || this.#filters.matches(topic)) {
      super.publish(...parameters);
      return;
    }
    const answer = parameters.at(-1);
    if (typeof answer === 'function') answer();
  }

  /** Called by aedes for every subscription that is here: a new one, or one that came back with its session. */
  override subscribe(...parameters: Subscribe): void {
    this.#filters.add(parameters[0]);
    super.subscribe(...parameters);
  }

  override unsubscribe(...parameters: Subscribe): void {
    this.#filters.remove(parameters[0]);
    super.unsubscribe(...parameters);
  }

  #pubrecsOf(sender: object): PubrecOrder {
    let order = this.#pubrecs.get(sender);
    if (!order) {
      order = new PubrecOrder();
      this.#pubrecs.set(sender, order);
    }
    return order;
  }

  #keep(clientId: string, subscriptions: readonly Subscription[]): void {
    const kept = this.#lasting.get(clientId) ?? new Set();
    this.#lasting.set(clientId, kept);
    for (const { topic, qos } of subscriptions) {
      // 128 is a refusal (MQTT 3.1.1 section 3.9.3).
      if (qos > 2 || kept.has(topic)) continue;
      kept.add(topic);
      this.#filters.add(topic);
    }
  }

  #forget(clientId: string, filters: readonly string[]): void {
    const kept = this.#lasting.get(clientId);
    if (!kept) return;
    for (const filter of filters) {
      if (kept.delete(filter)) this.#filters.remove(filter);
    }
    if (kept.size === 0) this.#lasting.delete(clientId);
  }
}
