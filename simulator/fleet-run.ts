import type { Message } from './connection.ts';
import type { SimulatedDevice } from './fleet.ts';
import { LateQueue } from './late-queue.ts';
import { type PastRound, recallPast } from './past.ts';
import type { Publisher } from './publisher.ts';
import { RandomStream } from './random.ts';
import { Schedule } from './schedule.ts';

/** Turns that are due within this time are sent together: a thousand devices do not need a thousand timers a second. */
const coalesceMs = 4;
const longestWaitMs = 1_000;
const lateMinMs = 2_000;
const lateMaxMs = 20_000;
const lateHeldMax = 10_000;

export interface FleetRunPlan {
  readonly devices: readonly SimulatedDevice[];
  readonly publisher: Publisher;
  /** Between two messages of a device, ms, at least 1. */
  readonly intervalMs: number;
  /** Simulated seconds in a real one. */
  readonly speed: number;
  /** Simulated wall clock at the start, ms since 1970 as the clocks of the place show it. */
  readonly simulatedStartMs: number;
  readonly seed: number;
  /** How much of the time before the run the devices tell, ms. */
  readonly pastMs: number;
  /** Percent of messages that are held back and sent late with their true time. */
  readonly latePercent: number;
  /** Percent of messages that are sent twice. */
  readonly duplicatePercent: number;
  /** Turns given up because this process was not run for a while. */
  readonly onSkipped: (turns: number) => void;
}

/**
 * Open loop: devices speak when the timetable says so, whether or not the gateway keeps up. The simulated clock moves
 * the physics; the `ts` of a message is the present, or the gateway would correct or refuse it.
 */
export class FleetRun {
  readonly #plan: FleetRunPlan;
  readonly #faults: RandomStream;
  readonly #late = new LateQueue<{ deviceIndex: number; message: Message }>(lateHeldMax);
  #timer: NodeJS.Timeout | undefined;
  #messages = 0;

  constructor(plan: FleetRunPlan) {
    this.#plan = plan;
    this.#faults = new RandomStream(plan.seed ^ 0x5eed);
  }

  /** Returns what the devices saw before. Whoever sends it does so behind their first messages. */
  start(): readonly PastRound[] {
    const startMs = Date.now();
    const { devices, intervalMs, speed, simulatedStartMs, pastMs, onSkipped } = this.#plan;
    const past = recallPast({
      devices,
      lengthMs: pastMs,
      nowMs: startMs,
      simulatedNowMs: simulatedStartMs,
      speed,
    });
    const schedule = new Schedule({ devices: devices.length, intervalMs, startMs });
    const turn = (): void => {
      const nowMs = Date.now();
      const skipped = schedule.run(nowMs, (index, timeMs) => this.#speak(index, timeMs, startMs));
      if (skipped > 0) onSkipped(skipped);
      for (const held of this.#late.release(nowMs)) this.#plan.publisher.offer(held.deviceIndex, held.message);
      const waitMs = Math.min(longestWaitMs, Math.max(coalesceMs, schedule.waitMs(Date.now())));
      this.#timer = setTimeout(turn, this.#late.size > 0 ? Math.min(waitMs, 100) : waitMs);
    };
    turn();
    return past;
  }

  /** Stops the timetable and hands over what was held back, so that nothing that happened is kept from the gateway. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const held of this.#late.release(Infinity)) this.#plan.publisher.offer(held.deviceIndex, held.message);
  }

  #speak(index: number, timeMs: number, startMs: number): void {
    const { devices, publisher, speed, simulatedStartMs, latePercent, duplicatePercent } = this.#plan;
    const device = devices[index];
    if (device === undefined) return;
    const elapsedMs = timeMs - startMs;
    const values = device.model.sample({ time: simulatedStartMs + elapsedMs * speed, elapsedMs });
    const message = {
      topic: `devices/${device.id}/telemetry`,
      payload: JSON.stringify({ ts: timeMs, values }),
      readings: Object.keys(values).length,
    };
    const draw = this.#messages++ * 3;
    if (latePercent > 0 && this.#faults.uniform(draw) * 100 < latePercent) {
      const releaseMs = timeMs + this.#faults.between(lateMinMs, lateMaxMs, draw + 1);
      if (this.#late.hold({ deviceIndex: index, message: { ...message, fault: 'late' } }, releaseMs)) return;
    }
    publisher.offer(index, message);
    if (duplicatePercent > 0 && this.#faults.uniform(draw + 2) * 100 < duplicatePercent) {
      publisher.offer(index, { ...message, fault: 'duplicate' });
    }
  }
}
