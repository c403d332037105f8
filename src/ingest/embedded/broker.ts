import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Aedes, AedesPublishPacket, AuthenticateError, Client, PublishPacket, Subscription } from 'aedes';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Message, Receipt } from '../../domain/message.ts';
import { anySender } from '../../domain/principal.ts';
import { fingerprint } from '../fingerprint.ts';
import type { RedeliveryBook } from '../redelivery.ts';
import type { ExpressPublish } from './express-lane.ts';
import { GuardedConnection } from './guarded-connection.ts';
import { PacketScanner } from './packet-scanner.ts';
import { Relay } from './relay.ts';

/** Where messages go. */
export interface MessageSink {
  /** Settles the receipt once the message is on disk (QoS 1, 2) or has its place in the window (QoS 0). */
  receive(message: Message, receipt: Receipt): void;
  /** A message arrived again that is settled, or being settled. */
  redelivered(): void;
}

export interface BrokerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly packetBytesMax: number;
  readonly connectionsMax: number;
  /** How long a receipt may stay open before its connection is closed, ms. */
  readonly stallMax: number;
  /** Bytes that may wait for one subscriber; beyond it QoS 0 is shed and QoS 1 and 2 close the connection. */
  readonly subscriberBacklogMax: number;
}

export interface BrokerParts {
  readonly sink: MessageSink;
  readonly redelivery: RedeliveryBook;
  /** Whether this CONNECT is let in; the answer is a sentence for the log when it is not. */
  readonly judgeConnect: (facts: {
    readonly remoteAddress: string | undefined;
    readonly username: string | undefined;
    readonly password: string | undefined;
  }) => { readonly allowed: true } | { readonly allowed: false; readonly detail: string };
  readonly clock: Clock;
  readonly random: { next(): number };
  readonly log: Log;
}

export interface BrokerCounts {
  readonly connections: number;
  readonly refusedConnects: number;
  readonly refusedSubscriptions: number;
  readonly cutConnections: number;
  /** Messages that a subscriber did not get because it reads too slowly. */
  readonly shedForwards: number;
}

const connectBytesMax = 65_536;
const stopGraceMs = 2_000;
const readmissionMs = 1_000;

/**
 * The embedded MQTT 3.1.1 broker. aedes sends the PUBACK when `authorizePublish` calls back, so that is where the
 * commit is awaited. What devices publish reaches MQTT subscribers through aedes; rules and live never ride on that.
 */
export class EmbeddedBroker {
  readonly #options: BrokerOptions;
  readonly #parts: BrokerParts;
  readonly #connections = new Set<GuardedConnection>();
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  #watch: Timer | undefined;
  #held = false;
  #stopping = false;
  /** Clients whose end has been counted; aedes reports one error for every message that was under way. */
  readonly #ended = new WeakSet<Client>();
  /** Monotonic ms before which nobody is let in; Infinity while storage is unavailable. */
  #admitFrom = 0;
  #refusedConnects = 0;
  #refusedSubscriptions = 0;
  #cutConnections = 0;
  #shedForwards = 0;

