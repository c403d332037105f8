import { silentLog } from '../../src/base/log.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Delivery, DeliveryRecord } from '../../src/domain/delivery.ts';
import type { Webhook } from '../../src/domain/webhook.ts';
import { Courier, type CourierLimits, defaultCourierLimits } from '../../src/webhooks/courier.ts';
import { newWebhookSecret } from '../../src/domain/webhook-secret.ts';
import { type Lookup, TargetGuard } from '../../src/webhooks/target-guard.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryOutbox } from './memory-outbox.ts';
import { type Reply, WebhookReceiver } from './webhook-receiver.ts';
import { sampleWebhook } from './webhook-samples.ts';

/** The middle of the jitter: every delay comes out as the schedule has it. */
export const centredRandom: Random = { next: () => 0.5, bytes: () => new Uint8Array() };

/** A courier between an outbox in memory and real receivers, on a clock that the test turns. */
export class CourierBench {
  readonly clock = new FakeClock();
  readonly outbox = new MemoryOutbox();
  readonly webhooks = new Map<string, Webhook>();
  readonly secrets = new Map<string, readonly string[]>();
  readonly gone: string[] = [];
  readonly receivers: WebhookReceiver[] = [];
  /** Log lines, level first. */
  readonly lines: string[] = [];
  random: Random = centredRandom;
  lookup: Lookup | undefined;
  limits: CourierLimits = defaultCourierLimits;
  courier: Courier;
  #crash: () => void;
  #ids = 0;

  constructor() {
    [this.courier, this.#crash] = this.#open();
  }

  /** A receiver with a webhook registered for it. */
  async receiver(id: string, reply?: Reply): Promise<WebhookReceiver> {
    const receiver = await WebhookReceiver.open(reply);
    this.receivers.push(receiver);
    this.register(id, receiver.url);
    return receiver;
  }

  register(id: string, url: string): void {
    this.webhooks.set(id, sampleWebhook({ id, url }));
    this.secrets.set(id, [newWebhookSecret(seededRandom(this.webhooks.size))]);
  }

  change(id: string, change: Partial<Webhook>): void {
    this.webhooks.set(id, { ...sampleWebhook({ id }), ...this.webhooks.get(id), ...change });
    this.courier.webhookChanged(id);
  }

  /** A delivery that nobody committed yet; ids ascend, and every one has an order key of its own unless `line` is given. */
  delivery(webhookId: string, line?: string): Delivery {
    const number = ++this.#ids;
    return {
      id: `dlv_${String(number).padStart(6, '0')}`,
      webhookId,
      type: 'alert.firing',
      orderKey: line ?? `line ${number}`,
      sequence: number,
      body: JSON.stringify({ type: 'alert.firing', number, text: 'µ°♥' }),
      createdAt: this.clock.now(),
    };
  }

  /** Commits and tells the courier, as the pipeline does. */
  commit(...deliveries: Delivery[]): DeliveryRecord[] {
    const records = this.outbox.commit(deliveries);
    this.courier.accept(records);
    return records;
  }

  /** Commits `count` deliveries of one webhook at once and returns their ids. */
  commitMany(webhookId: string, count: number, line?: string): string[] {
    return this.commit(...Array.from({ length: count }, () => this.delivery(webhookId, line))).map(({ id }) => id);
  }

  /** Kills the courier, nothing of it reaching the outbox any more, and puts another in its place, not yet started. */
  async crash(): Promise<void> {
    this.#crash();
    await this.courier.stop(0);
    [this.courier, this.#crash] = this.#open();
  }

  /** Stops the courier in peace and puts another in its place, not yet started. */
  async restart(): Promise<void> {
    await this.courier.stop(0);
    [this.courier, this.#crash] = this.#open();
  }

  /** A new courier that sees the present `limits` and `lookup`. */
  reopen(): void {
    [this.courier, this.#crash] = this.#open();
  }

  async close(): Promise<void> {
    await this.courier.stop(0);
    await Promise.all(this.receivers.map((receiver) => receiver.close()));
  }

  #open(): [Courier, () => void] {
    const { store, crash } = this.outbox.connect();
    const guard = { allowTargets: ['127.0.0.0/8'] };
    const line =
      (level: string) =>
      (_fields: object, message: string): void =>
        void this.lines.push(`${level} ${message}`);
    const courier = new Courier({
      store,
      directory: {
        webhooks: () => this.webhooks.values(),
        webhook: (id) => this.webhooks.get(id),
        secrets: (id) => this.secrets.get(id) ?? [],
      },
      clock: this.clock,
      random: { next: () => this.random.next(), bytes: (count) => this.random.bytes(count) },
      log: { ...silentLog, info: line('info'), warn: line('warn'), error: line('error') },
      limits: this.limits,
      guard: new TargetGuard(this.lookup ? { ...guard, lookup: this.lookup } : guard),
      version: '1.2.3',
      endpointGone: (id) => void this.gone.push(id),
    });
    return [courier, crash];
  }
}
