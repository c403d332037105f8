import { InvalidArgumentError } from 'commander';
import type { Qos } from './tally.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `30s`, `5m`, `2h`, `1d` in milliseconds. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN);
  if (!Number.isFinite(ms) || ms <= 0) throw new InvalidArgumentError('Write a duration such as 500ms, 30s, 5m or 1h.');
  return ms;
}

/** A parser for whole numbers from `low` to `high`. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < low || value > high) {
      throw new InvalidArgumentError(`Write a whole number from ${low} to ${high.toLocaleString('en-US')}.`);
    }
    return value;
  };
}

/** A parser for numbers above 0 up to `high`. */
export function positiveNumber(high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > high) {
      throw new InvalidArgumentError(`Write a number above 0, at most ${high.toLocaleString('en-US')}.`);
    }
    return value;
  };
}

export function parsePercent(text: string): number {
  const value = Number(text.replace(/%$/, ''));
  if (!/^\d+(\.\d+)?%?$/.test(text) || value > 100) throw new InvalidArgumentError('Write a percentage from 0 to 100.');
  return value;
}

export function parseQos(text: string): Qos {
  if (text === '0') return 0;
  if (text === '1') return 1;
  if (text === '2') return 2;
  throw new InvalidArgumentError('QoS is 0, 1 or 2.');
}

/** A speed of replay: a factor of real time, or Infinity for as fast as acknowledged (`max` or 0). */
export function parseReplaySpeed(text: string): number {
  if (text === 'max' || text === '0') return Infinity;
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0) {
    throw new InvalidArgumentError('Write a factor of real time such as 1 or 60, or max.');
  }
  return value;
}

/** The address of an MQTT listener. User name and password have options of their own, where they are not shown. */
export function parseUrl(text: string): string {
  const hint = 'Write an address such as mqtt://127.0.0.1:1883 (also mqtts, ws, wss).';
  if (!URL.canParse(text)) throw new InvalidArgumentError(hint);
  const url = new URL(text);
  if (!['mqtt:', 'mqtts:', 'ws:', 'wss:'].includes(url.protocol) || url.hostname === '') {
    throw new InvalidArgumentError(hint);
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError('Give the user name with --username and the token with --password.');
  }
  return text;
}

export function parseDeviceId(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(text)) {
    throw new InvalidArgumentError('A device id is 1 to 64 letters, digits, ".", "_", ":" or "-".');
  }
  return text;
}

export function parseMetric(text: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/.test(text)) {
    throw new InvalidArgumentError('A metric is 1 to 128 letters, digits, "_", ".", ":" or "-".');
  }
  return text;
}

/** `+02:00`, `-0530` or `Z` in minutes east of UTC. */
export function parseZoneOffset(text: string): number {
  if (/^(z|utc)$/i.test(text)) return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(text) ?? [];
  const total = Number(hours) * 60 + Number(minutes);
  if (!Number.isFinite(total) || total > 14 * 60 || Number(minutes) > 59) {
    throw new InvalidArgumentError('Write an offset from UTC such as +02:00 or -05:30.');
  }
  return sign === '-' ? -total : total;
}
