import type { Client } from 'aedes';
import { messageOf, RejectedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Receipt } from '../../domain/message.ts';
import type { Visitor } from './visitor.ts';

/** Gives a device a token of its own. Rejects with a `RejectedError` that says why it does not get one. */
export type Provision = (request: {
  readonly device: string;
  /** Id of the provisioning key. */
  readonly key: string;
  readonly profile: string;
}) => Promise<{ readonly token: string; readonly approval: 'approved' | 'pending' }>;

/** What a device reads on `devices/{device}/provision/reply`. */
type Reply =
  | {
      readonly status: 'accepted';
      readonly device: string;
      readonly token: string;
      readonly approval: 'approved' | 'pending';
    }
  | { readonly status: 'refused'; readonly code: string; readonly detail: string };

/**
 * Answers a device that holds a provisioning key and asks, on `devices/{device}/provision`, for a token. The reply goes
 * to that client alone, and before the acknowledgement of the question: once its PUBACK is there the token is on disk.
 */
export class ProvisionDesk {
  readonly #provision: Provision | undefined;
  readonly #log: Log;
  readonly #busy = new WeakSet<Visitor>();

  constructor(provision: Provision | undefined, log: Log) {
    this.#provision = provision;
    this.#log = log;
  }

  serve(visitor: Visitor, receipt: Receipt): void {
    const { principal, client } = visitor;
    // Whoever asks again before the answer will hear of the first question.
    if (principal?.kind !== 'provisioning' || !client || this.#busy.has(visitor)) {
      receipt();
      return;
    }
    this.#busy.add(visitor);
    const { device, key, profile } = principal;
    this.#ask({ device, key, profile }).then(
      (reply) => {
        this.#busy.delete(visitor);
        send(client, `devices/${device}/provision/reply`, reply, () => receipt());
      },
      (error: unknown) => {
        this.#busy.delete(visitor);
        this.#log.error({ device, error: messageOf(error) }, 'a device could not be provisioned');
        receipt(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  async #ask(request: Parameters<Provision>[0]): Promise<Reply> {
    const { device } = request;
    if (!this.#provision) {
      return { status: 'refused', code: 'not_found', detail: 'this gateway does not provision devices' };
    }
    try {
      return { status: 'accepted', device, ...(await this.#provision(request)) };
    } catch (error) {
      if (error instanceof RejectedError) return { status: 'refused', code: error.code, detail: error.message };
      throw error;
    }
  }
}

function send(client: Client, topic: string, reply: Reply, sent: () => void): void {
  const payload = Buffer.from(JSON.stringify(reply));
  client.publish({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false }, sent);
}
