import type { AedesPublishPacket, Subscription } from 'aedes';
import { isReservedTopic, isTopicFilter } from '../../domain/topic-filter.ts';
import type { Gatekeeper } from '../gatekeeper.ts';
import type { RareLog } from './rare-log.ts';
import type { Visitor } from './visitor.ts';

export interface SubscriptionLimits {
  readonly subscriptionsMax: number;
  readonly topicLevelsMax: number;
  /** Bytes that may wait for one subscriber. */
  readonly subscriberBacklogMax: number;
}

/** Why a subscription was refused. */
export type SubscriptionRefusal = 'filter' | 'reserved' | 'levels' | 'forbidden' | 'limit';

/**
 * What a client may subscribe to, and what it is forwarded. Both are one decision of the gatekeeper's, taken again for
 * every message: a filter that was refused delivers nothing, be it by a session that kept it, by a retained message, by a
 * will or out of a queue.
 */
export class Subscriptions {
  readonly #limits: SubscriptionLimits;
  readonly #gatekeeper: Gatekeeper;
  readonly #log: RareLog;
  #refused = 0;
  #shedForwards = 0;
  #withheld = 0;

  constructor(limits: SubscriptionLimits, parts: { gatekeeper: Gatekeeper; log: RareLog }) {
    this.#limits = limits;
    this.#gatekeeper = parts.gatekeeper;
    this.#log = parts.log;
  }

  /**
   * Subscriptions refused, messages that a subscriber did not get because it reads too slowly, and messages that a
   * subscriber did not get because it may not have them.
   */
  get counts(): { readonly refused: number; readonly shedForwards: number; readonly withheld: number } {
    return { refused: this.#refused, shedForwards: this.#shedForwards, withheld: this.#withheld };
  }

  /** The subscription, or null: SUBACK 128 (MQTT 3.1.1 section 3.9.3). Never an error, which would end the connection. */
  grant(visitor: Visitor, subscription: Subscription): Subscription | null {
    const refusal = this.#judge(visitor, subscription.topic);
    if (!refusal) {
      visitor.filters.set(subscription.topic, subscription.qos);
      return subscription;
    }
    this.#refused++;
    const filter = subscription.topic.slice(0, 128);
    this.#log.warn({ client: visitor.clientId, filter, why: refusal }, 'a subscription was refused');
    return null;
  }

  /** Nobody waits for a subscriber that does not read: it goes without (QoS 0), or goes (QoS 1 and 2, to come back). */
  mayForward({ principal, connection, clientId }: Visitor, packet: AedesPublishPacket): boolean {
    if (!principal || isReservedTopic(packet.topic)) return false;
    if (!this.#gatekeeper.mayReceive(principal, packet.topic)) {
      this.#withheld++;
      return false;
    }
    const { subscriberBacklogMax } = this.#limits;
    const { backlog } = connection;
    if (backlog <= subscriberBacklogMax) return true;
    this.#shedForwards++;
    if (packet.qos > 0 && !connection.destroyed) {
      this.#log.warn(
        { client: clientId, backlog, subscriberBacklogMax },
        'an MQTT subscriber was closed: it does not read',
      );
      connection.destroy();
    }
    // Refusing a queued message would make aedes forget it; written to a closed connection it stays for the next one.
    return packet.qos > 0;
  }

  #judge({ principal, filters }: Visitor, filter: string): SubscriptionRefusal | null {
    if (!isTopicFilter(filter)) return 'filter';
    // `$SYS` would let anybody drive the broker, and `$share` is granted by aedes but never delivers.
    if (isReservedTopic(filter)) return 'reserved';
    if (filter.split('/').length > this.#limits.topicLevelsMax) return 'levels';
    if (!principal || !this.#gatekeeper.maySubscribe(principal, filter)) return 'forbidden';
    return filters.size >= this.#limits.subscriptionsMax && !filters.has(filter) ? 'limit' : null;
  }
}
