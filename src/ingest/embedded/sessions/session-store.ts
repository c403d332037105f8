import { Readable } from 'node:stream';
import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import type { SessionRow } from '../../../domain/session-row.ts';
import { type Guard, guardDecisions, type StoreBroker } from './broker-guard.ts';
import { IncomingIds } from './incoming-ids.ts';
import { OutgoingMessages, type QueueLimits } from './outgoing-messages.ts';
import type { Owed } from './outgoing-queue.ts';
import { ownPayload } from './packet.ts';
import type { ArrivingPacket, StoreClient, StoredPacket } from './packet.ts';
import type { StoredRelease, StoredSubscription, WillPacket } from './packet.ts';
import { type RetainedLimits, RetainedMessages } from './retained-messages.ts';
import { encodeSubscription } from './session-codec.ts';
import { SessionJournal, type WriteSessions } from './session-journal.ts';
import { type RowTargets, recoverRow } from './session-rows.ts';
import { SessionTable, type TableLimits } from './session-table.ts';
import { SubscriptionTree } from './subscription-tree.ts';
import { OrphanWills } from './orphan-wills.ts';
import { Wills } from './wills.ts';

export type SessionLimits = QueueLimits & RetainedLimits & TableLimits;

export interface SessionParts {
  readonly write: WriteSessions;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a session may be owed messages of a topic; `owner` is what `claim` said. Everything, unless given. */
  readonly mayOwe?: (owner: string, clientId: string, topic: string) => boolean;
}

export interface SessionCounts {
  readonly sessions: number;
  /** Subscriptions of sessions with QoS 1 or 2. */
  readonly subscriptions: number;
  readonly queued: number;
  readonly queuedBytes: number;
  /** Queued messages that went because a bound was reached, oldest first. */
  readonly droppedQueued: number;
  /** Sessions that were refused because there are `sessionsMax`. */
  readonly refusedSessions: number;
  /** Sessions without anything in them that made room for new ones. */
  readonly evictedSessions: number;
  readonly expiredSessions: number;
  readonly retained: number;
  readonly retainedBytes: number;
  /** Retained messages that were not kept because a bound was reached. */
  readonly refusedRetained: number;
  readonly wills: number;
}

/** What a message leaves behind, written ahead of its answer. */
export interface Prepared {
  /** Resolves once it is on disk. */
  readonly written: Promise<void>;
  /** The message was not accepted after all. */
  abandon(): void;
}

interface Preparation {
  readonly rows: Map<string, Owed>;
  readonly hasId: boolean;
}

/**
 * aedes says "session present" only of a session with subscriptions; one without is given this filter, which nobody is
 * granted: see `guardDecisions`.
 */
const emptySession: StoredSubscription = { topic: '$session', qos: 0 };

/**
 * The persistence of aedes (the interface of aedes-persistence 11): memory for reading, the engine for keeping. See the
 * README of this folder for what is on disk when.
 */
export class SessionStore implements Guard {
  readonly #parts: SessionParts;
  readonly #journal: SessionJournal;
  readonly #table: SessionTable;
  readonly #tree = new SubscriptionTree<StoredSubscription & { readonly clientId: string }>();
  readonly #outgoing: OutgoingMessages;
  readonly #retained: RetainedMessages;
  readonly #incoming: IncomingIds;
  readonly #wills: Wills;
  readonly #orphans: OrphanWills;
  readonly #arriving = new WeakMap<object, { readonly client: StoreClient | null; readonly packet: ArrivingPacket }>();
  readonly #prepared = new WeakMap<object, Preparation>();
  readonly #refusedSubscriptions = new WeakSet<object>();
  #broker: StoreBroker | undefined;
  /** Whether clients are seen to come and go; not so in the exam of aedes' own persistences. */
  #isTracking = false;

