import { GrantedQos } from './granted-qos.ts';
import type { ArrivingPacket, StoreClient, StoredPacket, StoredSubscription, WillPacket } from './packet.ts';

type Forward = (client: StoreClient, packet: StoredPacket) => StoredPacket | null | void;
type Grant = (
  client: StoreClient,
  subscription: StoredSubscription,
  done: (error: Error | null, granted?: StoredSubscription | null) => void,
) => void;

type Enter = (client: StoreClient | null, packet: ArrivingPacket, done: (error?: Error | null) => void) => void;

/** aedes as the store needs it; the exam of its own persistences passes a broker without events and decisions. */
export interface StoreBroker {
  readonly id: string;
  on?(event: 'client' | 'clientDisconnect', listener: (client: StoreClient) => void): unknown;
  emit?(event: 'subscribe' | 'unsubscribe', subscriptions: readonly unknown[], client: StoreClient): unknown;
  publish?(packet: WillPacket, done: (error?: Error | null) => void): void;
  authorizePublish?: Enter;
  authorizeForward?: Forward;
  authorizeSubscribe?: Grant;
}

/** What the store has to say in the broker's decisions. */
export interface Guard {
  /** A message is about to be judged. */
  arriving(client: StoreClient | null, packet: ArrivingPacket): void;
  /** Whether a message stays in its queue for now. */
  holds(client: StoreClient, packet: StoredPacket): boolean;
  /** Whether it was taken out of a queue, with the QoS that it has there. */
  isFromQueue(packet: StoredPacket): boolean;
  /** The broker refused to forward it. */
  refused(client: StoreClient, packet: StoredPacket): void;
  /** Whether it only stands for a session without subscriptions. */
  isMarker(subscription: StoredSubscription): boolean;
  refusedSubscription(subscription: StoredSubscription): void;
}

/** Puts the store in front of the broker's decisions: aedes asks them at the only moments where it can be held back. */
export function guardDecisions(broker: StoreBroker, guard: Guard): void {
  const forward = broker.authorizeForward;
  const grant = broker.authorizeSubscribe;
  const enter = broker.authorizePublish;
  if (!forward || !grant || !enter) return;
  broker.authorizePublish = (client, packet, done) => {
    guard.arriving(client, packet);
    enter.call(broker, client, packet, done);
  };
  const qos = new GrantedQos();
  broker.authorizeForward = (client, packet) => {
    if (guard.holds(client, packet)) return null;
    if (forward.call(broker, client, packet)) return guard.isFromQueue(packet) ? packet : qos.apply(client, packet);
    guard.refused(client, packet);
    return null;
  };
  broker.authorizeSubscribe = (client, subscription, done) => {
    if (guard.isMarker(subscription)) {
      done(null, null);
      return;
    }
    grant.call(broker, client, subscription, (error, granted) => {
      if (!error && !granted) guard.refusedSubscription(subscription);
      done(error, granted && qos.note(client, granted));
    });
  };
}