  constructor(options: BrokerOptions, parts: BrokerParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Begins to listen. Rejects with the error of the socket, EADDRINUSE for example. */
  async start(): Promise<void> {
    this.#stopping = false;
    const aedes = new Relay({
      connectTimeout: 10_000,
      // Clients may send on before their CONNACK (MQTT 3.1.1 section 3.1.4); 42, the default, is soon reached.
      queueLimit: 1_000,
      preConnect: (client, packet, done) => this.#preConnect(client, packet.clientId, done),
      authenticate: (client, username, password, done) => this.#authenticate(client, username, password, done),
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (_client, subscription, done) => done(null, this.#grant(subscription)),
      authorizeForward: (client, packet) => (this.#mayForward(client, packet) ? packet : null),
    });
    await aedes.listen();
    aedes.on('clientError', (client, error) => this.#cut(client, error));
    aedes.on('connectionError', (client, error) => this.#cut(client, error));
    aedes.on('clientReady', (client) => this.#openLane(client, aedes));
    this.#aedes = aedes;
    const server = createServer((socket) => {
      if (this.#connections.size >= this.#options.connectionsMax) {
        this.#refusedConnects++;
        socket.destroy();
        return;
      }
      const scanner = new PacketScanner({ packetBytesMax: this.#options.packetBytesMax, connectBytesMax });
      const connection = new GuardedConnection(socket, {
        scanner,
        clock: this.#parts.clock,
        backlogMax: this.#options.subscriberBacklogMax,
      });
      connection.hold(this.#held);
      this.#connections.add(connection);
      connection.on('close', () => {
        this.#connections.delete(connection);
      });
      aedes.handle(connection);
    });
    this.#server = server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(this.#options.port, this.#options.host, () => {
          server.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      await this.stop();
      throw error;
    }
    // Out of file descriptors, for example: this connection is lost, the others go on.
    server.on('error', (error) => this.#parts.log.warn({ error: messageOf(error) }, 'a connection was not accepted'));
    this.#watchStalls();
  }

  /** The port that is listened on. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  counts(): BrokerCounts {
    return {
      connections: this.#connections.size,
      refusedConnects: this.#refusedConnects,
      refusedSubscriptions: this.#refusedSubscriptions,
      cutConnections: this.#cutConnections,
      shedForwards: this.#shedForwards,
    };
  }

  /** The in-flight window is full (`false`) or has room again (`true`). */
  windowChanged(open: boolean): void {
    // A broker that stops reads nothing more, though the window may open as its receipts settle.
    this.#held = !open || this.#stopping;
    for (const connection of this.#connections) connection.hold(this.#held);
  }

  /** While storage is unavailable nobody is let in; afterwards the devices come back spread over a second. */
  storageChanged(healthy: boolean): void {
    this.#admitFrom = healthy ? this.#parts.clock.monotonic() : Number.POSITIVE_INFINITY;
  }

  /** Stops reading, waits a moment for open receipts, then closes every connection. May come twice, or before `start`. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watch?.cancel();
    const server = this.#server;
    const aedes = this.#aedes;
    this.#server = undefined;
    this.#aedes = undefined;
    if (!server || !aedes) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.windowChanged(false);
    const deadline = this.#parts.clock.monotonic() + stopGraceMs;
    while ([...this.#connections].some(({ answers }) => answers.open > 0) && this.#parts.clock.monotonic() < deadline) {
      await this.#parts.clock.sleep(5);
    }
    // What was answered just now still leaves: aedes writes at the end of the turn, and closing throws away the rest.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => aedes.close(resolve));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #preConnect(client: Client, clientId: string, done: (error: Error | null, success: boolean) => void): void {
    if (clientId.length > 256) {
      done(new Error('the client id is longer than 256 characters'), false);
      return;
    }
    const { clock, random } = this.#parts;
    const wait = this.#admitFrom - clock.monotonic();
    if (wait === Number.POSITIVE_INFINITY) {
      this.#refusedConnects++;
      done(new Error('storage is not available'), false);
      return;
    }
    if (wait < -readmissionMs || this.#admitFrom === 0) {
      done(null, true);
      return;
    }
    clock.after(random.next() * readmissionMs, () => done(null, !client.closed));
  }

  #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): void {
    const remoteAddress = client.conn instanceof GuardedConnection ? client.conn.remoteAddress : undefined;
    const judged = this.#parts.judgeConnect({ remoteAddress, username, password: password?.toString('utf8') });
    if (judged.allowed) {
      done(null, true);
      return;
    }
    this.#refusedConnects++;
    this.#parts.log.debug({ remote: remoteAddress, why: judged.detail }, 'an MQTT client was not let in');
    // CONNACK return code 5, not authorized.
    done(null, false);
  }

  /** `$SYS` would let anybody drive the broker, and `$share` is granted by aedes but never delivers: refused with 128. */
  #grant(subscription: Subscription): Subscription | null {
    if (!isReserved(subscription.topic)) return subscription;
    this.#refusedSubscriptions++;
    return null;
  }

  /** From now on aedes sees only what concerns other MQTT clients; the rest comes by the express lane. */
  #openLane(client: Client, { subscribed }: Relay): void {
    if (!(client.conn instanceof GuardedConnection) || client.closed) return;
    client.conn.openLane(subscribed, (publish, receipt) => this.#receive(client, publish, receipt));
  }

  /** A message that came through aedes, which answers when `done` is called. */
  #authorizePublish(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
    const answer: Receipt = (failure) => done(failure ?? null);
    const connection = client?.conn;
    // A will comes when its client is gone: there is nobody to answer, and nobody to close should it take long.
    const isPresent = connection instanceof GuardedConnection && !client?.closed;
    if (isPresent) connection.publishShown();
    if (isReserved(packet.topic)) {
      done(new Error(`topics beginning with $ are reserved: ${packet.topic.slice(0, 64)}`));
      return;
    }
    const receipt = isPresent && packet.qos > 0 ? connection.answers.expectFrom(answer) : answer;
    this.#receive(client, packet, receipt);
  }

  #receive(client: Client | null, packet: PublishPacket | ExpressPublish, receipt: Receipt): void {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const clientId = client?.id ?? null;
    const packetId = packet.qos > 0 ? packet.messageId : undefined;
    const identity =
      packetId !== undefined && clientId !== null
        ? { client: clientId, packetId, hash: fingerprint(packet.topic, payload) }
        : null;
    const message: Message = {
      topic: packet.topic,
      payload,
      qos: packet.qos,
      client: clientId,
      sender: anySender,
      identity,
    };
    if (!identity) {
      this.#parts.sink.receive(message, receipt);
      return;
    }
    const { redelivery } = this.#parts;
    const repeated = packet.dup || (packet.qos === 2 && redelivery.isOpen(identity));
    const settle = redelivery.admit(identity, repeated, receipt);
    if (settle) this.#parts.sink.receive(message, settle);
    else this.#parts.sink.redelivered();
  }

  /** aedes answers no PINGREQ behind a stalled publish, so a stall is ended by us, with a reason. */
  #watchStalls(): void {
    const { clock, log } = this.#parts;
    this.#watch = clock.after(1_000, () => {
      const now = clock.monotonic();
      for (const connection of this.#connections) {
        const { answers } = connection;
        if (connection.destroyed || answers.stalledFor(now) < this.#options.stallMax) continue;
        log.warn(
          { remote: connection.remoteAddress, receipts: answers.open },
          'a connection was closed: its messages were not committed in time',
        );
        connection.destroy();
      }
      this.#watchStalls();
    });
  }

  /** Nobody waits for a subscriber that does not read: it goes without (QoS 0), or goes (QoS 1 and 2, to come back). */
  #mayForward({ id, conn }: Client, packet: AedesPublishPacket): boolean {
    if (isReserved(packet.topic)) return false;
    const { subscriberBacklogMax } = this.#options;
    if (!(conn instanceof GuardedConnection) || conn.backlog <= subscriberBacklogMax) return true;
    this.#shedForwards++;
    if (packet.qos > 0 && !conn.destroyed) {
      this.#parts.log.warn(
        { client: id, backlog: conn.backlog, subscriberBacklogMax },
        'an MQTT subscriber was closed: it does not read',
      );
      conn.destroy();
    }
    // Refusing a queued message would make aedes forget it; written to a closed connection it stays for the next one.
    return packet.qos > 0;
  }

  #cut(client: Client, error: Error): void {
    if (this.#ended.has(client)) return;
    this.#ended.add(client);
    this.#cutConnections++;
    this.#parts.log.debug({ client: client.id, error: messageOf(error) }, 'an MQTT connection ended with an error');
  }
}

function isReserved(topic: string): boolean {
  return topic.startsWith('$');
}
