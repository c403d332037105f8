import { MqttClient } from 'mqtt';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import { Backoff } from './backoff.ts';
import { type Endpoint, openStream } from './endpoint.ts';
import { Link, type LinkParts } from './link.ts';

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  readonly protocol: 4 | 5;
  /** Whether the broker keeps the session while this side is away. */
  readonly lasting: boolean;
  /** As they are sent, `$share/…` included. */
  readonly filters: readonly string[];
  readonly packetBytesMax: number;
  readonly inFlightMax: number;
  /** What the broker says for this connection when it breaks; null: nothing. */
  readonly will: OutgoingMessage | null;
}

export interface ConnectionParts extends Pick<LinkParts, 'sink' | 'redelivery' | 'retained'> {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The broker granted every filter. */
  readonly subscribed?: () => void;
}

/** What is wrong before anything has gone wrong. */
export const notYet = 'it is not connected yet';
/** How long the broker keeps a session, MQTT 5 section 3.1.2.11.2; 3.1.1 leaves it to the broker. */
const sessionExpirySeconds = 7 * 86_400;

/**
 * One connection to the user's broker, made again whenever it ends. Connecting, credentials, keepalive and subscribing
 * are the MQTT client's; what arrives is taken by the link before the client sees it.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #parts: ConnectionParts;
  readonly #backoff: Backoff;
  #client: MqttClient | undefined;
  #link: Link | undefined;
  #again: Timer | undefined;
  #held = false;
  #leaving = false;
  #fault: string | null = notYet;
  #stopped = false;
  #lost = 0;

  constructor(options: ConnectionOptions, parts: ConnectionParts) {
    this.#options = options;
    this.#parts = parts;
    this.#backoff = new Backoff(parts.random);
  }

  /** Why nothing comes in at the moment, as the rest of a sentence; null while all is well. */
  get fault(): string | null {
    return this.#fault;
  }

  /** How often the connection ended. */
  get lost(): number {
    return this.#lost;
  }

  /** Messages that wait for the disk. */
  get waiting(): number {
    return this.#link?.waiting ?? 0;
  }

  start(): void {
    const { endpoint, clientId, username, password, protocol, lasting, packetBytesMax, inFlightMax, will } =
      this.#options;
    const { sink, redelivery, retained, clock } = this.#parts;
    const build = (): Link => {
      const link = new Link(openStream(endpoint), {
        sink,
        redelivery,
        retained,
        protocol,
        clientId,
        packetBytesMax,
        inFlightMax,
      });
      link.hold(this.#held);
      if (this.#leaving) link.leave();
      this.#link = link;
      return link;
    };
    const client = new MqttClient(build, {
      clientId,
      protocolVersion: protocol,
      protocolId: 'MQTT',
      clean: !lasting,
      keepalive: 30,
      connectTimeout: 10_000,
      // The pauses between attempts are ours.
      reconnectPeriod: 0,
      resubscribe: false,
      // What is published while there is no connection must not gather here.
      queueQoSZero: false,
      ...(will
        ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: will.qos, retain: will.retain } }
        : {}),
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      ...(protocol === 5
        ? {
            properties: {
              receiveMaximum: Math.min(inFlightMax, 65_535),
              ...(lasting ? { sessionExpiryInterval: sessionExpirySeconds } : {}),
            },
          }
        : {}),
    });
    this.#client = client;
    client.on('connect', () => {
      this.#backoff.connected(clock.monotonic());
      this.#subscribe(client);
    });
    client.on('error', (error) => this.#explain(sentenceOf(error)));
    client.on('close', () => this.#closed());
  }

  /** Stops (or lets on) reading. */
  hold(held: boolean): void {
    this.#held = held;
    this.#link?.hold(held);
  }

  /** Takes no more messages: what still comes is dropped, and comes again on the next start. */
  leave(): void {
    this.#leaving = true;
    this.#link?.leave();
  }

  /** Resolves with whether the broker took it. Never queues: without a connection it is not sent. */
  publish({ topic, payload, qos, retain }: OutgoingMessage): Promise<boolean> {
    const client = this.#client;
    if (!client?.connected) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (taken: boolean): void => {
        client.off('close', onClose);
        resolve(taken);
      };
      const onClose = (): void => settle(false);
      client.once('close', onClose);
      client.publish(topic, Buffer.from(payload), { qos, retain }, (error) => settle(!error));
    });
  }

  /** Says goodbye, which keeps a lasting session, and forgets what was not acknowledged: the broker has it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#again?.cancel();
    const client = this.#client;
    if (!client) return;
    const wasConnected = client.connected;
    await new Promise<void>((resolve) => {
      client.end(!wasConnected, () => resolve());
      this.#parts.clock.after(1_000, () => {
        this.#link?.destroy();
        resolve();
      });
    });
    this.#link?.destroy();
  }

  #subscribe(client: MqttClient): void {
    const { filters } = this.#options;
    if (filters.length === 0) {
      this.#fault = null;
      return;
    }
    client.subscribe([...filters], { qos: 2 }, (error, _grants, packet) => {
      const codes: readonly unknown[] = packet?.granted ?? [];
      const refused = filters.filter((_, index) => Number(codes[index]) >= 0x80);
      if (refused.length > 0) this.#explain(refusalOf(refused));
      else if (error) this.#explain(sentenceOf(error));
      else {
        this.#fault = null;
        this.#parts.log.info({ client: this.#options.clientId, filters }, 'subscribed at the external MQTT broker');
        this.#parts.subscribed?.();
      }
    });
  }

  #explain(fault: string): void {
    if (this.#fault !== fault) {
      const { url } = this.#options.endpoint;
      this.#parts.log.warn(
        { client: this.#options.clientId, broker: shownUrl(url), why: fault },
        'the external MQTT broker does not serve us',
      );
    }
    this.#fault = fault;
  }

  #closed(): void {
    this.#link?.destroy();
    if (this.#stopped) return;
    this.#lost++;
    this.#fault ??= 'the connection was lost';
    const { clock } = this.#parts;
    this.#again?.cancel();
    this.#again = clock.after(this.#backoff.pause(clock.monotonic()), () => {
      if (!this.#stopped) this.#client?.reconnect();
    });
  }
}

/** Without user name and password, should somebody have put them into the URL. */
export function shownUrl(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

function refusalOf(filters: readonly string[]): string {
  const hint = filters.some((filter) => filter.startsWith('$share/'))
    ? 'if it knows no shared subscriptions, set mqtt.external.group to ""; otherwise its access list must allow the user to subscribe'
    : 'its access list must allow the user to subscribe';
  return `it refuses the subscription to ${filters.join(', ')}: ${hint}`;
}

/** What went wrong, and what to look at. */
function sentenceOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 1:
    case 132:
      return 'it does not speak this version of MQTT; set mqtt.external.protocol to the other one, 4 or 5';
    case 2:
    case 133:
      return 'it does not accept the client id; see mqtt.external.clientId';
    case 4:
    case 134:
      return 'it does not accept user name and password; see mqtt.external.username and .password';
    case 5:
    case 135:
      return 'it does not let this user in; see mqtt.external.username and .password, and its access list';
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
    case 'ETIMEDOUT':
      return `it cannot be reached (${code}); see mqtt.external.url`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `its certificate is of no known authority (${code}); mqtt.external.ca names one of your own`;
    default:
      return messageOf(error);
  }
}
