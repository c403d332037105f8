import type { Commit } from '../../../domain/commit.ts';
import type { Attempt, Delivery } from '../../../domain/delivery.ts';
import { CommandRows } from './command-rows.ts';
import type { Database } from '../database.ts';
import { Statements } from '../database.ts';
import { SessionRows } from './session-rows.ts';
import { TokenRows } from './token-rows.ts';

/** Writes the parts of a commit that are neither readings nor devices nor quarantine; the caller holds the transaction. */
export class CommitRows {
  readonly #statements: Statements;
  readonly #tokens: TokenRows;
  readonly #sessions: SessionRows;
  readonly #commands: CommandRows;

  constructor(database: Database) {
    this.#statements = new Statements(database);
    this.#tokens = new TokenRows(database);
    this.#sessions = new SessionRows(database);
    this.#commands = new CommandRows(database);
  }

  write(commit: Commit): void {
    this.#writeAlerts(commit);
    for (const delivery of commit.deliveries) this.#writeDelivery(delivery, commit.seq);
    for (const attempt of commit.attempts) this.#writeAttempt(attempt, commit.at);
    // After the attempts, so that a webhook deleted while one was under way still has its outcome.
    for (const webhookId of commit.cancelledWebhooks) this.#cancel(webhookId, commit.at);
    for (const device of commit.forgottenDevices) this.#tokens.forget(device);
    for (const change of commit.tokens) this.#tokens.write(change);
    for (const change of commit.sessions) this.#sessions.write(change);
    for (const command of commit.commands) this.#commands.write(command);
  }

  #writeAlerts(commit: Commit): void {
    for (const transition of commit.transitions) {
      const { alert } = transition;
      this.#statements
        .get('INSERT INTO transition (seq, alert_id, transition) VALUES (?, ?, ?)')
        .run(commit.seq, alert.id, JSON.stringify(transition));
      this.#statements
        .get(
          `INSERT INTO alert (id, fired_at, state, rule_id, device, alert) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET fired_at = excluded.fired_at, state = excluded.state, alert = excluded.alert`,
        )
        .run(alert.id, alert.firedAt, alert.state, alert.rule.id, alert.device, JSON.stringify(alert));
    }
    for (const state of commit.alertStates) {
      this.#statements
        .get('INSERT OR REPLACE INTO alert_state (rule_id, device, metric, state) VALUES (?, ?, ?, ?)')
        .run(state.ruleId, state.device, state.metric, JSON.stringify(state));
    }
  }

  #writeDelivery(delivery: Delivery, seq: number): void {
    this.#statements
      .get(
        `INSERT INTO delivery
           (id, seq, webhook_id, state, attempts, next_attempt_at, type, order_key, sequence, created_at, body)
         VALUES (?, ?, ?, 'pending', 0, 0, ?, ?, ?, ?, ?)`,
      )
      .run(
        delivery.id,
        seq,
        delivery.webhookId,
        delivery.type,
        delivery.orderKey,
        delivery.sequence,
        delivery.createdAt,
        delivery.body,
      );
  }

  #writeAttempt(attempt: Attempt, at: number): void {
    this.#statements
      .get(
        `INSERT OR REPLACE INTO attempt
           (delivery_id, number, webhook_id, started_at, duration_ms, outcome, status, error, excerpt, next_attempt_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        attempt.deliveryId,
        attempt.number,
        attempt.webhookId,
        attempt.startedAt,
        attempt.durationMs,
        attempt.outcome,
        attempt.status,
        attempt.error,
        attempt.excerpt,
        attempt.nextAttemptAt,
      );
    const state = attempt.outcome === 'retry' ? 'pending' : attempt.outcome;
    this.#statements
      .get('UPDATE delivery SET attempts = max(attempts, ?) WHERE id = ?')
      .run(attempt.number, attempt.deliveryId);
    // What was cancelled or settled in the meantime stays so.
    this.#statements
      .get("UPDATE delivery SET state = ?, next_attempt_at = ?, settled_at = ? WHERE id = ? AND state = 'pending'")
      .run(
        state,
        state === 'pending' ? (attempt.nextAttemptAt ?? 0) : null,
        state === 'pending' ? null : at,
        attempt.deliveryId,
      );
  }

  #cancel(webhookId: string, at: number): void {
    this.#statements
      .get(
        `UPDATE delivery SET state = 'cancelled', next_attempt_at = NULL, settled_at = ?
         WHERE webhook_id = ? AND state = 'pending'`,
      )
      .run(at, webhookId);
  }
}
