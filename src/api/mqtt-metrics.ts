import type { BrokerCounts } from '../ingest/embedded/broker-parts.ts';
import type { SessionCounts } from '../ingest/embedded/sessions/session-store.ts';
import type { ExternalBrokerCounts } from '../ingest/external/external-broker.ts';
import { type Family, single } from './metric-family.ts';

/** What the side of the devices counts; null where it is not in use. */
export interface MqttSnapshot {
  readonly broker: BrokerCounts | null;
  readonly sessions: SessionCounts | null;
  readonly external: ExternalBrokerCounts | null;
}

type Kind = Family['kind'];
type Counted<T> = (counts: T) => number;

const broker = (kind: Kind, name: string, help: string, count: Counted<BrokerCounts>): Family =>
  single(kind, `pulsegate_mqtt_${name}`, help, ({ mqtt }) => (mqtt.broker === null ? undefined : count(mqtt.broker)));
const sessions = (kind: Kind, name: string, help: string, count: Counted<SessionCounts>): Family =>
  single(kind, `pulsegate_mqtt_${name}`, help, ({ mqtt }) =>
    mqtt.sessions === null ? undefined : count(mqtt.sessions),
  );
const external = (kind: Kind, name: string, help: string, count: Counted<ExternalBrokerCounts>): Family =>
  single(kind, `pulsegate_external_${name}`, help, ({ mqtt }) =>
    mqtt.external === null ? undefined : count(mqtt.external),
  );

/** The families of the embedded broker, its sessions, and the external broker. */
export const mqttFamilies: readonly Family[] = [
  broker('gauge', 'clients', 'MQTT connections', (now) => now.connections),
  broker('gauge', 'half_open', 'Connections whose CONNECT is not complete', (now) => now.halfOpen),
  broker('counter', 'half_open_timed_out_total', 'Connections closed without a CONNECT', (now) => now.halfOpenTimedOut),
  broker(
    'counter',
    'half_open_pushed_out_total',
    'Connections without a CONNECT that made room',
    (now) => now.halfOpenPushedOut,
  ),
  {
    kind: 'counter',
    name: 'pulsegate_mqtt_connects_refused_total',
    help: 'Connections refused, by reason',
    labels: ['reason'],
    samples: ({ mqtt }) =>
      Object.entries(mqtt.broker?.refusedConnectsByReason ?? {}).map(
        ([reason, count]) => [{ reason }, count ?? 0] as const,
      ),
  },
  broker('counter', 'version5_total', 'Clients refused because they speak MQTT 5', (now) => now.version5Connects),
  broker(
    'counter',
    'publishes_refused_total',
    'Messages that their sender may not send',
    (now) => now.refusedPublishes,
  ),
  broker('counter', 'subscriptions_refused_total', 'Subscriptions refused', (now) => now.refusedSubscriptions),
  broker('counter', 'connections_cut_total', 'Connections that ended with an error', (now) => now.cutConnections),
  broker(
    'counter',
    'forwards_shed_total',
    'Messages that a subscriber did not get because it reads too slowly',
    (now) => now.shedForwards,
  ),
  broker(
    'counter',
    'forwards_withheld_total',
    'Messages that a subscriber did not get because it may not',
    (now) => now.withheldForwards,
  ),
  broker(
    'counter',
    'unretained_total',
    'Messages not retained because their client has too many',
    (now) => now.unretained,
  ),
  broker('counter', 'rate_shed_total', 'QoS 0 messages of devices above their rate', (now) => now.shedByRate),
  broker('counter', 'rate_slowed_total', 'Times that a device was read more slowly', (now) => now.slowedByRate),
  broker('gauge', 'throttled_devices', 'Devices above their rate', (now) => now.throttledDevices),
  broker('counter', 'wills_total', 'Last wills published', (now) => now.wills),

  sessions('gauge', 'sessions', 'Sessions that outlive their connection', (now) => now.sessions),
  sessions('gauge', 'queued_messages', 'Messages that wait for absent clients', (now) => now.queued),
  sessions('gauge', 'queued_bytes', 'Their bytes', (now) => now.queuedBytes),
  sessions(
    'counter',
    'queued_dropped_total',
    'Queued messages that went because a bound was reached',
    (now) => now.droppedQueued,
  ),
  sessions(
    'counter',
    'sessions_refused_total',
    'Sessions refused because there are too many',
    (now) => now.refusedSessions,
  ),
  sessions(
    'counter',
    'sessions_expired_total',
    'Sessions whose client stayed away too long',
    (now) => now.expiredSessions,
  ),
  sessions('gauge', 'retained_messages', 'Retained messages', (now) => now.retained),
  sessions('gauge', 'retained_bytes', 'Their bytes', (now) => now.retainedBytes),
  sessions(
    'counter',
    'retained_refused_total',
    'Retained messages not kept because a bound was reached',
    (now) => now.refusedRetained,
  ),

  external('gauge', 'connections', 'Connections to the external broker that are subscribed', (now) => now.connections),
  external('counter', 'connections_lost_total', 'Connections to the external broker that ended', (now) => now.lost),
  external('gauge', 'waiting_messages', 'Messages of the external broker that wait for the disk', (now) => now.waiting),
  external('counter', 'unsent_total', 'Messages to devices that the external broker did not take', (now) => now.unsent),
];
