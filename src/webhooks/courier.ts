import type { Clock } from '../base/clock.ts';
import type { Duration } from '../base/duration.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { delayAfter, patientSchedule, type RetrySchedule } from '../base/retry-schedule.ts';
import type { Attempt, DeliveryRecord } from '../domain/delivery.ts';
import type { Webhook } from '../domain/webhook.ts';
import { EndpointHealth } from './endpoint-health.ts';
import { EndpointQueue, type QueuedDelivery } from './endpoint-queue.ts';
import { comparePositions, type DeliveryStore, type WebhookDirectory } from './ports.ts';
import { type Answer, Sender, type SenderLimits } from './sender.ts';
import { signDelivery } from './signature.ts';
import type { TargetGuard } from './target-guard.ts';
import { judgeAnswer, type Verdict } from './verdict.ts';

export interface CourierLimits extends SenderLimits {
  /** Attempts under way at one endpoint at once. */
  readonly endpointConcurrency: number;
  /** Attempts under way in all. */
  readonly concurrencyMax: number;
  /** Pending deliveries of one endpoint that are held in memory. */
  readonly windowMax: number;
  readonly schedule: RetrySchedule;
}

export const defaultCourierLimits: CourierLimits = {
  connectTimeout: 3_000,
  attemptTimeout: 15_000,
  answerReadMax: 65_536,
  excerptMax: 4_096,
  endpointConcurrency: 4,
  concurrencyMax: 64,
  windowMax: 1_000,
  schedule: patientSchedule,
};

export interface CourierOptions {
  readonly store: DeliveryStore;
  readonly directory: WebhookDirectory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: CourierLimits;
  readonly guard: TargetGuard;
  /** Of the gateway, for `User-Agent: Pulsegate/<version>`. */
  readonly version: string;
  /** An endpoint answered 410: disable it. Called once the attempt is recorded; nothing is sent to it until `webhookChanged`. */
  readonly endpointGone: (webhookId: string) => void;
}

export interface CourierStats {
  readonly endpoints: number;
  /** Deliveries in memory, those under way included. */
  readonly queued: number;
  readonly inFlight: number;
  readonly attemptsSucceeded: number;
  readonly attemptsRetried: number;
  readonly attemptsFailed: number;
  /** Attempts that were cut off by us and count for nothing. */
  readonly attemptsAborted: number;
  /** Results whose commit failed and that were, or are, recorded again. */
  readonly recordFailures: number;
}

interface Endpoint {
  readonly webhookId: string;
  readonly queue: EndpointQueue;
  readonly health: EndpointHealth;
  /** Aborted when the webhook is removed. */
  readonly removal: AbortController;
  inFlight: number;
  /** It said that it is gone; holds until somebody changes the webhook. */
  gone: boolean;
}

const recordBackoff: RetrySchedule = { delays: [0, 100, 300, 1_000, 3_000, 10_000], jitter: 0.2, retryAfterMax: 0 };

/**
 * Carries committed deliveries to their endpoints, at least once each, under the same id.
 *
 * A delivery leaves memory only when the result of its last attempt is committed; whatever happens before that, the store
 * still calls it pending and the next courier takes it up again.
 */
