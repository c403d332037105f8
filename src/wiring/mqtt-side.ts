import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { sparkplugState } from '../decode/sparkplug-host.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { SessionRow } from '../domain/session-row.ts';
import { EmbeddedBroker } from '../ingest/embedded/broker.ts';
import { decodeRetained } from '../ingest/embedded/sessions/session-codec.ts';
import { SessionStore } from '../ingest/embedded/sessions/session-store.ts';
import { ExternalBroker } from '../ingest/external/external-broker.ts';
import { shownUrl } from '../ingest/external/connection.ts';
import type { Message } from '../domain/message.ts';
import type { Intake } from '../pipeline/intake.ts';
import type { Identity } from './identity.ts';
import type { Memory } from './memory.ts';
import { readCertificate, readPem } from './pem.ts';
import type { Stream } from './stream.ts';
import { StartRefusedError, type Surroundings, urlOf } from './surroundings.ts';

/** Where devices are heard and spoken to: the broker in here, or the user's own. */
export interface MqttSide {
  /** Resolves once it listens, or has begun to look for the broker. */
  start(): Promise<void>;
  stop(): Promise<void>;
  windowChanged(open: boolean): void;
  storageChanged(healthy: boolean): void;
  /** Answers whether anybody will get it. */
  publish(message: OutgoingMessage): Promise<boolean>;
  /** Closes everybody whose credential no longer holds. */
  revalidate(): void;
  /** The device is gone or blocked: its connections end, and what waited for it is thrown away. */
  forgetDevice(device: string): void;
  /** Why nothing comes in, as a sentence; null while all is well. */
  readonly fault: string | null;
  /** For people; with the port that was picked. */
  readonly url: string;
  /** MQTT over TLS; null where it is not offered, or by a broker elsewhere. */
  readonly tlsUrl: string | null;
  readonly handleUpgrade:
    | ((request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string | undefined) => void)
    | null;
  /** By the names under which `/metrics` shows them. */
  counts(): MqttCounts;
}

export interface MqttCounts {
  readonly broker: ReturnType<EmbeddedBroker['counts']> | null;
  readonly sessions: ReturnType<SessionStore['counts']> | null;
  readonly external: ReturnType<ExternalBroker['counts']> | null;
}

export interface MqttSideParts {
  readonly memory: Memory;
  readonly stream: Stream;
  readonly identity: Identity;
  readonly intake: Intake;
  /** Connections of devices, as they open and close. */
  readonly presence: {
    opened(device: string): void;
    closed(device: string, cause: 'disconnected' | 'connection_lost'): void;
    listens(device: string): void;
  };
  /** A broker that was away is back, and takes messages again. */
  readonly served: () => void;
  /** What a broker had retained when we came, by which dialects know their devices. */
  readonly retained: (message: Pick<Message, 'topic' | 'payload'>) => void;
}

export function buildMqttSide(surroundings: Surroundings, parts: MqttSideParts): MqttSide {
  return surroundings.config.mqtt.mode === 'external'
    ? externalSide(surroundings, parts)
    : embeddedSide(surroundings, parts);
}

function embeddedSide({ config, clock, random, log, stops }: Surroundings, parts: MqttSideParts): MqttSide {
  const { memory, stream, identity, intake, presence } = parts;
  const { mqtt, device } = config;
  const rows: readonly SessionRow[] = memory.recovered.sessions;
  for (const { kind, key, bytes } of rows) {
    if (kind === 'retained') parts.retained({ topic: key, payload: decodeRetained(bytes).payload });
  }
  const sessions = new SessionStore(
    mqtt,
    { write: (changes) => stream.commit({ changes: { sessions: changes } }), clock, log },
    rows,
  );
  // The broker stops them, too, if it ever comes to start.
  stops.push('MQTT sessions', () => sessions.stop());
  const broker = new EmbeddedBroker(
    {
      ...mqtt,
      rate: { messagesPerSecond: device.messagesPerSecond, bytesPerSecond: device.bytesPerSecond, burst: device.burst },
    },
    {
      sink: intake,
      redelivery: memory.redelivery,
      gatekeeper: identity.gatekeeper,
      clock,
      random,
      log,
      presence: { ...presence, isKnownDevice: (clientId) => identity.book.isKnown(clientId) },
      provision: ({ device: wanted, key }) => identity.provisioning.provision({ device: wanted, key }),
      sessions,
    },
  );
  const state = sparkplugStates(config.ingest.sparkplugHost, clock.now());
  return {
    async start() {
      await broker.start();
      if (state) await broker.publish(state.online);
    },
    async stop() {
      if (state) await broker.publish(state.offline);
      await broker.stop();
    },
    windowChanged: (open) => broker.windowChanged(open),
    storageChanged: (healthy) => broker.storageChanged(healthy),
    publish: (message) => broker.publish(message),
    revalidate: () => broker.revalidate(),
    forgetDevice: (device) => broker.forgetDevice(device),
    fault: null,
    get url() {
      return urlOf('mqtt', mqtt.host, broker.port);
    },
    get tlsUrl() {
      return broker.tlsPort === null ? null : urlOf('mqtts', mqtt.host, broker.tlsPort);
    },
    handleUpgrade: mqtt.webSocket
      ? (request, socket, head, remoteAddress) => broker.handleUpgrade(request, socket, head, remoteAddress)
      : null,
    counts: () => ({ broker: broker.counts(), sessions: sessions.counts(), external: null }),
  };
}

function externalSide({ config, clock, random, log }: Surroundings, parts: MqttSideParts): MqttSide {
  const { external, packetBytesMax } = config.mqtt;
  if (external.url === '') {
    throw new StartRefusedError(
      'mqtt.mode is external: mqtt.external.url must say where the broker is, mqtt://broker.example:1883',
    );
  }
  const certificate = readCertificate(external, 'mqtt.external');
  const broker = new ExternalBroker(
    {
      ...external,
      protocol: external.protocol === 5 ? 5 : 4,
      packetBytesMax,
      state: sparkplugStates(config.ingest.sparkplugHost, clock.now()),
      endpoint: {
        url: external.url,
        ca: readPem(external.ca, 'mqtt.external.ca'),
        cert: certificate?.cert ?? null,
        key: certificate?.key ?? null,
      },
    },
    {
      sink: parts.intake,
      redelivery: parts.memory.redelivery,
      retained: parts.retained,
      served: parts.served,
      clock,
      random,
      log,
    },
  );
  return {
    start: () => Promise.resolve(broker.start()),
    stop: () => broker.stop(),
    windowChanged: (open) => broker.windowChanged(open),
    storageChanged: (healthy) => broker.storageChanged(healthy),
    publish: (message) => broker.publish(message),
    // Whoever may talk to that broker is its operator's affair.
    revalidate: () => {},
    forgetDevice: () => {},
    get fault() {
      return broker.fault;
    },
    url: shownUrl(external.url),
    tlsUrl: null,
    handleUpgrade: null,
    counts: () => ({ broker: null, sessions: null, external: broker.counts() }),
  };
}

/** What edge nodes hear of this gateway where it is their primary host application (Sparkplug B 3.0 section 5.3). */
function sparkplugStates(
  host: string,
  at: number,
): { readonly online: OutgoingMessage; readonly offline: OutgoingMessage } | null {
  return host === '' ? null : { online: sparkplugState(host, true, at), offline: sparkplugState(host, false, at) };
}
