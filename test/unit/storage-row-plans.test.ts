import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAlerts, readDeliveries, readQuarantine } from '../../src/storage/sqlite/asking/reader-rows.ts';
import { type Database, type Statement, Statements, textIn } from '../../src/storage/sqlite/database.ts';
import { readCommands } from '../../src/storage/sqlite/rows/command-rows.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let database: Database;
let statements: Watched;

/** Notes how SQLite goes about each statement that is asked for. */
class Watched extends Statements {
  plan = '';

  override get(sql: string): Statement {
    const inputs = Array.from({ length: sql.split('?').length - 1 }, () => 0);
    const rows = super.get(`EXPLAIN QUERY PLAN ${sql}`).all(...inputs);
    this.plan = rows.map((row) => textIn(row, 3)).join('; ');
    return super.get(sql);
  }
}

beforeAll(() => {
  folder = tempFolder();
  database = openForWriting(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 0, pagesMax: null });
  statements = new Watched(database);
});
afterAll(() => {
  database.close();
  folder.remove();
});

// A list of a million rows is read from where its page begins, in the order in which it is told: never sorted, and never
// through all that the caller did not ask for.
describe('a page of rows is read along an index that has them in order', () => {
  const alertPlaces = [undefined, { firedAt: 9, id: 'a' }];
  it.each([
    [{}, 'alert_fired'],
    [{ state: 'firing' }, 'alert_firing'],
    [{ state: 'resolved' }, 'alert_fired'],
    [{ ruleId: 'r' }, 'alert_rule'],
    [{ device: 'd' }, 'alert_device'],
    [{ ruleId: 'r', state: 'resolved' }, 'alert_rule'],
    [{ device: 'd', state: 'resolved' }, 'alert_device'],
    [{ ruleId: 'r', state: 'firing' }, 'alert_firing'],
    [{ device: 'd', state: 'firing' }, 'alert_firing'],
    [{ ruleId: 'r', device: 'd' }, /alert_(rule|device)/],
  ] as const)('alerts: %o', (query, index) => {
    for (const after of alertPlaces) {
      readAlerts(statements, { ...query, limit: 10, after });
      expectIndex('alert', index);
    }
  });

  it.each([
    [{ webhookId: 'w' }, 'delivery_webhook'],
    [{ webhookId: 'w', state: 'pending' }, /delivery_(webhook_state|pending)/],
    [{ webhookId: 'w', state: 'failed' }, 'delivery_webhook_state'],
    [{ webhookId: 'w', state: 'succeeded' }, 'delivery_webhook_state'],
    [{ state: 'pending' }, 'delivery_pending'],
  ] as const)('deliveries: %o', (query, index) => {
    for (const order of ['asc', 'desc'] as const) {
      for (const after of [undefined, { seq: 9, id: 'a' }]) {
        readDeliveries(statements, { ...query, limit: 10, order, after });
        expectIndex('delivery', index);
      }
    }
  });

  it.each([
    [{}, 'command_created'],
    [{ device: 'd' }, 'command_device'],
  ] as const)('commands: %o', (query, index) => {
    for (const after of [undefined, { createdAt: 9, id: 'a' }]) {
      readCommands(statements, { ...query, limit: 10, after });
      expectIndex('command', index);
    }
  });

  it('the quarantine', () => {
    readQuarantine(statements, { limit: 10 });
    expect(statements.plan).toBe('SEARCH quarantine USING INTEGER PRIMARY KEY (rowid<?)');
  });
});

function expectIndex(table: string, index: string | RegExp): void {
  const name = typeof index === 'string' ? index : index.source;
  expect(statements.plan).toMatch(new RegExp(`^(SCAN|SEARCH) ${table} USING INDEX ${name}( \\([^;]*\\))?$`));
}
