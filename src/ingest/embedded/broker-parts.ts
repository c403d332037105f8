import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Gatekeeper } from '../gatekeeper.ts';
import type { MessageSink } from '../message-sink.ts';
import type { RedeliveryBook } from '../redelivery.ts';
import type { ConnectRefusal } from './admission.ts';
import type { RateLimits } from './device-rate.ts';
import type { DoorLimits } from './door.ts';
import type { KeepaliveLimits } from './keepalive.ts';
import type { TlsOptions } from './listeners.ts';
import type { PresenceListener } from './presence.ts';
import type { Provision } from './provision-desk.ts';
import type { SubscriptionLimits } from './subscriptions.ts';

export interface BrokerSink extends MessageSink {
  /** A message came that is acknowledged and dropped, because its sender may not send it; `code` is of the registry. */
  refused(code: 'device_forbidden' | 'topic_invalid'): void;
  /** A QoS 0 message came that is dropped, because its device is above its rate. */
  shed(): void;
}

/** The options of `mqtt` and `device` in the configuration, under their names there. */
export interface BrokerOptions extends BrokerAddress, Partial<BrokerLimits> {
  readonly packetBytesMax: number;
  readonly connectionsMax: number;
  readonly stallMax: number;
  readonly subscriberBacklogMax: number;
}

export interface BrokerAddress {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Listens for TLS, too, when `cert` and `key` are given. */
  readonly tls?: TlsOptions;
}

export interface BrokerLimits extends DoorLimits, SubscriptionLimits, KeepaliveLimits {
  readonly packetBytesMax: number;
  readonly connectBytesMax: number;
  /** How long a receipt may stay open before its connection is closed, ms. */
  readonly stallMax: number;
  /** Most retained messages of one client; 0: no limit. */
  readonly retainedPerClientMax: number;
  /** What one device may send. */
  readonly rate: RateLimits;
}

export interface BrokerParts {
  readonly sink: BrokerSink;
  readonly redelivery: RedeliveryBook;
  readonly gatekeeper: Gatekeeper;
  readonly clock: Clock;
  readonly random: { next(): number };
  readonly log: Log;
  /** Hears of devices that connect and go; without it nobody does. */
  readonly presence?: PresenceListener;
  readonly provision?: Provision;
  /** Where sessions are kept; without it in memory, as aedes does it. */
  readonly sessions?: SessionKeeper;
}

/**
 * A persistence of aedes, as far as it is used beside aedes itself. What aedes' own one lacks is optional: sessions then
 * belong to nobody, and there is always room.
 */
export interface SessionKeeper {
  addSubscriptions(client: SessionClient, subscriptions: readonly SessionSubscription[]): Promise<void>;
  subscriptionsByTopic(topic: string): Promise<readonly (SessionSubscription & { readonly clientId: string })[]>;
  outgoingEnqueueCombi(subscriptions: readonly SessionSubscription[], packet: object): Promise<void>;
  /** Whether there is room for one more session that outlives its connection. */
  mayOpen?(clientId: string): boolean;
  /** Whose the client id is from now on. */
  claim?(clientId: string, owner: string): void;
  /** Whose session it is, also over a restart; null when there is none. */
  ownerOf?(clientId: string): string | null;
  /** Ends a session with all that it is owed. */
  forget?(clientId: string): void;
  /** Ends every session of one owner. */
  forgetOwner?(owner: string): void;
  /** Writes ahead what a message leaves behind, before it is answered; `payload` is the one of the packet. */
  prepare?(payload: Uint8Array): PreparedMessage | null;
  /** Resolves once everything that is known is on disk, or could not be written. */
  stop?(): Promise<void>;
}

export interface PreparedMessage {
  /** Resolves once it is on disk. */
  readonly written: Promise<void>;
  /** The message was not accepted after all. */
  abandon(): void;
}

interface SessionClient {
  readonly id: string;
}

interface SessionSubscription {
  readonly topic: string;
  readonly qos: number;
}

export interface BrokerCounts {
  readonly connections: number;
  /** Connections whose CONNECT is not complete. */
  readonly halfOpen: number;
  readonly halfOpenTimedOut: number;
  readonly halfOpenPushedOut: number;
  readonly refusedConnects: number;
  readonly refusedConnectsByReason: Readonly<Partial<Record<ConnectRefusal, number>>>;
  /** Of `refusedConnects`: from addresses with too many wrong credentials. */
  readonly barredConnects: number;
  /** Of `refusedConnects`: MQTT 5. */
  readonly version5Connects: number;
  readonly refusedPublishes: number;
  readonly refusedSubscriptions: number;
  readonly cutConnections: number;
  /** Messages that a subscriber did not get because it reads too slowly. */
  readonly shedForwards: number;
  /** Messages that a subscriber did not get because it may not have them. */
  readonly withheldForwards: number;
  /** Messages that were not retained because their client had retained too many. */
  readonly unretained: number;
  /** QoS 0 messages of devices above their rate. */
  readonly shedByRate: number;
  /** Times that a connection was not read because its device was above its rate. */
  readonly slowedByRate: number;
  /** Devices above their rate now. */
  readonly throttledDevices: number;
  readonly wills: number;
}

/** As in `config/default.yaml`, where each has its sentence. */
export const defaultLimits = {
  connectBytesMax: 4_096,
  connectionsPerAddressMax: 15_000,
  halfOpenMax: 1_000,
  connectTimeout: 5_000,
  keepaliveMin: 5_000,
  keepaliveMax: 3_600_000,
  topicLevelsMax: 16,
  subscriptionsMax: 100,
  retainedPerClientMax: 1_000,
  rate: { messagesPerSecond: 0, bytesPerSecond: 0, burst: 10_000 },
} as const;
