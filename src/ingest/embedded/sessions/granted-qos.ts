import { filterMatches } from '../../../domain/topic-filter.ts';
import type { StoreClient, StoredPacket, StoredSubscription } from './packet.ts';

/**
 * A message leaves with the lower of its own QoS and the highest granted to any filter that it matches ([MQTT-3.8.4-6],
 * [MQTT-3.3.5-1]). aedes looks only at a filter that is the topic itself, and where filters overlap at whichever it comes
 * to first. So every subscription is made to it with QoS 2, and what was granted is applied here.
 */
export class GrantedQos {
  readonly #granted = new WeakMap<StoreClient, Map<string, number>>();

  /** The subscription as aedes is to make it. */
  note(client: StoreClient, subscription: StoredSubscription): StoredSubscription {
    const { topic, qos } = subscription;
    let granted = this.#granted.get(client);
    if (!granted) {
      granted = new Map();
      this.#granted.set(client, granted);
    }
    granted.set(topic, qos);
    return { ...subscription, qos: 2 };
  }

  /** The packet as the client is to have it. That its publisher sent it again says nothing of it [MQTT-3.3.1-3]. */
  apply(client: StoreClient, packet: StoredPacket): StoredPacket {
    const qos = this.#lower(client, packet);
    return qos === packet.qos && !packet.dup ? packet : { ...packet, qos, dup: false };
  }

  #lower(client: StoreClient, { topic, qos }: StoredPacket): 0 | 1 | 2 {
    const granted = this.#granted.get(client);
    if (qos === 0 || !granted) return qos;
    let highest: 0 | 1 = 0;
    for (const [filter, atMost] of granted) {
      if (atMost <= highest || !filterMatches(filter, topic)) continue;
      // What was given up meanwhile is not asked for any more.
      if (client.subscriptions && !client.subscriptions[filter]) granted.delete(filter);
      else if (atMost >= qos) return qos;
      else highest = 1;
    }
    return highest;
  }
}
