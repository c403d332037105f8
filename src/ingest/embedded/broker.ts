import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from 'aedes';
import type { Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import type { DeviceCertificate, Gatekeeper } from '../gatekeeper.ts';
import { Admission } from './admission.ts';
import {
  type BrokerCounts,
  type BrokerLimits,
  type BrokerOptions,
  type BrokerParts,
  defaultLimits,
} from './broker-parts.ts';
import { DeviceRate } from './device-rate.ts';
import { Door, type Visit } from './door.ts';
import { Entrance } from './entrance.ts';
import { awaitConnect } from './first-packet.ts';
import { type ByteStream, GuardedConnection } from './guarded-connection.ts';
import { silenceAllowed } from './keepalive.ts';
import { listen, portOf, tcpListener, tlsListener } from './listeners.ts';
import { Outgoing } from './outgoing.ts';
import { PacketScanner } from './packet-scanner.ts';
import { noListener, Presence } from './presence.ts';
import { ProvisionDesk } from './provision-desk.ts';
import { RareLog } from './rare-log.ts';
import { Relay } from './relay.ts';
import { RetainedCounts } from './retained-counts.ts';
import { SessionGuard } from './session-guard.ts';
import { Subscriptions } from './subscriptions.ts';
import { ownerOfDevice, Visitor } from './visitor.ts';
import { WebSocketListener } from './web-socket-listener.ts';

export type { BrokerCounts, BrokerOptions, BrokerParts, BrokerSink } from './broker-parts.ts';

const stopGraceMs = 2_000;
const watchMs = 1_000;
/** aedes' own timer; the door's is the one that counts. */
const never = 2_147_483_647;

/**
 * The embedded MQTT 3.1.1 broker. aedes sends the PUBACK when `authorizePublish` calls back, so that is where the
 * commit is awaited. What devices publish reaches MQTT subscribers through aedes; rules and live never ride on that.
 *
 *   listeners → door → CONNECT → GuardedConnection → admission → entrance → sink
 *                                                        ↓         ↑ express lane, or aedes
 *                                                     presence   subscriptions → subscribers
 */
export class EmbeddedBroker {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #parts: BrokerParts;
  readonly #connections = new Set<GuardedConnection>();
  readonly #visitors = new WeakMap<object, Visitor>();
  readonly #gatekeeper: Gatekeeper;
  readonly #door: Door;
  readonly #admission: Admission;
  readonly #presence: Presence;
  readonly #subscriptions: Subscriptions;
  readonly #rate: DeviceRate;
  readonly #entrance: Entrance;
  readonly #outgoing: Outgoing;
  readonly #sessions: SessionGuard;
  readonly #webSockets: WebSocketListener;
  #aedes: Relay | undefined;
  #servers: Server[] = [];
  #watch: Timer | undefined;
  #held = false;
  #stopping = false;
  /** Clients whose end has been counted; aedes reports one error for every message that was under way. */
  readonly #ended = new WeakSet<Client>();
  #cutConnections = 0;

  constructor(options: BrokerOptions, parts: BrokerParts) {
    const limits = { ...defaultLimits, ...options };
    const { clock, random, log, sink, redelivery } = parts;
    const { gatekeeper } = parts;
    this.#gatekeeper = gatekeeper;
    this.#options = options;
    this.#limits = limits;
    this.#parts = parts;
    const rareLog = new RareLog(clock, log);
    const visitorOf = (client: Client): Visitor | undefined => this.#visitors.get(client.conn);
    this.#presence = new Presence(parts.presence ?? noListener);
    this.#sessions = new SessionGuard(parts.sessions, this.#presence);
    this.#admission = new Admission({
      gatekeeper,
      clock,
      random,
      log,
      rareLog,
      visitorOf,
      sessions: this.#sessions,
      entered: (visitor) => this.#entered(visitor),
    });
    this.#door = new Door(limits, { clock, refused: (why) => this.#admission.count(why) });
    this.#subscriptions = new Subscriptions(limits, { gatekeeper, log: rareLog });
    this.#outgoing = new Outgoing(this.#presence);
    this.#rate = new DeviceRate(limits.rate, {
      clock,
      tell: (device, state) => this.#outgoing.tell(device, `devices/${device}/throttle`, state),
    });
    this.#entrance = new Entrance({
      sink,
      redelivery,
      gatekeeper,
      rate: this.#rate,
      retained: new RetainedCounts(limits.retainedPerClientMax),
      sessions: this.#sessions,
      desk: new ProvisionDesk(parts.provision, log),
      rareLog,
      topicLevelsMax: limits.topicLevelsMax,
      visitorOf,
    });
    const accept = this.#accept.bind(this);
    this.#webSockets = new WebSocketListener(limits, { door: this.#door, accept });
  }

  /** Begins to listen. Rejects with the error of the socket, EADDRINUSE for example, or of a file of the TLS options. */
  async start(): Promise<void> {
    this.#stopping = false;
    const aedes = this.#createRelay();
    await aedes.listen();
    this.#sessions.guard(aedes, (clientId) => this.#admission.holder(clientId));
    aedes.on('clientError', (client, error) => this.#cut(client, error));
    aedes.on('connectionError', (client, error) => this.#cut(client, error));
    aedes.on('clientReady', (client) => this.#openLane(client, aedes));
    aedes.on('subscribe', (_filters, client) => this.#subscribed(client));
    aedes.on('unsubscribe', (filters, client) => this.#unsubscribed(client, filters));
    this.#aedes = aedes;
    try {
      await this.#listen();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#watchConnections();
  }

  /** The port that is listened on. */
  get port(): number {
    return portOf(this.#servers[0]) ?? this.#options.port;
  }

  /** The port of MQTT over TLS; null when there is none. */
  get tlsPort(): number | null {
    return portOf(this.#servers[1]) ?? null;
  }

  /** MQTT over WebSocket: an upgrade that the HTTP server has found to be one. `remoteAddress` is the client's own. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string | undefined): void {
    if (this.#aedes && !this.#stopping) this.#webSockets.handleUpgrade(request, socket, head, remoteAddress);
    else socket.destroy();
  }

  /**
   * Sends a message of the gateway's own. Answers whether anybody will get it: a client that is connected and subscribed,
   * or a session that waits for its client.
   */
  async publish(message: OutgoingMessage): Promise<boolean> {
    const aedes = this.#aedes;
    if (!aedes || this.#stopping) return false;
    return this.#outgoing.publish(
      {
        aedes,
        isWanted: (topic) => aedes.subscribed.matches(topic),
        enqueue: (addressed) => this.#sessions.enqueue(aedes, addressed),
      },
      message,
    );
  }

  isConnected(device: string): boolean {
    return this.#presence.isConnected(device);
  }

  /** Closes everybody whose credential no longer holds; to be called when keys, tokens or registrations changed. */
  revalidate(): void {
    for (const { principal, connection } of this.#admission.inside) {
      if (principal && !this.#gatekeeper.isValid(principal)) connection.destroy();
    }
  }

  /** The device is gone or blocked: its connections are closed, and what its sessions were owed goes with them. */
  forgetDevice(device: string): void {
    for (const { connection } of this.#presence.of(device)) connection.destroy();
    this.#parts.sessions?.forgetOwner?.(ownerOfDevice(device));
  }

  counts(): BrokerCounts {
    const { refused, version5 } = this.#admission;
    const door = this.#door.counts;
    const entrance = this.#entrance.counts;
    const subscriptions = this.#subscriptions.counts;
    const rate = this.#rate.counts;
    return {
      connections: this.#connections.size,
      halfOpen: door.halfOpen,
      halfOpenTimedOut: door.timedOut,
      halfOpenPushedOut: door.pushedOut,
      refusedConnects: [...refused.values()].reduce((sum, count) => sum + count, 0),
      refusedConnectsByReason: Object.fromEntries(refused),
      barredConnects: refused.get('barred') ?? 0,
      version5Connects: version5,
      refusedPublishes: entrance.refused,
      refusedSubscriptions: subscriptions.refused,
      cutConnections: this.#cutConnections,
      shedForwards: subscriptions.shedForwards,
      withheldForwards: subscriptions.withheld,
      unretained: entrance.unretained,
      shedByRate: rate.shed,
      slowedByRate: rate.slowed,
      throttledDevices: rate.throttled,
      wills: entrance.wills,
    };
  }

  /** The in-flight window is full (`false`) or has room again (`true`). */
  windowChanged(open: boolean): void {
    // A broker that stops reads nothing more, though the window may open as its receipts settle.
    this.#held = !open || this.#stopping;
    for (const connection of this.#connections) connection.hold('window', this.#held);
  }

  /** While storage is unavailable nobody is let in; afterwards the devices come back spread over a second. */
  storageChanged(healthy: boolean): void {
    this.#admission.storageChanged(healthy);
  }

  /** Stops reading, waits a moment for open receipts, then closes every connection. May come twice, or before `start`. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watch?.cancel();
    this.#door.close();
    this.#rate.close();
    const servers = this.#servers;
    const aedes = this.#aedes;
    this.#servers = [];
    this.#aedes = undefined;
    if (!aedes) return;
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.windowChanged(false);
    const { clock } = this.#parts;
    const deadline = clock.monotonic() + stopGraceMs;
    while ([...this.#connections].some(({ answers }) => answers.open > 0) && clock.monotonic() < deadline) {
      await clock.sleep(5);
    }
    // What was answered just now still leaves: aedes writes at the end of the turn, and closing throws away the rest.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => aedes.close(resolve));
    for (const connection of this.#connections) connection.destroy();
    this.#door.empty();
    await Promise.all(closed);
    await this.#sessions.stop();
  }

  #createRelay(): Relay {
    return new Relay({
      persistence: this.#parts.sessions,
      connectTimeout: never,
      // Clients may send on before their CONNACK (MQTT 3.1.1 section 3.1.4); 42, the default, is soon reached.
      queueLimit: 1_000,
      preConnect: (client, packet, done) => {
        this.#visitors.get(client.conn)?.connection.allowSilence(silenceAllowed(packet.keepalive ?? 0, this.#limits));
        packet.keepalive = 0;
        this.#admission.preConnect(client, packet, done);
      },
      authenticate: (client, username, password, done) =>
        this.#admission.authenticate(client, username, password, done),
      authorizePublish: (client, packet, done) => this.#entrance.shown(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => {
        const visitor = this.#visitors.get(client.conn);
        done(null, visitor ? this.#subscriptions.grant(visitor, subscription) : null);
      },
      authorizeForward: (client, packet) => {
        const visitor = this.#visitors.get(client.conn);
        return visitor && this.#subscriptions.mayForward(visitor, packet) ? packet : null;
      },
    });
  }

  async #listen(): Promise<void> {
    const { log } = this.#parts;
    const { host, port, tls } = this.#options;
    const parts = { door: this.#door, accept: this.#accept.bind(this), log };
    const wanted = [{ server: tcpListener(parts), port }];
    if (tls && (tls.cert !== '' || tls.key !== '')) wanted.push({ server: tlsListener(tls, parts), port: tls.port });
    for (const { server, port: wantedPort } of wanted) {
      await listen(server, wantedPort, host);
      this.#servers.push(server);
      // Out of file descriptors, for example: this connection is lost, the others go on.
      server.on('error', (error) => log.warn({ error: messageOf(error) }, 'a connection was not accepted'));
    }
  }

  #accept(stream: ByteStream, visit: Visit, certificate: () => DeviceCertificate | null): void {
    awaitConnect(stream, {
      connectBytesMax: this.#limits.connectBytesMax,
      ready: () => {
        visit.introduced();
        this.#welcome(stream, visit, certificate);
      },
      wrongLevel: (level) => this.#admission.protocolRefused(level, visit.remoteAddress),
    });
  }

  /** Somebody came with a whole CONNECT. */
  #welcome(stream: ByteStream, visit: Visit, certificate: () => DeviceCertificate | null): void {
    const aedes = this.#aedes;
    if (!aedes) {
      stream.destroy();
      return;
    }
    const connection = new GuardedConnection(stream, {
      scanner: new PacketScanner(this.#limits),
      clock: this.#parts.clock,
      backlogMax: this.#limits.subscriberBacklogMax,
    });
    connection.hold('window', this.#held);
    this.#connections.add(connection);
    const visitor = new Visitor({ connection, visit, certificate });
    this.#visitors.set(connection, visitor);
    connection.on('close', () => this.#left(visitor));
    aedes.handle(connection);
  }

  #entered(visitor: Visitor): void {
    const { client, connection } = visitor;
    if (!client) return;
    visitor.device = this.#presence.deviceOf(visitor, client.id);
    visitor.bucket = this.#rate.join(visitor.device ?? client.id);
    this.#sessions.entered(visitor);
    this.#presence.entered(visitor);
    // It went while it was being judged, and nobody will say so again.
    if (connection.closed) this.#left(visitor);
  }

  #left(visitor: Visitor): void {
    const { connection, bucket, client } = visitor;
    this.#connections.delete(connection);
    this.#admission.left(visitor);
    if (bucket) this.#rate.leave(bucket, connection);
    visitor.bucket = undefined;
    // The end of the gateway says nothing of the devices.
    if (this.#stopping) return;
    // aedes notes a DISCONNECT here, which its types leave out.
    const isGoodbye = client !== undefined && Reflect.get(client, '_disconnected') === true;
    this.#presence.left(visitor, isGoodbye ? 'disconnected' : 'connection_lost');
  }

  #subscribed({ conn, closed }: Client): void {
    const visitor = this.#visitors.get(conn);
    if (visitor && !closed) this.#presence.subscribed(visitor);
  }

  #unsubscribed({ conn, closed }: Client, filters: readonly string[]): void {
    if (closed) return;
    const visitor = this.#visitors.get(conn);
    for (const filter of filters) visitor?.filters.delete(filter);
  }

  /** From now on aedes sees only what concerns other MQTT clients; the rest comes by the express lane. */
  #openLane({ conn, closed }: Client, { subscribed }: Relay): void {
    const visitor = this.#visitors.get(conn);
    if (!visitor || closed) return;
    visitor.connection.openLane(subscribed, (publish, receipt) => this.#entrance.receive(visitor, publish, receipt));
  }

  /** aedes may answer no PINGREQ behind a stalled publish, so a stall is ended by us, with a reason. */
  #watchConnections(): void {
    const { clock, log } = this.#parts;
    this.#watch = clock.after(watchMs, () => {
      const now = clock.monotonic();
      for (const connection of this.#connections) {
        const { answers } = connection;
        if (connection.isSilent(now))
          connection.destroy(new Error('it was silent for longer than its keepalive allows'));
        if (connection.destroyed || answers.stalledFor(now) < this.#limits.stallMax) continue;
        log.warn(
          { remote: connection.remoteAddress, receipts: answers.open },
          'a connection was closed: its messages were not committed in time',
        );
        connection.destroy();
      }
      this.#rate.sweep();
      this.#watchConnections();
    });
  }

  #cut(client: Client, error: Error): void {
    if (this.#ended.has(client)) return;
    this.#ended.add(client);
    this.#cutConnections++;
    this.#parts.log.debug({ client: client.id, error: messageOf(error) }, 'an MQTT connection ended with an error');
  }
}
