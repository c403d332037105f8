import type { Aedes } from 'aedes';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import type { SessionStore } from './broker-parts.ts';
import type { Presence } from './presence.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Visitor } from './visitor.ts';

/** What belongs to aedes and its sessions though its types leave it out. */
interface AedesSessions {
  readonly persistence: SessionStore;
  readonly id: string;
  /** Of the messages so far; a queued message is known by the broker and its number. */
  counter: number;
}

/** Devices of sessions that are remembered; the one that came longest ago is forgotten first. */
const ownersMax = 100_000;

/** Stands between the broker and the sessions whose client may be away. */
export class Sessions {
  readonly #presence: Presence;
  /** By client id: the device that a session belongs to. */
  readonly #owners = new Map<string, string>();

  constructor(presence: Presence) {
    this.#presence = presence;
  }

  /**
   * aedes stores a whole SUBSCRIBE packet with the session as soon as one of its filters is granted, refused ones included,
   * and restores and queues for all of them from then on. Only what was granted gets there.
   */
  guard(aedes: Aedes, subscriptions: Subscriptions, holder: (clientId: string) => Visitor | undefined): void {
    const { persistence } = sessionsOf(aedes);
    const keep = persistence.addSubscriptions.bind(persistence);
    persistence.addSubscriptions = (client, wanted) => {
      const visitor = holder(client.id);
      const granted = visitor ? wanted.filter(({ topic }) => subscriptions.mayKeep(visitor, topic)) : [];
      return keep(client, granted);
    };
  }

  entered({ client, device }: Visitor): void {
    if (!client) return;
    this.#owners.delete(client.id);
    if (client.clean || device === null || device === client.id) return;
    this.#owners.set(client.id, device);
    if (this.#owners.size <= ownersMax) return;
    for (const [oldest] of this.#owners) {
      this.#owners.delete(oldest);
      return;
    }
  }

  /** For the device alone, though the filters of other sessions match, too; how many sessions got it. */
  async enqueue(aedes: Aedes, message: OutgoingMessage & { readonly device: string }): Promise<number> {
    const { device, topic, payload, qos } = message;
    const sessions = sessionsOf(aedes);
    const here = new Set([...this.#presence.of(device)].map(({ clientId }) => clientId));
    const all = await sessions.persistence.subscriptionsByTopic(topic);
    const away = all.filter(
      ({ clientId }) => !here.has(clientId) && (this.#owners.get(clientId) ?? clientId) === device,
    );
    if (away.length === 0) return 0;
    sessions.counter++;
    const { id: brokerId, counter: brokerCounter } = sessions;
    const bytes = Buffer.from(payload);
    const packet = { cmd: 'publish', brokerId, brokerCounter, topic, payload: bytes, qos, retain: false, dup: false };
    await sessions.persistence.outgoingEnqueueCombi(away, packet);
    return away.length;
  }
}

function sessionsOf(aedes: Aedes): AedesSessions {
  return aedes as Aedes & AedesSessions;
}
