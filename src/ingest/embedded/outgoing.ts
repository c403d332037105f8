import type { Aedes } from 'aedes';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import { filterMatches } from '../../domain/topic-filter.ts';
import type { Presence } from './presence.ts';
import type { Visitor } from './visitor.ts';

/** What of aedes and its sessions is needed to send. */
export interface Mailbox {
  readonly aedes: Pick<Aedes, 'publish'>;
  /** Whether somebody, present or away, is subscribed to a filter that matches. */
  isWanted(topic: string): boolean;
  /** Puts a message into the queues of the sessions of a device whose client is away; how many there were. */
  enqueue(message: OutgoingMessage & { readonly device: string }): Promise<number>;
}

/** Sends what the gateway itself has to say. */
export class Outgoing {
  readonly #presence: Presence;

  constructor(presence: Presence) {
    this.#presence = presence;
  }

  /** Whether somebody will get it: a client that is here, or a session that keeps it. */
  async publish(mailbox: Mailbox, message: OutgoingMessage): Promise<boolean> {
    const { device } = message;
    if (device !== null) {
      const here = this.#toDevice(device, message);
      const away = message.qos > 0 ? await mailbox.enqueue({ ...message, device }) : 0;
      return here + away > 0;
    }
    const isWanted = mailbox.isWanted(message.topic);
    if (!isWanted && !message.retain) return false;
    await new Promise<void>((resolve, reject) => {
      mailbox.aedes.publish(packetOf(message), (error) => (error ? reject(error) : resolve()));
    });
    return isWanted;
  }

  /** To the device's connections that are subscribed, past everybody else who is; how many there are. */
  #toDevice(device: string, message: OutgoingMessage): number {
    let count = 0;
    for (const visitor of this.#presence.of(device)) {
      const asked = askedQos(visitor, message.topic);
      if (asked === undefined || !visitor.client || visitor.connection.destroyed) continue;
      count++;
      visitor.client.publish({ ...packetOf(message), qos: lower(message.qos, asked) }, written);
    }
    return count;
  }

  /** A word to a device that is here and listens; lost otherwise. */
  tell(device: string, topic: string, body: unknown): void {
    const payload = Buffer.from(JSON.stringify(body));
    this.#toDevice(device, { topic, payload, qos: 0, retain: false, device });
  }
}

/** aedes asks for a callback; a client that is gone by then gets what its session keeps. */
function written(): void {}

/** The highest QoS that the visitor asked for on the topic; undefined when it is not subscribed. */
function askedQos({ filters }: Visitor, topic: string): number | undefined {
  let highest: number | undefined;
  for (const [filter, qos] of filters) {
    if (filterMatches(filter, topic)) highest = Math.max(highest ?? 0, qos);
  }
  return highest;
}

function lower(qos: 0 | 1 | 2, asked: number): 0 | 1 | 2 {
  if (asked < 1) return 0;
  return asked === 1 && qos === 2 ? 1 : qos;
}

function packetOf({ topic, payload, qos, retain }: OutgoingMessage) {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return { cmd: 'publish', topic, payload: bytes, qos, retain, dup: false } as const;
}
