import { originOf, type Owed } from './outgoing-queue.ts';
import type { ArrivingPacket, StoredPacket, StoredRelease } from './packet.ts';
import { bytesOf, packetBytes } from './packet.ts';
import type { Session } from './session.ts';
import { encodeQueued, type QueuedFacts } from './session-codec.ts';
import type { SessionJournal } from './session-journal.ts';

export interface QueueLimits {
  /** Bytes that are owed to all sessions together. */
  readonly sessionBytesMax: number;
  /** Messages that are owed to one session; 0: no limit. */
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
}

type NumberedPacket = ArrivingPacket & Pick<StoredPacket, 'brokerId' | 'brokerCounter'>;

/** Messages of one session that may be under way to its client at once. */
const windowMax = 50;
/** Marks what is sent from a queue: aedes neither takes it for a duplicate nor numbers it anew. */
const queueId = 'queue';

/**
 * What sessions are owed: QoS 1 and 2 messages, kept until their client acknowledged them. A client has at most a window
 * of them under way; the others wait and leave in order as it acknowledges. While any wait, a newer one waits behind
 * them (MQTT 3.1.1 section 4.6), so nothing is handed to a client in another order than it came.
 */
export class OutgoingMessages {
  readonly #limits: QueueLimits;
  readonly #journal: SessionJournal;
  /** Whose message waits, by number: the oldest of all goes first where there are too many. */
  readonly #waiting = new Map<number, Session>();
  #seq = 0;
  #count = 0;
  #bytes = 0;
  #dropped = 0;

