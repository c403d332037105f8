import type { ServerResponse } from 'node:http';
import { Webhook as ReferenceWebhook } from 'standardwebhooks';
import type { Random } from '../../src/base/random.ts';
import { AlertWebhookBody } from '../../src/contract/webhook-body.ts';
import { type ReceivedRequest, WebhookReceiver } from './webhook-receiver.ts';

/** A delivery as it arrived, however often. */
export interface Arrival {
  readonly id: string;
  readonly body: string;
  readonly parsed: AlertWebhookBody;
  times: number;
  /** Answered with 204 at least once. */
  isTaken: boolean;
}

/**
 * Receives the webhooks of one endpoint on a real HTTP server: verifies every signature with the reference library,
 * and for a few of them answers 500 the first time, or nothing at all.
 */
export class KillInbox {
  readonly #receiver: WebhookReceiver;
  readonly #random: Random;
  readonly #troubleShare: number;
  #reference: ReferenceWebhook | null = null;
  /** By webhook id, in order of first arrival. */
  readonly arrivals = new Map<string, Arrival>();
  readonly faults: string[] = [];
  /** First attempts that were answered with 500, and that were not answered. */
  failed = 0;
  hung = 0;

  private constructor(receiver: WebhookReceiver, random: Random, troubleShare: number) {
    this.#receiver = receiver;
    this.#random = random;
    this.#troubleShare = troubleShare;
    receiver.reply = (response, received) => this.#take(response, received);
  }

  static async open(random: Random, troubleShare: number): Promise<KillInbox> {
    return new KillInbox(await WebhookReceiver.open(), random, troubleShare);
  }

  get url(): string {
    return this.#receiver.url;
  }

  set secret(secret: string) {
    this.#reference = new ReferenceWebhook(secret);
  }

  async close(): Promise<void> {
    await this.#receiver.close();
  }

  #take(response: ServerResponse, { headers, body }: ReceivedRequest): void {
    const id = headers['webhook-id'] ?? '';
    try {
      if (!this.#reference) throw new Error('it came before there was a secret');
      this.#reference.verify(body, headers);
      const known = this.arrivals.get(id);
      const arrival = known ?? { id, body, parsed: AlertWebhookBody.parse(JSON.parse(body)), times: 0, isTaken: false };
      if (arrival.body !== body) this.faults.push(`${id} came with another body: ${arrival.body} · ${body}`);
      this.arrivals.set(id, arrival);
      arrival.times++;
      const dice = this.#random.next();
      if (known || dice >= this.#troubleShare) {
        arrival.isTaken = true;
        response.writeHead(204).end();
      } else if (dice < this.#troubleShare / 2) {
        this.failed++;
        response.writeHead(500).end('not today');
      } else {
        // Ends when the sender has waited long enough, or with the receiver.
        this.hung++;
      }
    } catch (error) {
      this.faults.push(`${id}: ${String(error)} ${body}`);
      response.writeHead(400).end();
    }
  }
}
