import { ExpressLane } from './express-lane.ts';
import { PacketRefusedError } from './packet-scanner.ts';

const types = { connect: 1, publish: 3, subscribe: 8, unsubscribe: 10, disconnect: 14 } as const;

/**
 * The flags that a client's packet must have, by type (MQTT 3.1.1 section 2.2.2); -1 for types that no client sends.
 * Those of PUBLISH say something and are looked at on their own.
 */
const flagsOf = [-1, 0, -1, 0, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1];

/**
 * What one connection may send next, and what of it is still with aedes. The stream opens with the one CONNECT
 * ([MQTT-3.1.0-1], [MQTT-3.1.0-2]).
 */
export class PacketOrder {
  #hasBegun = false;
  #isOver = false;
  /** PUBLISH packets that aedes was given and has not shown yet. */
  #publishes = 0;
  /** SUBSCRIBE and UNSUBSCRIBE packets that it has not answered. */
  #subscriptions = 0;

  /** Nothing of this connection that is with aedes could be overtaken. */
  get isClear(): boolean {
    return this.#publishes === 0 && this.#subscriptions === 0 && !this.#isOver;
  }

  /** A packet with this first byte is next; whether it may be one for the express lane. Throws `PacketRefusedError`. */
  begins(first: number): boolean {
    const type = first >> 4;
    if (type === types.publish) {
      // [MQTT-3.3.1-4]
      if ((first & 0x06) === 0x06) throw new PacketRefusedError('a PUBLISH asks for quality of service 3');
    } else if (flagsOf[type] !== (first & 0x0f)) {
      // [MQTT-2.2.2-2]
      throw new PacketRefusedError(
        `no client sends a packet that begins with 0x${first.toString(16).padStart(2, '0')}`,
      );
    }
    if ((type === types.connect) === this.#hasBegun) {
      throw new PacketRefusedError(this.#hasBegun ? 'a second CONNECT' : 'the first packet is no CONNECT');
    }
    this.#hasBegun = true;
    return ExpressLane.claims(first) && this.isClear;
  }

  /** The packet is given to aedes. */
  declines(first: number): void {
    const type = first >> 4;
    if (type === types.publish) this.#publishes++;
    else if (type === types.subscribe || type === types.unsubscribe) this.#subscriptions++;
    else if (type === types.disconnect) this.#isOver = true;
  }

  publishShown(): void {
    this.#publishes = Math.max(this.#publishes - 1, 0);
  }

  subscriptionsMade(): void {
    this.#subscriptions = Math.max(this.#subscriptions - 1, 0);
  }
}
