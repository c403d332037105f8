import type { DeviceToken, TokenChange } from '../../../domain/device-token.ts';
import type { Database } from '../database.ts';
import { numberIn, numberOrNullIn, Statements, textIn } from '../database.ts';

/** Hashes of devices' tokens; the caller holds the transaction. */
export class TokenRows {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  write(change: TokenChange): void {
    if (change.kind === 'put') this.#put(change.token);
    else if (change.id === null) this.forget(change.device);
    else this.#statements.get('DELETE FROM device_token WHERE device = ? AND id = ?').run(change.device, change.id);
  }

  /** All tokens of a device. */
  forget(device: string): void {
    this.#statements.get('DELETE FROM device_token WHERE device = ?').run(device);
  }

  #put({ device, id, hash, createdAt, expiresAt }: DeviceToken): void {
    this.#statements
      .get('INSERT OR REPLACE INTO device_token (device, id, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)')
      .run(device, id, hash, createdAt, expiresAt);
  }
}

/** Every token, device by device. */
export function readTokens(statements: Statements): DeviceToken[] {
  return statements
    .get('SELECT device, id, hash, created_at, expires_at FROM device_token ORDER BY device, created_at, id')
    .all()
    .map((row) => ({
      device: textIn(row, 0),
      id: textIn(row, 1),
      hash: textIn(row, 2),
      createdAt: numberIn(row, 3),
      expiresAt: numberOrNullIn(row, 4),
    }));
}
