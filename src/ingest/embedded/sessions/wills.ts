import type { StoreClient, WillPacket } from './packet.ts';
import { bytesOf } from './packet.ts';
import { encodeWill, type WillFacts } from './session-codec.ts';
import type { SessionJournal } from './session-journal.ts';

/** The will of a client that was connected when the gateway stopped without saying goodbye. */
export interface OrphanWill {
  readonly clientId: string;
  readonly packet: WillPacket;
}

interface Kept {
  readonly packet: WillPacket;
  readonly owner: string;
  /** Who connected with it; null after a restart. */
  readonly client: StoreClient | null;
}

/** Wills (MQTT 3.1.1 section 3.1.2.5) of everybody who is connected, and of those who were when the gateway was killed. */
export class Wills {
  readonly #journal: SessionJournal;
  readonly #brokerId: () => string;
  readonly #wills = new Map<string, Kept>();

  constructor(journal: SessionJournal, brokerId: () => string) {
    this.#journal = journal;
    this.#brokerId = brokerId;
  }

  get count(): number {
    return this.#wills.size;
  }

  recover(clientId: string, { qos, retain, owner, topic, payload }: WillFacts): void {
    const packet = { cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain, clientId, brokerId: '' };
    this.#wills.set(clientId, { packet, owner, client: null });
  }

  orphans(): readonly OrphanWill[] {
    return [...this.#wills].flatMap(([clientId, { packet, client }]) =>
      client === null ? [{ clientId, packet }] : [],
    );
  }

  /** On disk when it resolves, which is before the CONNACK. */
  async put(client: StoreClient, packet: WillPacket, owner: string): Promise<void> {
    packet.brokerId = this.#brokerId();
    packet.clientId = client.id;
    this.#wills.set(client.id, { packet, owner, client });
    const { qos, retain, topic, payload } = packet;
    this.#journal.put('will', client.id, '', () =>
      encodeWill({ qos, retain, owner, topic, payload: bytesOf(payload) }),
    );
    await this.#journal.written();
  }

  get(client: StoreClient): WillPacket | undefined {
    return this.#wills.get(client.id)?.packet;
  }

  /**
   * Takes the will away. A connection that was taken over ends after its successor has put its own will, which stays:
   * aedes names only the client id then.
   */
  delete(client: StoreClient): WillPacket | undefined {
    const kept = this.#wills.get(client.id);
    if (!kept || (kept.client !== client && kept.client?.closed === false)) return undefined;
    this.#wills.delete(client.id);
    this.#journal.delete('will', client.id, '');
    this.#journal.written().catch(() => {});
    return kept.packet;
  }

  /** The will of before the restart, unless its client is back with another one. */
  deleteOrphan(clientId: string): void {
    if (this.#wills.get(clientId)?.client === null) this.delete({ id: clientId });
  }

  *of(brokers: Readonly<Record<string, unknown>>): Generator<WillPacket> {
    for (const { packet } of this.#wills.values()) if (!brokers[packet.brokerId ?? '']) yield packet;
  }
}
