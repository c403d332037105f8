import type { Alert } from '../contract/alert.ts';
import type { LiveReading } from '../contract/live.ts';

/** The frames of `/api/v1/live` that the page acts on. */
export type ServerFrame =
  | { readonly op: 'hello' }
  | { readonly op: 'heartbeat'; readonly cursor: string }
  | { readonly op: 'subscribed'; readonly id: string; readonly cursor: string; readonly recovered: boolean }
  | {
      readonly op: 'snapshot';
      readonly id: string;
      readonly readings: readonly LiveReading[];
      readonly alerts: readonly Alert[];
      readonly done: boolean;
    }
  | { readonly op: 'readings'; readonly id: string; readonly cursor: string; readonly readings: readonly LiveReading[] }
  | { readonly op: 'alert'; readonly id: string; readonly cursor: string; readonly alert: Alert }
  | { readonly op: 'gap'; readonly id: string; readonly resumed: string }
  | { readonly op: 'error'; readonly id: string; readonly message: string };

/**
 * Reads one text frame; null for what the page has no use for (`pong`, `unsubscribed`, frames of a newer gateway).
 * The members that steer the client are checked; rows are taken as the contract promises them.
 */
export function parseFrame(data: unknown): ServerFrame | null {
  const frame = typeof data === 'string' ? parseObject(data) : null;
  if (frame === null) return null;
  const id = textOf(frame.id);
  const cursor = textOf(frame.cursor);
  switch (frame.op) {
    case 'hello':
      return { op: 'hello' };
    case 'heartbeat':
      return { op: 'heartbeat', cursor };
    case 'subscribed':
      return { op: 'subscribed', id, cursor, recovered: frame.recovered === true };
    case 'snapshot':
      return {
        op: 'snapshot',
        id,
        readings: rowsOf<LiveReading>(frame.readings),
        alerts: rowsOf<Alert>(frame.alerts),
        done: frame.done !== false,
      };
    case 'readings':
      return { op: 'readings', id, cursor, readings: rowsOf<LiveReading>(frame.readings) };
    case 'alert': {
      const [alert] = rowsOf<Alert>([frame.alert]);
      return alert === undefined ? null : { op: 'alert', id, cursor, alert };
    }
    case 'gap':
      return { op: 'gap', id, resumed: textOf(frame.resumed) };
    case 'error':
      return { op: 'error', id, message: textOf(frame.message) };
    default:
      return null;
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function rowsOf<Row>(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter((row): row is Row => isObject(row)) : [];
}
