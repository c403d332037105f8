import type { Alert, Transition } from '../../../domain/alert.ts';
import type { Attempt, DeliveryRecord, DeliveryState } from '../../../domain/delivery.ts';
import type { QuarantineRecord } from '../../../domain/quarantine.ts';
import type { WebhookEventType } from '../../../domain/webhook.ts';
import type { AlertsQuery, DeliveriesQuery } from '../../../history/reader.ts';
import type { Input, Row, Statements } from '../database.ts';
import { bytesIn, numberIn, numberOrNullIn, textIn, textOrNullIn } from '../database.ts';

/** Conditions of a WHERE clause with what they compare to. */
class Conditions {
  readonly #parts: string[] = [];
  readonly inputs: Input[] = [];

  add(condition: string, ...inputs: Input[]): void {
    this.#parts.push(condition);
    this.inputs.push(...inputs);
  }

  get sql(): string {
    return this.#parts.length > 0 ? `WHERE ${this.#parts.join(' AND ')}` : '';
  }
}

export function readAlerts(statements: Statements, query: AlertsQuery): Alert[] {
  const conditions = new Conditions();
  // The state stands in the text, not among the inputs: a partial index is chosen by what the statement says.
  if (query.state) conditions.add(query.state === 'firing' ? "state = 'firing'" : "state = 'resolved'");
  // Firing ones are few, and are not looked for among all that a rule or device ever had: the sign bars their indexes.
  const sign = query.state === 'firing' ? '+' : '';
  if (query.ruleId !== undefined) conditions.add(`${sign}rule_id = ?`, query.ruleId);
  if (query.device !== undefined) conditions.add(`${sign}device = ?`, query.device);
  if (query.after) conditions.add('(fired_at, id) < (?, ?)', query.after.firedAt, query.after.id);
  return statements
    .get(`SELECT alert FROM alert ${conditions.sql} ORDER BY fired_at DESC, id DESC LIMIT ?`)
    .all(...conditions.inputs, query.limit)
    .map(alertIn);
}

export function readAlert(statements: Statements, id: string): Alert | null {
  const row = statements.get('SELECT alert FROM alert WHERE id = ?').get(id);
  return row ? alertIn(row) : null;
}

export function readTransitions(statements: Statements, alertId: string): Transition[] {
  return statements
    .get('SELECT transition FROM transition WHERE alert_id = ? ORDER BY id')
    .all(alertId)
    .map((row) => JSON.parse(textIn(row, 0)) as Transition);
}

function alertIn(row: Row): Alert {
  return JSON.parse(textIn(row, 0)) as Alert;
}

const deliveryColumns =
  'id, seq, webhook_id, state, attempts, next_attempt_at, type, order_key, sequence, created_at, body';

const deliveryStates: Readonly<Record<DeliveryState, string>> = {
  pending: "state = 'pending'",
  succeeded: "state = 'succeeded'",
  failed: "state = 'failed'",
  cancelled: "state = 'cancelled'",
};

export function readDeliveries(statements: Statements, query: DeliveriesQuery): DeliveryRecord[] {
  const conditions = new Conditions();
  const direction = query.order === 'asc' ? 'ASC' : 'DESC';
  if (query.webhookId !== undefined) conditions.add('webhook_id = ?', query.webhookId);
  if (query.state) conditions.add(deliveryStates[query.state]);
  if (query.after) {
    conditions.add(`(seq, id) ${query.order === 'asc' ? '>' : '<'} (?, ?)`, query.after.seq, query.after.id);
  }
  return statements
    .get(`SELECT ${deliveryColumns} FROM delivery ${conditions.sql} ORDER BY seq ${direction}, id ${direction} LIMIT ?`)
    .all(...conditions.inputs, query.limit)
    .map(deliveryIn);
}

export function readDelivery(statements: Statements, id: string): DeliveryRecord | null {
  const row = statements.get(`SELECT ${deliveryColumns} FROM delivery WHERE id = ?`).get(id);
  return row ? deliveryIn(row) : null;
}

function deliveryIn(row: Row): DeliveryRecord {
  return {
    id: textIn(row, 0),
    seq: numberIn(row, 1),
    webhookId: textIn(row, 2),
    state: textIn(row, 3) as DeliveryState,
    attempts: numberIn(row, 4),
    nextAttemptAt: numberOrNullIn(row, 5),
    type: textIn(row, 6) as WebhookEventType,
    orderKey: textIn(row, 7),
    sequence: numberIn(row, 8),
    createdAt: numberIn(row, 9),
    body: textIn(row, 10),
  };
}

export function readAttempts(statements: Statements, deliveryId: string): Attempt[] {
  return statements
    .get(
      `SELECT delivery_id, webhook_id, number, started_at, duration_ms, outcome, status, error, excerpt, next_attempt_at
       FROM attempt WHERE delivery_id = ? ORDER BY number`,
    )
    .all(deliveryId)
    .map((row) => ({
      deliveryId: textIn(row, 0),
      webhookId: textIn(row, 1),
      number: numberIn(row, 2),
      startedAt: numberIn(row, 3),
      durationMs: numberIn(row, 4),
      outcome: textIn(row, 5) as Attempt['outcome'],
      status: numberOrNullIn(row, 6),
      error: textOrNullIn(row, 7),
      excerpt: textOrNullIn(row, 8),
      nextAttemptAt: numberOrNullIn(row, 9),
    }));
}

export function readQuarantine(
  statements: Statements,
  query: { readonly limit: number; readonly before?: number | undefined },
): QuarantineRecord[] {
  return statements
    .get(`SELECT ${quarantineColumns} FROM quarantine WHERE id < ? ORDER BY id DESC LIMIT ?`)
    .all(query.before ?? Number.MAX_SAFE_INTEGER, query.limit)
    .map(quarantinedIn);
}

export function readQuarantined(statements: Statements, id: number): QuarantineRecord | null {
  const row = statements.get(`SELECT ${quarantineColumns} FROM quarantine WHERE id = ?`).get(id);
  return row ? quarantinedIn(row) : null;
}

const quarantineColumns = 'id, received_at, topic, client, sender, for_others, reason, pointer, detail, payload';

function quarantinedIn(row: Row): QuarantineRecord {
  return {
    id: numberIn(row, 0),
    receivedAt: numberIn(row, 1),
    topic: textIn(row, 2),
    client: textOrNullIn(row, 3),
    sender: { device: textOrNullIn(row, 4), forOthers: numberIn(row, 5) !== 0 },
    reason: textIn(row, 6),
    pointer: textIn(row, 7),
    detail: textIn(row, 8),
    payload: bytesIn(row, 9),
  };
}

/** Deliveries that wait for their first or next attempt. */
export function countPending(statements: Statements): number {
  return numberIn(statements.get("SELECT count(*) FROM delivery WHERE state = 'pending'").get(), 0);
}
