import type { Clock } from '../base/clock.ts';
import type { Duration } from '../base/duration.ts';
import type { Log } from '../base/log.ts';
import type { Answer } from './sender.ts';
import type { Verdict } from './verdict.ts';

/** Given-up deliveries of one endpoint are told of at most this often. */
const givenUpPause: Duration = 60_000;

/** How an endpoint has been answering. Writes a line when that changes, not for every attempt. */
export class EndpointHealth {
  readonly #webhookId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #answers = true;
  #failing = false;
  #givenUp = 0;
  #givenUpSaid: number | null = null;

  constructor(options: { readonly webhookId: string; readonly clock: Clock; readonly log: Log }) {
    this.#webhookId = options.webhookId;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Whether the last attempt got any answer at all; true until the first attempt. */
  get answers(): boolean {
    return this.#answers;
  }

  note(answer: Exclude<Answer, { kind: 'aborted' }>, verdict: Verdict): void {
    this.#answers = answer.kind === 'answered';
    const fields = {
      webhook: this.#webhookId,
      ...(answer.kind === 'answered' ? { status: answer.status } : { error: answer.error }),
    };
    if (verdict.outcome === 'succeeded') {
      if (this.#failing) this.#log.info(fields, 'webhook endpoint takes deliveries again');
      this.#failing = false;
      return;
    }
    if (!this.#failing) this.#log.warn(fields, 'webhook endpoint does not take deliveries');
    this.#failing = true;
    if (verdict.outcome === 'failed') this.#noteGivenUp(fields);
  }

  #noteGivenUp(fields: object): void {
    this.#givenUp++;
    const now = this.#clock.monotonic();
    if (this.#givenUpSaid !== null && now - this.#givenUpSaid < givenUpPause) return;
    this.#log.error({ ...fields, deliveries: this.#givenUp }, 'deliveries were given up');
    this.#givenUp = 0;
    this.#givenUpSaid = now;
  }
}
