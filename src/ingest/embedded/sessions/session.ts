import { OutgoingQueue } from './outgoing-queue.ts';
import type { StoreClient, StoredSubscription } from './packet.ts';

/** What is remembered of one client that asked for a session (MQTT 3.1.1 section 4.1). */
export class Session {
  readonly id: string;
  readonly queue = new OutgoingQueue();
  readonly subscriptions = new Map<string, StoredSubscription>();
  owner: string;
  /** Who is connected; null while the client is away. */
  client: StoreClient | null = null;
  /** Between the look-up of the session at CONNECT and the sending of what it is owed, after CONNACK. */
  isOpening = false;
  /** Messages that were handed out at CONNECT and are not yet written; newer ones wait for them. */
  replayLeft = 0;
  /** Whether it has a row: it was opened by a CONNECT, or comes from one. */
  isDurable = false;
  /** Resolves once the last SUBSCRIBE is on disk, or could not be written. */
  subscribing: Promise<void> | null = null;
  /** Resolves once the last QoS 2 message may be sent; those behind it wait for that, too. */
  sending: Promise<void> | null = null;
  /** Monotonic ms since when the client is away. */
  absentFrom: number;
  /** The same as wall time, epoch ms; 0 while it is connected. */
  absentSince: number;
  /** Greatest number (aedes' counter) of a message that was sent from the queue. */
  sentCounter = 0;

  constructor(id: string, owner: string, absentFrom: number, absentSince: number) {
    this.id = id;
    this.owner = owner;
    this.absentFrom = absentFrom;
    this.absentSince = absentSince;
  }

  /** Nothing would be lost if it were forgotten. */
  get isIdle(): boolean {
    return this.client === null && this.subscriptions.size === 0 && this.queue.size === 0;
  }
}