export class Courier {
  readonly #options: CourierOptions;
  readonly #limits: CourierLimits;
  readonly #sender: Sender;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Endpoints that may have something to send, taking turns. */
  readonly #rotation = new Set<Endpoint>();
  readonly #tasks = new Set<Promise<void>>();
  /** Ends attempts that are under way. */
  readonly #hangUp = new AbortController();
  /** Ends the recording of results as well. */
  readonly #halt = new AbortController();
  readonly #counts = { succeeded: 0, retry: 0, failed: 0, aborted: 0, recordFailures: 0 };
  #running = false;
  #stopping: Promise<void> | undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#sender = new Sender(options);
  }

  /** Takes up what is pending in the store. Resolves once the first page of every endpoint is in memory. */
  async start(): Promise<void> {
    if (this.#stopping) return;
    this.#running = true;
    const webhooks = [...this.#options.directory.webhooks()];
    await Promise.all(webhooks.map((webhook) => this.#endpoint(webhook.id).queue.fill()));
  }

  /** Hears of a commit, in the order of commits. Deliveries of webhooks that nobody knows are left to the store. */
  accept(records: readonly DeliveryRecord[]): void {
    if (!this.#running) return;
    for (const record of records.toSorted(comparePositions)) {
      if (record.state === 'pending' && this.#options.directory.webhook(record.webhookId)) {
        this.#endpoint(record.webhookId).queue.accept(record);
      }
    }
  }

  /** The webhook was made, edited, enabled or disabled, or its secrets changed. What is pending goes on as it is now. */
  webhookChanged(webhookId: string): void {
    if (!this.#running) return;
    if (!this.#options.directory.webhook(webhookId)) {
      this.webhookRemoved(webhookId);
      return;
    }
    const endpoint = this.#endpoint(webhookId);
    endpoint.gone = false;
    void endpoint.queue.fill();
    this.#wake(endpoint);
  }

  /** Forgets what is pending and hangs up on what is under way. The store's rows are cancelled by whoever removed it. */
  webhookRemoved(webhookId: string): void {
    const endpoint = this.#endpoints.get(webhookId);
    if (!endpoint) return;
    this.#endpoints.delete(webhookId);
    this.#rotation.delete(endpoint);
    endpoint.queue.close();
    endpoint.removal.abort();
  }

  /** After a store was opened again: deliveries may be committed that were never accepted. */
  async reload(): Promise<void> {
    await Promise.all([...this.#endpoints.values()].map((endpoint) => endpoint.queue.reload()));
  }

  /**
   * Starts nothing new. Attempts under way get half of `deadline` to be answered and the rest of it to be recorded; what
   * is cut off stays pending in the store. May come before `start`, and twice.
   */
  stop(deadline: Duration): Promise<void> {
    this.#stopping ??= this.#stop(deadline);
    return this.#stopping;
  }

  stats(): CourierStats {
    let queued = 0;
    let inFlight = 0;
    for (const endpoint of this.#endpoints.values()) {
      queued += endpoint.queue.size;
      inFlight += endpoint.inFlight;
    }
    return {
      endpoints: this.#endpoints.size,
      queued,
      inFlight,
      attemptsSucceeded: this.#counts.succeeded,
      attemptsRetried: this.#counts.retry,
      attemptsFailed: this.#counts.failed,
      attemptsAborted: this.#counts.aborted,
      recordFailures: this.#counts.recordFailures,
    };
  }

  #endpoint(webhookId: string): Endpoint {
    const known = this.#endpoints.get(webhookId);
    if (known) return known;
    const { store, clock, log } = this.#options;
    const endpoint: Endpoint = {
      webhookId,
      queue: new EndpointQueue({
        webhookId,
        store,
        clock,
        log,
        windowMax: this.#limits.windowMax,
        waitMax: this.#limits.schedule.retryAfterMax,
        onReady: () => this.#wake(endpoint),
      }),
      health: new EndpointHealth({ webhookId, clock, log }),
      removal: new AbortController(),
      inFlight: 0,
      gone: false,
    };
    this.#endpoints.set(webhookId, endpoint);
    return endpoint;
  }

  #wake(endpoint: Endpoint): void {
    this.#rotation.add(endpoint);
    this.#pump();
  }

  /** One delivery for each endpoint in turn, so that a long queue takes no more of the common limit than a short one. */
  #pump(): void {
    for (const endpoint of this.#rotation) {
      if (!this.#running || this.#tasks.size >= this.#limits.concurrencyMax) return;
      this.#rotation.delete(endpoint);
      const webhook = this.#options.directory.webhook(endpoint.webhookId);
      if (!webhook?.enabled || endpoint.gone || endpoint.inFlight >= this.#slots(endpoint)) continue;
      const queued = endpoint.queue.take();
      if (!queued) continue;
      this.#rotation.add(endpoint);
      this.#begin(endpoint, webhook, queued);
    }
  }

  /** An endpoint that gave no answer last time is asked one at a time, or a dozen dead ones would hold every slot. */
  #slots(endpoint: Endpoint): number {
    return endpoint.health.answers ? this.#limits.endpointConcurrency : 1;
  }

  #begin(endpoint: Endpoint, webhook: Webhook, queued: QueuedDelivery): void {
    endpoint.inFlight++;
    const task = this.#attempt(endpoint, webhook, queued).finally(() => {
      endpoint.inFlight--;
      this.#tasks.delete(task);
      this.#wake(endpoint);
    });
    this.#tasks.add(task);
  }

  async #attempt(endpoint: Endpoint, webhook: Webhook, queued: QueuedDelivery): Promise<void> {
    const { clock, random } = this.#options;
    const number = queued.attempts + 1;
    const startedAt = clock.now();
    const begin = clock.monotonic();
    const answer = await this.#post(endpoint, webhook, queued.delivery, startedAt);
    if (answer.kind === 'aborted' || endpoint.removal.signal.aborted) {
      this.#counts.aborted++;
      return;
    }
    const end = clock.monotonic();
    const now = clock.now();
    const verdict = judgeAnswer(answer, { number, schedule: this.#limits.schedule, random, now });
    endpoint.health.note(answer, verdict);
    // At once, not after the commit: the other slots of this endpoint must not try it meanwhile.
    if (isGone(verdict)) endpoint.gone = true;
    const recorded = await this.#record(endpoint, {
      deliveryId: queued.delivery.id,
      webhookId: endpoint.webhookId,
      number,
      startedAt,
      durationMs: Math.round(end - begin),
      outcome: verdict.outcome,
      status: answer.kind === 'answered' ? answer.status : null,
      error: answer.kind === 'unanswered' ? answer.error : null,
      excerpt: answer.kind === 'answered' ? answer.excerpt : null,
      nextAttemptAt: verdict.outcome === 'retry' ? now + verdict.delay : null,
    });
    if (!recorded) return;
    this.#counts[verdict.outcome]++;
    if (verdict.outcome === 'retry') endpoint.queue.retryIn(queued, verdict.delay - (clock.monotonic() - end));
    else endpoint.queue.finish(queued);
    if (isGone(verdict)) this.#options.endpointGone(endpoint.webhookId);
  }

  async #post(endpoint: Endpoint, webhook: Webhook, delivery: DeliveryRecord, now: number): Promise<Answer> {
    const { directory, version } = this.#options;
    const timestamp = Math.floor(now / 1_000);
    let signature: string;
    try {
      signature = signDelivery({ id: delivery.id, timestamp, body: delivery.body }, directory.secrets(webhook.id));
    } catch {
      signature = '';
    }
    // Nothing goes out unsigned. Whoever mends the secret gets what is pending with the next attempt.
    if (signature === '') return { kind: 'unanswered', error: 'secret_missing' };
    return this.#sender.post(webhook.url, {
      headers: {
        'content-type': 'application/json',
        'user-agent': `Pulsegate/${version}`,
        'webhook-id': delivery.id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signature,
      },
      body: delivery.body,
      signal: AbortSignal.any([this.#hangUp.signal, endpoint.removal.signal]),
    });
  }

  /** Whether the result is committed; goes on trying until it is, or until nobody wants it any more. */
  async #record(endpoint: Endpoint, attempt: Attempt): Promise<boolean> {
    const { clock, random, store } = this.#options;
    const unwanted = AbortSignal.any([this.#halt.signal, endpoint.removal.signal]);
    for (let failures = 1; ; failures++) {
      try {
        await store.record(attempt);
        return true;
      } catch {
        // Whoever commits has said why; here it only counts.
        this.#counts.recordFailures++;
      }
      try {
        await clock.sleep(pauseAfter(failures, random), unwanted);
      } catch {
        return false;
      }
    }
  }

  async #stop(deadline: Duration): Promise<void> {
    this.#running = false;
    for (const endpoint of this.#endpoints.values()) endpoint.queue.close();
    const halted = new Promise<void>((resolve) => {
      this.#halt.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const hangUpTimer = this.#options.clock.after(deadline / 2, () => this.#hangUp.abort());
    const haltTimer = this.#options.clock.after(deadline, () => this.#halt.abort());
    if (deadline <= 0) {
      this.#hangUp.abort();
      this.#halt.abort();
    }
    await Promise.race([Promise.all(this.#tasks), halted]);
    hangUpTimer.cancel();
    haltTimer.cancel();
    await this.#sender.close();
  }
}

/** The last pause of the backoff goes on for ever: a result is never forgotten. */
function pauseAfter(failures: number, random: Random): Duration {
  return delayAfter(recordBackoff, Math.min(failures, recordBackoff.delays.length - 1), { random }) ?? 0;
}

function isGone(verdict: Verdict): boolean {
  return verdict.outcome === 'failed' && verdict.gone;
}
