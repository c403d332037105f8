import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

interface StopStep {
  readonly name: string;
  readonly stop: () => void | Promise<void>;
}

/**
 * What was started, in order; `unwind` stops it in reverse. Every step has a name, so that one that hangs or fails is
 * named, and a failing step never keeps the ones below it from stopping.
 */
export class StopStack {
  readonly #steps: StopStep[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #unwinding: Promise<void> | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  push(name: string, stop: () => void | Promise<void>): void {
    this.#steps.push({ name, stop });
  }

  /** Stops everything within `deadlineMs` in all; may be called twice, the second call waits for the first. */
  unwind(deadlineMs: number): Promise<void> {
    this.#unwinding ??= this.#unwind(this.#clock.monotonic() + deadlineMs);
    return this.#unwinding;
  }

  async #unwind(deadline: number): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      await this.#stopOne(step, Math.max(deadline - this.#clock.monotonic(), 50));
    }
  }

  async #stopOne(step: StopStep, budgetMs: number): Promise<void> {
    let timer: { cancel(): void } | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = this.#clock.after(budgetMs, () => resolve('late'));
    });
    try {
      const outcome = await Promise.race([Promise.resolve(step.stop()).then(() => 'stopped' as const), late]);
      if (outcome === 'late')
        this.#log.error({ step: step.name, budgetMs }, 'stop step did not end in time; abandoned');
    } catch (error) {
      this.#log.error({ step: step.name, error: messageOf(error) }, 'stop step failed');
    } finally {
      timer?.cancel();
    }
  }
}
