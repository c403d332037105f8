import { idOf, packetType, publishPacket, pubrelPacket, WireClient, type WirePacket } from './mqtt-wire.ts';

/** A message that a device wants to be rid of. */
export interface Outgoing {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** The broker has taken it over: PUBACK, or PUBREC at QoS 2. */
  readonly acknowledged: () => void;
}

export interface PublisherOptions {
  readonly clientId: string;
  readonly clean: boolean;
  readonly inFlightMax: number;
  /** The next message; null when there is none for now (`pump` asks again). */
  readonly next: () => Outgoing | null;
}

interface InFlight {
  readonly message: Outgoing;
  readonly packetId: number;
  isReleased: boolean;
}

/**
 * A device that keeps its side of MQTT 3.1.1: unacknowledged messages stay in order, and after a reconnect they are sent
 * again under the same packet id with DUP set (MQTT-4.4.0-1), or their PUBREL is, where the PUBREC had come.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  /** By packet id, in order of sending. */
  readonly #inFlight = new Map<number, InFlight>();
  #client: WireClient | null = null;
  #packetId = 0;
  #settled: (() => void) | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get outstanding(): number {
    return this.#inFlight.size;
  }

  get isConnected(): boolean {
    return this.#client?.socket.destroyed === false;
  }

  /** Connects, sends again what is unsettled, then goes on. Resolves with the CONNACK. */
  async connect(port: number): Promise<void> {
    const { clientId, clean } = this.#options;
    const client = await WireClient.open(port, clientId, { clean });
    this.#client = client;
    void this.#listen(client);
    for (const { message, packetId, isReleased } of this.#inFlight.values()) {
      if (isReleased) client.send(pubrelPacket(packetId));
      else this.#write(message, packetId, true);
    }
    this.pump();
  }

  /** Sends as long as there is something to send and room for it. */
  pump(): void {
    while (this.isConnected && this.#inFlight.size < this.#options.inFlightMax) {
      const message = this.#options.next();
      if (!message) return;
      const packetId = this.#nextPacketId();
      if (message.qos > 0) this.#inFlight.set(packetId, { message, packetId, isReleased: false });
      this.#write(message, packetId, false);
    }
  }

  /** Resolves once nothing is unsettled. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) {
      await new Promise<void>((resolve) => {
        this.#settled = resolve;
      });
    }
  }

  /** Resolves when the connection has ended. */
  async ended(): Promise<void> {
    await this.#client?.closed;
  }

  disconnect(): void {
    this.#client?.end();
  }

  /** Acknowledgements that came before the connection broke are heard to the last. */
  async #listen(client: WireClient): Promise<void> {
    for (;;) {
      let packet: WirePacket;
      try {
        packet = await client.next();
      } catch {
        return;
      }
      this.#hear(packet);
    }
  }

  #hear(packet: WirePacket): void {
    const { puback, pubrec, pubcomp } = packetType;
    if (packet.type !== puback && packet.type !== pubrec && packet.type !== pubcomp) return;
    const held = this.#inFlight.get(idOf(packet));
    if (!held) return;
    if (packet.type === pubrec) {
      if (!held.isReleased) held.message.acknowledged();
      held.isReleased = true;
      this.#client?.send(pubrelPacket(held.packetId));
      return;
    }
    if (packet.type === puback) held.message.acknowledged();
    this.#inFlight.delete(held.packetId);
    if (this.#inFlight.size === 0) this.#settled?.();
    this.pump();
  }

  #write({ topic, payload, qos }: Outgoing, packetId: number, dup: boolean): void {
    this.#client?.send(publishPacket(topic, payload, { qos, id: packetId, dup }));
  }

  #nextPacketId(): number {
    do this.#packetId = (this.#packetId % 65_535) + 1;
    while (this.#inFlight.has(this.#packetId));
    return this.#packetId;
  }
}

/** A device that is told what to send, and says when it was acknowledged, however often it had to connect for that. */
export class Device {
  readonly #queue: Outgoing[] = [];
  readonly #publisher: Publisher;

  constructor(clientId: string, options: { readonly inFlightMax?: number } = {}) {
    const { inFlightMax = 100 } = options;
    const next = (): Outgoing | null => this.#queue.shift() ?? null;
    this.#publisher = new Publisher({ clientId, clean: false, inFlightMax, next });
  }

  connect(port: number): Promise<void> {
    return this.#publisher.connect(port);
  }

  /** Resolves with the acknowledgement. */
  publish(topic: string, payload: string | Uint8Array, qos: 1 | 2 = 1): Promise<void> {
    return new Promise((acknowledged) => {
      this.#queue.push({ topic, payload, qos, acknowledged });
      this.#publisher.pump();
    });
  }

  settled(): Promise<void> {
    return this.#publisher.settled();
  }

  ended(): Promise<void> {
    return this.#publisher.ended();
  }

  disconnect(): void {
    this.#publisher.disconnect();
  }
}
