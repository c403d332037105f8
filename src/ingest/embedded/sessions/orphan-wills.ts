import type { Clock, Timer } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import type { StoreBroker } from './broker-guard.ts';
import type { WillPacket } from './packet.ts';
import type { Wills } from './wills.ts';

const attemptsMax = 5;
const againMs = 10_000;

/**
 * Publishes the wills of clients that were connected when the gateway was killed: their connections ended without a
 * DISCONNECT ([MQTT-3.1.2-8]). One whose client is back before its will went out has put another in its place.
 */
export class OrphanWills {
  readonly #wills: Wills;
  readonly #clock: Clock;
  readonly #log: Log;
  #timer: Timer | undefined;

  constructor(wills: Wills, parts: { readonly clock: Clock; readonly log: Log }) {
    this.#wills = wills;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Once the broker listens, which it does after this. */
  publishSoon(broker: StoreBroker): void {
    if (this.#wills.orphans().length > 0) this.#publishAfter(0, broker, attemptsMax);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #publishAfter(delayMs: number, broker: StoreBroker, attempts: number): void {
    this.#timer = this.#clock.after(delayMs, () => void this.#publishAll(broker, attempts));
  }

  async #publishAll(broker: StoreBroker, attempts: number): Promise<void> {
    const orphans = this.#wills.orphans();
    const outcomes = await Promise.allSettled(orphans.map(({ packet }) => publish(broker, packet)));
    for (const [index, outcome] of outcomes.entries()) {
      const { clientId } = orphans[index];
      if (outcome.status === 'rejected' && attempts > 1) continue;
      if (outcome.status === 'rejected') {
        const fields = { client: clientId, error: messageOf(outcome.reason) };
        this.#log.warn(fields, 'the will of a client that was connected before the restart was not published');
      }
      this.#wills.deleteOrphan(clientId);
    }
    if (outcomes.some(({ status }) => status === 'rejected') && attempts > 1) {
      this.#publishAfter(againMs, broker, attempts - 1);
    }
  }
}

/** As aedes publishes the will of a client that is gone. */
function publish(broker: StoreBroker, will: WillPacket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => (error ? reject(error) : resolve());
    if (!broker.authorizePublish || !broker.publish) return resolve();
    broker.authorizePublish(null, will, (error) => {
      if (error) reject(error);
      else broker.publish?.(will, settle);
    });
  });
}
