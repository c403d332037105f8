import type { StoreClient, StoredPacket } from './packet.ts';
import { ownPayload } from './packet.ts';
import { encodeIncoming } from './session-codec.ts';
import type { SessionJournal } from './session-journal.ts';

/** aedes asks only whether an id is open; more than this of a payload is not kept for the answer. */
const payloadKeptMax = 256;

/**
 * Packet ids of QoS 2 messages that came and were not released yet (MQTT 3.1.1 section 4.3.3): the same id again is the
 * same message. Those of clients without a session end with their connection and are not written.
 */
export class IncomingIds {
  readonly #journal: SessionJournal;
  readonly #open = new Map<string, Map<number, StoredPacket>>();

  constructor(journal: SessionJournal) {
    this.#journal = journal;
  }

  recover(client: string, id: number): void {
    const packet = {
      cmd: 'publish',
      topic: '',
      payload: '',
      qos: 2,
      retain: false,
      dup: false,
      messageId: id,
    } as const;
    this.#of(client).set(id, packet);
  }

  has(client: string, id: number): boolean {
    return this.#open.get(client)?.has(id) ?? false;
  }

  /** Notes the id for the disk alone: the message that it belongs to is about to be accepted. */
  write(client: string, id: number): void {
    this.#journal.put('incoming', client, String(id), encodeIncoming);
  }

  unwrite(client: string, id: number): void {
    this.#journal.delete('incoming', client, String(id));
  }

  async store(client: StoreClient, packet: StoredPacket, isWritten: boolean): Promise<void> {
    const id = packet.messageId ?? 0;
    const { cmd, brokerId, brokerCounter, topic, qos, retain, dup } = packet;
    const payload = packet.payload.length > payloadKeptMax ? Buffer.alloc(0) : ownPayload(packet.payload);
    const origin = {
      ...(brokerId !== undefined && { brokerId }),
      ...(brokerCounter !== undefined && { brokerCounter }),
    };
    this.#of(client.id).set(id, { cmd, ...origin, topic, payload, qos, retain, dup, messageId: id });
    if (client.clean === true || isWritten) return;
    this.write(client.id, id);
    await this.#journal.written();
  }

  async get(client: StoreClient, packet: { readonly messageId?: number | undefined }): Promise<StoredPacket> {
    const found = this.#open.get(client.id)?.get(packet.messageId ?? 0);
    if (!found) throw new Error('no such packet');
    return found;
  }

  /** Off the disk before the PUBCOMP: the client may use the id for another message from then on. */
  async delete(client: StoreClient, packet: { readonly messageId?: number | undefined }): Promise<void> {
    const id = packet.messageId ?? 0;
    const ids = this.#open.get(client.id);
    if (!ids?.delete(id)) throw new Error('no such packet');
    if (ids.size === 0) this.#open.delete(client.id);
    if (client.clean === true) return;
    this.unwrite(client.id, id);
    await this.#journal.written();
  }

  /** Forgets all of the client; their rows are somebody else's business. */
  clean(client: string): void {
    this.#open.delete(client);
  }

  #of(client: string): Map<number, StoredPacket> {
    let ids = this.#open.get(client);
    if (!ids) {
      ids = new Map();
      this.#open.set(client, ids);
    }
    return ids;
  }
}