  constructor(limits: QueueLimits, journal: SessionJournal) {
    this.#limits = limits;
    this.#journal = journal;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** A copy for one session, numbered. `payload` is shared by all of them. */
  make(packet: NumberedPacket, payload: Buffer | string, qos: number, seq = ++this.#seq): Owed {
    const { brokerId, brokerCounter, topic } = packet;
    const copy: StoredPacket = {
      cmd: 'publish',
      ...(brokerId !== undefined && { brokerId }),
      ...(brokerCounter !== undefined && { brokerCounter }),
      topic,
      payload,
      qos: lower(packet.qos, qos),
      // To a subscription that was there before it, no message is a retained one [MQTT-3.3.1-9].
      retain: false,
      dup: false,
      messageId: undefined,
    };
    return { seq, packet: copy, bytes: packetBytes(copy), origin: originOf(packet) };
  }

  /** As it was before the restart. */
  recover(session: Session, key: string, facts: QueuedFacts): void {
    const seq = Number.parseInt(key, 36);
    const { qos, packetId, released, topic } = facts;
    const messageId = packetId > 0 ? packetId : undefined;
    const payload = Buffer.from(facts.payload);
    const packet = released
      ? { cmd: 'pubrel', messageId }
      : { cmd: 'publish', topic, payload, qos, retain: false, dup: messageId !== undefined, messageId };
    this.#seq = Math.max(this.#seq, seq);
    this.#keep(session, { seq, packet, bytes: packetBytes({ topic, payload }), origin: `${seq} ${queueId}` });
  }

  /** Whether the session owes it now; the bounds may say that it does not. */
  add(session: Session, owed: Owed): boolean {
    const { queue } = session;
    const { queueMessagesMax, queueBytesMax, sessionBytesMax } = this.#limits;
    const countMax = queueMessagesMax === 0 ? Number.POSITIVE_INFINITY : queueMessagesMax;
    while (queue.size >= countMax || queue.bytes + owed.bytes > queueBytesMax) {
      if (!this.#dropOldest(session)) return this.#refuse();
    }
    while (this.#bytes + owed.bytes > sessionBytesMax) {
      const [oldest] = this.#waiting.values();
      if (!oldest || !this.#dropOldest(oldest)) return this.#refuse();
    }
    this.#keep(session, owed);
    return true;
  }

  /** Notes it as it is now for the disk. */
  put(session: Session, owed: Owed, isNew = false): void {
    this.#journal.put('queued', session.id, keyOf(owed), () => encode(owed), isNew);
  }

  unput(clientId: string, owed: Owed): void {
    this.#journal.delete('queued', clientId, keyOf(owed));
  }

  /**
   * Whether a message that aedes is about to deliver is not for it to deliver: it waits in the queue, or left it already,
   * under way or acknowledged. What has no place in the queue, because its subscription has QoS 0, is none of it.
   */
  holds(session: Session, packet: StoredPacket): boolean {
    if (this.isFromQueue(packet)) return false;
    // Nothing is sent to a client before its CONNACK [MQTT-3.2.0-1].
    if (session.isOpening) return true;
    if (packet.qos === 0) return false;
    return session.queue.byOrigin(originOf(packet)) !== undefined || (packet.brokerCounter ?? 0) <= session.sentCounter;
  }

  /** Whether a packet was handed out here. */
  isFromQueue(packet: StoredPacket): boolean {
    return packet.brokerId === queueId || packet.messageId !== undefined;
  }

  /** Access says no to a message that was to be sent. */
  refuse(session: Session, packet: StoredPacket): void {
    const owed = this.#find(session, packet);
    if (owed) this.remove(session, owed);
  }

  /** A message is about to be sent under its packet id, or its PUBREC came and only the PUBREL is left. */
  async update(session: Session, packet: StoredPacket | StoredRelease, isTracking: boolean): Promise<void> {
    if (packet.cmd === 'pubrel' || !('topic' in packet)) {
      const owed = session.queue.byPacketId(packet.messageId);
      // A PUBREL is owed to every PUBREC, also to one of a message that nobody remembers.
      if (!owed || owed.packet.cmd === 'pubrel') return;
      owed.packet = packet;
      this.put(session, owed);
      await this.#journal.written();
      return;
    }
    // Counted though it be settled: a client may acknowledge, on its new connection, what it had on the one before.
    if (session.replayLeft > 0) session.replayLeft--;
    const owed = this.#find(session, packet);
    if (!owed || packet.messageId === undefined || !('topic' in owed.packet)) {
      this.pump(session);
      return;
    }
    const isAgain = owed.packet.messageId === packet.messageId;
    packet.messageId = session.queue.send(owed, packet.messageId);
    this.#waiting.delete(owed.seq);
    if (isTracking) packet.qos = owed.packet.qos;
    if (!isAgain) this.put(session, owed);
    // Sent again under another id, it would be another message to a receiver that is to have it once.
    if (packet.qos === 2 && !isAgain) session.sending = this.#journal.written();
    const { sending } = session;
    if (sending) {
      await sending;
      if (session.sending === sending) session.sending = null;
    }
    this.pump(session);
  }

  /** Its PUBACK or PUBCOMP came. */
  settle(session: Session, packetId: number | undefined): StoredPacket | StoredRelease | undefined {
    const owed = session.queue.byPacketId(packetId);
    if (!owed) return undefined;
    this.remove(session, owed);
    this.pump(session);
    return owed.packet;
  }

  /** What is sent at CONNECT: everything that was under way, and of the rest what the window has room for. */
  replay(session: Session): (StoredPacket | StoredRelease)[] {
    const { queue } = session;
    const packets = queue.inFlight().map(toSend);
    for (let next = queue.firstWaiting; next && queue.underWay < windowMax; next = queue.firstWaiting) {
      this.#handOut(session, next);
      packets.push(toSend(next));
    }
    session.replayLeft = packets.filter(({ cmd }) => cmd === 'publish').length;
    return packets;
  }

  /** Sends what waits, as far as the window goes. */
  pump(session: Session): void {
    const { queue, client } = session;
    if (!client?.deliverQoS || session.isOpening || session.replayLeft > 0) return;
    for (let next = queue.firstWaiting; next && queue.underWay < windowMax; next = queue.firstWaiting) {
      this.#handOut(session, next);
      const packet = toSend(next);
      if ('topic' in packet) client.deliverQoS(packet, () => {});
    }
  }

  /** Its client is gone. */
  recall(session: Session): void {
    session.replayLeft = 0;
    session.sending = null;
    session.queue.recall();
    for (const { seq, packet } of session.queue.all())
      if (packet.messageId === undefined) this.#waiting.set(seq, session);
  }

  remove(session: Session, owed: Owed): void {
    session.queue.remove(owed);
    this.#waiting.delete(owed.seq);
    this.#count--;
    this.#bytes -= owed.bytes;
    this.unput(session.id, owed);
  }

  /** The whole session is gone, its rows with it. */
  forget(session: Session): void {
    for (const owed of session.queue.all()) {
      this.#waiting.delete(owed.seq);
      this.#count--;
      this.#bytes -= owed.bytes;
    }
  }

  #find(session: Session, packet: StoredPacket): Owed | undefined {
    if (packet.brokerId === queueId) return session.queue.bySeq(packet.brokerCounter ?? 0, packet.messageId);
    return session.queue.byOrigin(originOf(packet));
  }

  #handOut(session: Session, owed: Owed): void {
    session.queue.leave(owed);
    this.#waiting.delete(owed.seq);
    if ('brokerCounter' in owed.packet) {
      session.sentCounter = Math.max(session.sentCounter, owed.packet.brokerCounter ?? 0);
    }
  }

  #keep(session: Session, owed: Owed): void {
    session.queue.add(owed);
    this.#count++;
    this.#bytes += owed.bytes;
    if (owed.packet.messageId === undefined) this.#waiting.set(owed.seq, session);
  }

  #dropOldest(session: Session): boolean {
    const oldest = session.queue.firstWaiting;
    if (!oldest) return false;
    this.remove(session, oldest);
    this.#dropped++;
    return true;
  }

  #refuse(): false {
    this.#dropped++;
    return false;
  }
}

function toSend(owed: Owed): StoredPacket | StoredRelease {
  if (!('topic' in owed.packet) || owed.packet.cmd === 'pubrel') return owed.packet;
  return { ...owed.packet, brokerId: queueId, brokerCounter: owed.seq };
}

function encode({ packet }: Owed): Uint8Array {
  const packetId = packet.messageId ?? 0;
  if (!('topic' in packet) || packet.cmd === 'pubrel') {
    return encodeQueued({ qos: 2, packetId, released: true, topic: '', payload: Buffer.alloc(0) });
  }
  return encodeQueued({
    qos: packet.qos,
    packetId,
    released: false,
    topic: packet.topic,
    payload: bytesOf(packet.payload),
  });
}

function keyOf({ seq }: Owed): string {
  return seq.toString(36);
}

function lower(a: 0 | 1 | 2, b: number): 0 | 1 | 2 {
  if (b >= 2) return a;
  return b === 1 && a > 1 ? 1 : a;
}
