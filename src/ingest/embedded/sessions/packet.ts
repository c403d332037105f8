/** A packet as aedes hands it over to be remembered, and takes it back. */
export interface StoredPacket {
  cmd: string;
  /** With `brokerCounter`, the message that it is a copy of: aedes drops what a client got under the same pair. */
  brokerId?: string;
  brokerCounter?: number;
  topic: string;
  payload: Buffer | string;
  qos: 0 | 1 | 2;
  retain: boolean;
  dup: boolean;
  messageId?: number | undefined;
}

/** A message as the broker read it, not numbered yet; the broker may change where it goes while it judges. */
export interface ArrivingPacket {
  readonly topic: string;
  readonly payload: Buffer | string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly messageId?: number | undefined;
}

/** The end of an exchange of QoS 2 (MQTT 3.1.1 section 3.6), which takes the place of its message in the queue. */
export interface StoredRelease {
  cmd: string;
  messageId?: number | undefined;
}

export interface WillPacket {
  cmd?: string;
  topic: string;
  payload: Buffer | string;
  qos: 0 | 1 | 2;
  retain: boolean;
  clientId?: string;
  brokerId?: string;
}

/** A client as the store needs it; some calls of aedes pass no more than its id. */
export interface StoreClient {
  readonly id: string;
  readonly clean?: boolean;
  readonly closed?: boolean;
  /** By filter, what aedes delivers to it. */
  readonly subscriptions?: Readonly<Record<string, { readonly qos: number }>>;
  /** Sends one message, asking `authorizeForward` first. A method of aedes' clients that its types leave out. */
  deliverQoS?(packet: StoredPacket, done: () => void): void;
}

export interface StoredSubscription {
  readonly topic: string;
  readonly qos: number;
  readonly rh?: number | undefined;
  readonly rap?: boolean | undefined;
  readonly nl?: boolean | undefined;
  readonly subscriptionIdentifier?: number | undefined;
}

/**
 * A copy of its own: what came from a socket is a piece of a chunk, which would be kept whole for as long. So would be
 * the pool that `Buffer.from` takes its copies from, which is many times a small message.
 */
export function ownPayload(payload: Buffer | string | undefined): Buffer | string {
  if (payload === undefined) return Buffer.alloc(0);
  if (typeof payload === 'string') return payload;
  const own = Buffer.allocUnsafeSlow(payload.length);
  own.set(payload);
  return own;
}

/** What a message costs in memory, roughly: its text, its payload and the objects around them. */
export function packetBytes(packet: { readonly topic: string; readonly payload: Buffer | string }): number {
  return 200 + packet.topic.length + packet.payload.length;
}

export function bytesOf(payload: Buffer | string): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload) : payload;
}