  /** `rows` is what the engine recovered, in the order in which they were first put. */
  constructor(limits: SessionLimits, parts: SessionParts, rows: readonly SessionRow[] = []) {
    this.#parts = parts;
    this.#journal = new SessionJournal(parts);
    this.#outgoing = new OutgoingMessages(limits, this.#journal);
    this.#retained = new RetainedMessages(limits, this.#journal);
    this.#incoming = new IncomingIds(this.#journal);
    this.#wills = new Wills(this.#journal, () => this.#broker?.id ?? '');
    this.#orphans = new OrphanWills(this.#wills, parts);
    this.#table = new SessionTable(limits, {
      clock: parts.clock,
      journal: this.#journal,
      forgotten: (session) => {
        for (const filter of session.subscriptions.keys()) this.#tree.delete(filter, session.id);
        this.#outgoing.forget(session);
        this.#incoming.clean(session.id);
      },
    });
    const targets: RowTargets = {
      table: this.#table,
      outgoing: this.#outgoing,
      incoming: this.#incoming,
      retained: this.#retained,
      wills: this.#wills,
      subscribed: (clientId, topic, qos) => {
        this.#table.of(clientId).subscriptions.set(topic, { topic, qos });
        if (qos > 0) this.#tree.set(topic, clientId, { clientId, topic, qos });
      },
    };
    for (const row of rows) this.#recover(row, targets);
    this.#table.recovered();
  }

  /** Called by aedes as it begins to listen; a broker without events is only asked, never watched. */
  async setup(broker: StoreBroker): Promise<void> {
    this.#broker = broker;
    if (!broker.on) return;
    this.#isTracking = true;
    broker.on('client', (client) => this.#attach(client));
    broker.on('clientDisconnect', (client) => this.#detach(client));
    guardDecisions(broker, this);
    // The broker forwards only what somebody asked for: it hears of those that are away as of everybody else.
    for (const [id, filters] of this.#table.filters()) {
      const subscriptions = filters.map((topic) => ({ topic, qos: 0 }));
      broker.emit?.('subscribe', subscriptions, { id, clean: false, closed: true });
    }
    this.#table.listener = (id, filters) => {
      broker.emit?.('unsubscribe', filters, { id, clean: false, closed: true });
    };
    this.#orphans.publishSoon(broker);
  }

  get broker(): StoreBroker | undefined {
    return this.#broker;
  }

  counts(): SessionCounts {
    return {
      sessions: this.#table.size,
      subscriptions: this.#tree.size,
      queued: this.#outgoing.count,
      queuedBytes: this.#outgoing.bytes,
      droppedQueued: this.#outgoing.dropped,
      refusedSessions: this.#table.refused,
      evictedSessions: this.#table.evicted,
      expiredSessions: this.#table.expired,
      retained: this.#retained.count,
      retainedBytes: this.#retained.bytes,
      refusedRetained: this.#retained.refused,
      wills: this.#wills.count,
    };
  }

  // What the broker asks and says.

  /** Whether a session may be opened for the client, see `SessionTable.hasRoomFor`. */
  mayOpen(clientId: string): boolean {
    return this.#table.hasRoomFor(clientId);
  }

  /** Whose the client id is from now on, for its session and its will; to be said when the client was let in. */
  claim(clientId: string, owner: string): void {
    this.#table.claim(clientId, owner);
  }

  /** Whose session it is, also over a restart; null when there is none. */
  ownerOf(clientId: string): string | null {
    return this.#table.get(clientId)?.owner ?? null;
  }

  /** Whether a message of the topic would be owed to any session. */
  isOwed(topic: string): boolean {
    return this.#tree.matching(topic).length > 0;
  }

  /** Ends a session, for example because its device is gone; what it was owed goes with it. */
  forget(clientId: string): void {
    this.#table.forget(clientId);
  }

  /** Ends every session of one owner, as `claim` named it. */
  forgetOwner(owner: string): void {
    for (const clientId of this.#table.ofOwner(owner)) this.#table.forget(clientId);
  }

  /**
   * Writes ahead what a message leaves behind once it is accepted: what sessions are owed, the retained message, the id
   * of QoS 2. Null when that is nothing. `payload` is the very one of a packet that aedes just asked about.
   */
  prepare(payload: Uint8Array): Prepared | null {
    const arrived = this.#arriving.get(payload);
    if (!arrived) return null;
    this.#arriving.delete(payload);
    const { packet, client: sender } = arrived;
    const id = packet.messageId ?? 0;
    // The broker answers a QoS 2 message that it has, and does no more: rows of this one would be nobody's.
    if (packet.qos === 2 && id > 0 && sender && this.#incoming.has(sender.id, id)) return null;
    const rows = new Map<string, Owed>();
    const shared = packet.qos > 0 || packet.retain ? ownPayload(packet.payload) : packet.payload;
    for (const [clientId, qos] of packet.qos > 0 ? bestQos(this.#tree.matching(packet.topic)) : []) {
      const session = this.#table.get(clientId);
      if (!session || !this.#mayOwe(session.owner, clientId, packet.topic)) continue;
      const owed = this.#outgoing.make(packet, shared, qos);
      rows.set(clientId, owed);
      this.#outgoing.put(session, owed, true);
    }
    const keepsRetained = packet.retain && this.#retained.fits(packet);
    if (keepsRetained) this.#retained.write(packet.topic, packet.qos, shared);
    const keepsId = packet.qos === 2 && id > 0 && sender?.clean === false;
    if (keepsId) this.#incoming.write(sender.id, id);
    if (rows.size === 0 && !keepsRetained && !keepsId) return null;
    this.#prepared.set(payload, { rows, hasId: keepsId });
    return {
      written: this.#journal.written(),
      abandon: () => {
        for (const [clientId, owed] of rows) this.#outgoing.unput(clientId, owed);
        rows.clear();
        if (keepsId && !this.#incoming.has(sender.id, id)) this.#incoming.unwrite(sender.id, id);
        if (keepsRetained) this.#retained.rewrite(packet.topic);
      },
    };
  }

  /** Resolves once everything that is known is on disk, or could not be written. */
  async stop(): Promise<void> {
    this.#table.stop();
    this.#orphans.stop();
    await this.#journal.written().catch((error: unknown) => {
      this.#parts.log.error({ error: messageOf(error) }, 'MQTT sessions could not be written at the end');
    });
  }

  // What the broker is about to decide, and has decided.

  arriving(client: StoreClient | null, packet: ArrivingPacket): void {
    if (typeof packet.payload === 'object' && (packet.qos > 0 || packet.retain)) {
      this.#arriving.set(packet.payload, { client, packet });
    }
  }

  holds(client: StoreClient, packet: StoredPacket): boolean {
    const session = client.clean === true ? undefined : this.#table.get(client.id);
    if (!session) return false;
    // Its subscriptions are restored before it is known as connected; what comes in between leaves with the queue.
    if (this.#isTracking && session.client !== client) return session.isOpening;
    return this.#outgoing.holds(session, packet);
  }

  isFromQueue(packet: StoredPacket): boolean {
    return this.#outgoing.isFromQueue(packet);
  }

  refused(client: StoreClient, packet: StoredPacket): void {
    const session = this.#sessionWith(client);
    if (session) this.#outgoing.refuse(session, packet);
  }

  isMarker(subscription: StoredSubscription): boolean {
    return subscription === emptySession;
  }

  refusedSubscription(subscription: StoredSubscription): void {
    this.#refusedSubscriptions.add(subscription);
  }

  // Retained messages.

  async storeRetained(packet: StoredPacket): Promise<void> {
    this.#retained.store(packet);
  }

  createRetainedStream(filter: string): Readable {
    return Readable.from(this.#retained.matching(filter));
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retained.matchingAny(filters));
  }

  // Subscriptions.

  async addSubscriptions(client: StoreClient, subscriptions: readonly StoredSubscription[]): Promise<void> {
    // aedes passes all of a SUBSCRIBE with each that was granted, while it still judges the rest: by now all are judged.
    await Promise.resolve();
    const granted = subscriptions.filter((subscription) => !this.#refusedSubscriptions.has(subscription));
    if (granted.length === 0) return;
    const session = this.#table.of(client.id);
    const settled = Promise.withResolvers<void>();
    session.subscribing = settled.promise;
    for (const given of granted) {
      const { topic, qos, rh, rap, nl } = given;
      const before = session.subscriptions.get(topic);
      session.subscriptions.set(topic, kept(given));
      if (qos > 0) this.#tree.set(topic, client.id, { clientId: client.id, topic, qos, rh, rap, nl });
      else this.#tree.delete(topic, client.id);
      if (before?.qos !== qos) this.#journal.put('subscription', client.id, topic, () => encodeSubscription(qos));
    }
    try {
      await this.#journal.written();
    } finally {
      settled.resolve();
    }
  }

  async removeSubscriptions(client: StoreClient, filters: readonly string[]): Promise<void> {
    // aedes handles the packets of one chunk at the same time: a SUBSCRIBE before this one may still be judged or written.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#table.get(client.id)?.subscribing;
    const session = this.#table.get(client.id);
    if (!session) return;
    for (const filter of filters) {
      if (!session.subscriptions.delete(filter)) continue;
      this.#tree.delete(filter, client.id);
      this.#journal.delete('subscription', client.id, filter);
    }
    await this.#journal.written();
  }

  /** Asked by aedes at every CONNECT with clean session 0 and never else, so that is where a session begins. */
  async subscriptionsByClient(client: StoreClient): Promise<StoredSubscription[]> {
    const before = this.#table.get(client.id);
    if (!this.#isTracking) return [...(before?.subscriptions.values() ?? [])];
    if (!before && !this.#table.hasRoomFor(client.id)) throw new Error('there is no room for another session');
    this.#table.open(client.id);
    await this.#journal.written();
    if (!before) return [];
    return before.subscriptions.size > 0 ? [...before.subscriptions.values()] : [emptySession];
  }

  async subscriptionsByTopic(topic: string): Promise<(StoredSubscription & { readonly clientId: string })[]> {
    return this.#tree.matching(topic);
  }

  /** Asked at every CONNECT with clean session 1: whatever there was of a session ends, on disk before the CONNACK. */
  async cleanSubscriptions(client: StoreClient): Promise<void> {
    if (this.#table.forget(client.id)) await this.#journal.written();
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return { subsCount: this.#tree.size, clientsCount: [...this.#table.filters()].length };
  }

  getClientList(filter: string): Readable {
    return Readable.from([...this.#table.filters()].flatMap(([id, filters]) => (filters.includes(filter) ? [id] : [])));
  }

  // What sessions are owed.

  async outgoingEnqueue(subscription: { readonly clientId: string }, packet: StoredPacket): Promise<void> {
    await this.outgoingEnqueueCombi([subscription], packet);
  }

  /** Waits for nothing, see the README; what was not prepared is written within a moment. */
  async outgoingEnqueueCombi(
    subscriptions: readonly { readonly clientId?: string; readonly qos?: number | undefined }[],
    packet: StoredPacket,
  ): Promise<void> {
    const ahead = typeof packet.payload === 'object' ? this.#prepared.get(packet.payload)?.rows : undefined;
    let shared: Buffer | string | undefined;
    for (const [clientId, qos] of bestQos(subscriptions)) {
      const session = this.#isTracking ? this.#table.get(clientId) : this.#table.of(clientId);
      if (!session || !this.#mayOwe(session.owner, clientId, packet.topic)) continue;
      const written = ahead?.get(clientId);
      ahead?.delete(clientId);
      shared ??= ownPayload(packet.payload);
      const owed = this.#outgoing.make(packet, shared, qos, written?.seq);
      const isKept = this.#outgoing.add(session, owed);
      if (isKept && !written) this.#outgoing.put(session, owed, true);
      if (!isKept && written) this.#outgoing.unput(clientId, owed);
      this.#outgoing.pump(session);
    }
    // Those that do not want it any more.
    for (const [clientId, owed] of ahead ?? []) this.#outgoing.unput(clientId, owed);
    ahead?.clear();
  }

  async outgoingUpdate(client: StoreClient, packet: StoredPacket | StoredRelease): Promise<void> {
    const session = this.#sessionWith(client);
    if (session) await this.#outgoing.update(session, packet, this.#isTracking);
  }

  async outgoingClearMessageId(
    client: StoreClient,
    packet: StoredPacket | StoredRelease,
  ): Promise<StoredPacket | StoredRelease | undefined> {
    const session = this.#sessionWith(client);
    return session && this.#outgoing.settle(session, packet.messageId);
  }

  outgoingStream(client: StoreClient): Readable {
    const session = this.#sessionWith(client);
    if (!session || client.clean === true) return Readable.from([]);
    session.isOpening = false;
    if (this.#isTracking) return Readable.from(this.#outgoing.replay(session));
    return Readable.from([...session.queue.all()].map(({ packet }) => packet));
  }

  // Packet ids of QoS 2, and wills.

  async incomingStorePacket(client: StoreClient, packet: StoredPacket): Promise<void> {
    const isWritten = typeof packet.payload === 'object' && this.#prepared.get(packet.payload)?.hasId === true;
    await this.#incoming.store(client, packet, isWritten);
  }

  incomingGetPacket(client: StoreClient, packet: StoredRelease): Promise<StoredPacket> {
    return this.#incoming.get(client, packet);
  }

  incomingDelPacket(client: StoreClient, packet: StoredRelease): Promise<void> {
    return this.#incoming.delete(client, packet);
  }

  async cleanIncoming(client: StoreClient): Promise<void> {
    this.#incoming.clean(client.id);
  }

  async putWill(client: StoreClient, packet: WillPacket): Promise<void> {
    await this.#wills.put(client, packet, this.#table.claimOf(client.id));
  }

  async getWill(client: StoreClient): Promise<WillPacket | undefined> {
    return this.#wills.get(client);
  }

  async delWill(client: StoreClient): Promise<WillPacket | undefined> {
    return this.#wills.delete(client);
  }

  /** Asked every few minutes for the wills of brokers that are gone; ours were published at the start. */
  streamWill(brokers: Readonly<Record<string, unknown>> = {}): Readable {
    if (this.#isTracking) return Readable.from([]);
    return Readable.from(this.#wills.of(brokers));
  }

  async destroy(): Promise<void> {
    await this.stop();
  }

  #attach(client: StoreClient): void {
    const session = client.clean === true ? undefined : this.#table.get(client.id);
    if (session && !client.closed) this.#table.attach(session, client);
  }

  #detach(client: StoreClient): void {
    this.#table.unclaim(client.id);
    const session = this.#table.get(client.id);
    if (session?.client !== client) return;
    this.#table.detach(session);
    this.#outgoing.recall(session);
  }

  /** The session that the client is connected to; where nobody watches, the one under its id. */
  #sessionWith(client: StoreClient): ReturnType<SessionTable['get']> {
    const session = this.#table.get(client.id);
    return this.#isTracking && session?.client !== client ? undefined : session;
  }

  #mayOwe(owner: string, clientId: string, topic: string): boolean {
    return this.#parts.mayOwe?.(owner, clientId, topic) ?? true;
  }

  #recover(row: SessionRow, targets: RowTargets): void {
    try {
      recoverRow(row, targets);
    } catch (error) {
      const { kind, client, key } = row;
      this.#parts.log.error({ kind, client, key, error: messageOf(error) }, 'a row of an MQTT session cannot be read');
    }
  }
}

function kept(given: StoredSubscription): StoredSubscription {
  const { topic, qos, rh, rap, nl, subscriptionIdentifier } = given;
  const kept = { topic, qos, rh, rap, nl };
  return subscriptionIdentifier === undefined ? kept : { ...kept, subscriptionIdentifier };
}

/** By client the best QoS of its subscriptions: with overlapping filters it gets one copy [MQTT-3.3.5-1]. */
function bestQos(
  subscriptions: readonly { readonly clientId?: string; readonly qos?: number | undefined }[],
): Map<string, number> {
  const best = new Map<string, number>();
  for (const { clientId = '', qos = 2 } of subscriptions) best.set(clientId, Math.max(best.get(clientId) ?? 0, qos));
  return best;
}
