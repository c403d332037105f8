import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** A PUBLISH as the broker was asked to take it. */
export interface Arrival {
  readonly client: string;
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
}

/**
 * A bare broker on a port of its own that writes down every PUBLISH in the order of arrival. It can hold
 * acknowledgements back, drop its connections, and refuse credentials.
 */
export class SimulatorBroker {
  readonly arrivals: Arrival[] = [];
  readonly logins: { client: string; username: string | undefined; password: string | undefined }[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #broker: Aedes;
  readonly #server: Server;
  #held: (() => void)[] | undefined;
  #waits: { isMet: () => boolean; resolve: () => void }[] = [];
  #token: string | undefined;

  private constructor(broker: Aedes) {
    this.#broker = broker;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      broker.handle(socket);
    });
    broker.authenticate = (client, username, password, done) => {
      this.logins.push({ client: client.id, username, password: password?.toString() });
      const isRefused = this.#token !== undefined && password?.toString() !== this.#token;
      if (isRefused) done(Object.assign(new Error('not authorized'), { returnCode: 5 }), false);
      else done(null, true);
      this.#check();
    };
    broker.authorizePublish = (client, packet, callback) => {
      this.arrivals.push({
        client: client?.id ?? '',
        topic: packet.topic,
        payload: packet.payload.toString(),
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
      });
      if (this.#held === undefined || packet.topic.endsWith('/status')) callback(null);
      else this.#held.push(() => callback(null));
      this.#check();
    };
  }

  /** Listens on `port`, or on one that is free; `token` is the only password that is let in. */
  static async start(options: { port?: number; token?: string } = {}): Promise<SimulatorBroker> {
    const broker = new SimulatorBroker(await Aedes.createBroker());
    broker.#token = options.token;
    broker.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(broker.#server, 'listening');
    return broker;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the broker does not listen');
    return `mqtt://127.0.0.1:${address.port}`;
  }

  get telemetry(): Arrival[] {
    return this.arrivals.filter((arrival) => arrival.topic.endsWith('/telemetry'));
  }

  /** Payloads on `devices/{device}/{leaf}` in order of arrival. */
  said(device: string, leaf: string): string[] {
    return this.arrivals
      .filter((arrival) => arrival.topic === `devices/${device}/${leaf}`)
      .map((arrival) => arrival.payload);
  }

  /** Resolves when the claim is true; looked at after every login and PUBLISH. */
  async until(isMet: () => boolean): Promise<void> {
    if (isMet()) return;
    await new Promise<void>((resolve) => this.#waits.push({ isMet, resolve }));
  }

  /** From now on no telemetry or attributes are acknowledged. */
  hold(): void {
    this.#held ??= [];
  }

  /** Breaks every connection, forgets what was held, and acknowledges again. */
  dropConnections(): void {
    this.#held = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#broker.close(() => resolve()));
  }

  #check(): void {
    const met = this.#waits.filter((wait) => wait.isMet());
    this.#waits = this.#waits.filter((wait) => !met.includes(wait));
    for (const wait of met) wait.resolve();
  }
}
