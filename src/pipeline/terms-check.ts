import { RejectedError } from '../base/errors.ts';
import type { DecodedReading } from '../decode/native.ts';
import type { Sender } from '../domain/principal.ts';
import type { Value } from '../domain/reading.ts';
import type { DeviceTerms } from './ports.ts';

/** The terms of a device that nobody decided anything about. */
export const openTerms: DeviceTerms = { refusal: null, dialect: 'native', metric: null };

/** Throws `device_forbidden` when the sender is a device and speaks for another. */
export function checkSender(sender: Sender, device: string, pointer = ''): void {
  if (sender.forOthers || sender.device === null || sender.device === device) return;
  throw new RejectedError('device_forbidden', `device ${sender.device} may not speak for device ${device}`, {
    pointer,
  });
}

/** Throws what the terms refuse the device with. */
export function checkTerms({ refusal }: DeviceTerms, pointer = ''): void {
  if (refusal) throw new RejectedError(refusal.code, refusal.detail, { pointer });
}

/** The first reading outside the plausible range of its metric, as index and sentence; null when there is none. */
export function implausibleReading(
  terms: DeviceTerms,
  readings: readonly DecodedReading[],
): { readonly index: number; readonly detail: string } | null {
  if (terms.metric === null) return null;
  for (let index = 0; index < readings.length; index++) {
    const { metric, value } = readings[index];
    const detail = implausibleValue(terms, metric, value);
    if (detail !== null) return { index, detail };
  }
  return null;
}

/** Why the value cannot be, as a sentence; null when it can. Only numbers have a range. */
export function implausibleValue(terms: DeviceTerms, metric: string, value: Value): string | null {
  if (typeof value !== 'number') return null;
  const profile = terms.metric?.(metric);
  if (!profile) return null;
  const { min, max } = profile;
  if (min !== null && value < min) return `${metric} is ${value}; its profile says that it is at least ${min}`;
  if (max !== null && value > max) return `${metric} is ${value}; its profile says that it is at most ${max}`;
  return null;
}
