import { setTimeout as wait } from 'node:timers/promises';
import type { Message } from './connection.ts';
import type { SimulatedDevice } from './fleet.ts';
import type { Publisher } from './publisher.ts';

/** Between two samples, ms. */
const everyMs = 10_000;
/** Samples in a message. */
const samplesMax = 60;
/** Between two rounds of messages: the present goes on meanwhile, and is not to wait for the past. */
const pauseMs = 50;

/** One message of each device, of the same ten minutes. */
export type PastRound = readonly Message[];

export interface PastPlan {
  readonly devices: readonly SimulatedDevice[];
  /** How far back, ms. */
  readonly lengthMs: number;
  /** The present, epoch ms; every sample is older. */
  readonly nowMs: number;
  /** Simulated clock at `nowMs`. */
  readonly simulatedNowMs: number;
  readonly speed: number;
}

/**
 * What the devices saw before the present, oldest first: their quiet life, since incidents belong to the run. Models
 * remember, so they are asked for this before they are asked for the present.
 */
export function recallPast({ devices, lengthMs, nowMs, simulatedNowMs, speed }: PastPlan): readonly PastRound[] {
  const samples = Math.floor(lengthMs / everyMs);
  const rounds: PastRound[] = [];
  for (let first = 0; first < samples; first += samplesMax) {
    const length = Math.min(samplesMax, samples - first);
    const agos = Array.from({ length }, (_, index) => (samples - first - index) * everyMs);
    rounds.push(
      devices.map(({ id, model }) => {
        const points = agos.map((agoMs) => ({
          ts: nowMs - agoMs,
          values: model.sample({ time: simulatedNowMs - agoMs * speed, elapsedMs: -agoMs }),
        }));
        const readings = points.reduce((sum, { values }) => sum + Object.keys(values).length, 0);
        return { topic: `devices/${id}/telemetry`, payload: JSON.stringify(points), readings };
      }),
    );
  }
  return rounds;
}

/** Sends what was recalled, beside the present; ends early when `signal` aborts and the publisher is interrupted. */
export async function sendPast(rounds: readonly PastRound[], publisher: Publisher, signal: AbortSignal): Promise<void> {
  for (const round of rounds) {
    for (const [index, message] of round.entries()) {
      if (!(await publisher.send(index, message, signal))) return;
    }
    await wait(pauseMs);
  }
}
