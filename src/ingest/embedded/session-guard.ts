import type { Aedes } from 'aedes';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import type { Principal } from '../../domain/principal.ts';
import type { PreparedMessage, SessionKeeper } from './broker-parts.ts';
import type { Presence } from './presence.ts';
import { ownerOf, type Visitor } from './visitor.ts';

/** What belongs to aedes and its sessions though its types leave it out. */
interface AedesSessions {
  persistence: SessionKeeper;
  readonly id: string;
  /** Of the messages so far; a queued message is known by the broker and its number. */
  counter: number;
}

/** Stands between the broker and the sessions that outlive their connections. */
export class SessionGuard {
  readonly #keeper: SessionKeeper | undefined;
  readonly #presence: Presence;

  /** Without a keeper aedes has one of its own, in memory. */
  constructor(keeper: SessionKeeper | undefined, presence: Presence) {
    this.#keeper = keeper;
    this.#presence = presence;
  }

  /** Whether there is room for the session, should there be none yet. */
  mayOpen(clientId: string): boolean {
    return this.#keeper?.mayOpen?.(clientId) ?? true;
  }

  /**
   * Whether the session of this client id, if there is one, may be taken up with this credential. Sessions of open mode
   * are nobody's: they end when somebody with a credential comes, and everybody's end when open mode is back.
   */
  mayTakeUp(clientId: string, principal: Principal): boolean {
    const owner = this.#keeper?.ownerOf?.(clientId) ?? null;
    const newOwner = ownerOf(principal);
    if (owner === null || owner === newOwner) return true;
    if (owner !== 'open' && newOwner !== 'open') return false;
    this.#keeper?.forget?.(clientId);
    return true;
  }

  entered({ client, principal }: Visitor): void {
    if (client && principal) this.#keeper?.claim?.(client.id, ownerOf(principal));
  }

  prepare(payload: Uint8Array): PreparedMessage | null {
    return this.#keeper?.prepare?.(payload) ?? null;
  }

  /**
   * aedes stores a whole SUBSCRIBE packet with the session as soon as one of its filters is granted, refused ones included,
   * and restores and queues for all of them from then on. Only what was granted gets there.
   */
  guard(aedes: Aedes, holder: (clientId: string) => Visitor | undefined): void {
    const { persistence } = sessionsOf(aedes);
    const keep = persistence.addSubscriptions.bind(persistence);
    persistence.addSubscriptions = async (client, wanted) => {
      // The rest of the packet is judged in this turn.
      await Promise.resolve();
      const visitor = holder(client.id);
      const granted = wanted.filter(({ topic }) => visitor?.filters.has(topic));
      if (granted.length > 0) await keep(client, granted);
    };
  }

  async stop(): Promise<void> {
    await this.#keeper?.stop?.();
  }

  /** For the device alone, though the filters of other sessions match, too; how many sessions got it. */
  async enqueue(aedes: Aedes, message: OutgoingMessage & { readonly device: string }): Promise<number> {
    const { device, topic, payload, qos } = message;
    const sessions = sessionsOf(aedes);
    const here = new Set([...this.#presence.of(device)].map(({ clientId }) => clientId));
    const all = await sessions.persistence.subscriptionsByTopic(topic);
    const away = all.filter(({ clientId }) => !here.has(clientId) && this.#belongsTo(clientId, device));
    if (away.length === 0) return 0;
    sessions.counter++;
    const { id: brokerId, counter: brokerCounter } = sessions;
    const bytes = Buffer.from(payload);
    const packet = { cmd: 'publish', brokerId, brokerCounter, topic, payload: bytes, qos, retain: false, dup: false };
    await sessions.persistence.outgoingEnqueueCombi(away, packet);
    return away.length;
  }

  /** In open mode the client id says which device it is. */
  #belongsTo(clientId: string, device: string): boolean {
    const owner = this.#keeper?.ownerOf?.(clientId) ?? 'open';
    return owner === 'open' ? clientId === device : owner === `device ${device}`;
  }
}

function sessionsOf(aedes: Aedes): AedesSessions {
  return aedes as Aedes & AedesSessions;
}
