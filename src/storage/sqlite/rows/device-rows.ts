import { type DeviceFact, type DeviceRecord, isSignOfLife, withAttributes } from '../../../domain/device.ts';
import type { Database } from '../database.ts';
import { Statements } from '../database.ts';

/** The devices that machines made known; the caller holds the transaction. */
export class DeviceRows {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  write(record: DeviceRecord): void {
    this.#statements
      .get(
        `INSERT OR REPLACE INTO device
           (device, first_seen, last_seen, status, status_at, status_cause, attributes, clock_corrected, provisioned)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        record.device,
        record.firstSeen,
        record.lastSeen,
        record.status,
        record.statusAt,
        record.statusCause,
        JSON.stringify(record.attributes),
        record.clockCorrected,
        record.provisioned && JSON.stringify(record.provisioned),
      );
  }

  forget(device: string): void {
    this.#statements.get('DELETE FROM device WHERE device = ?').run(device);
  }

  /** Moves only `last_seen`, which otherwise lives in memory and the commit log. */
  writeLastSeen(device: string, lastSeen: number): void {
    this.#statements
      .get('UPDATE device SET last_seen = ? WHERE device = ? AND last_seen < ?')
      .run(lastSeen, device, lastSeen);
  }
}

/** The record with the fact merged in. */
export function withFact(record: DeviceRecord, fact: DeviceFact): DeviceRecord {
  return {
    ...record,
    lastSeen: isSignOfLife(fact) ? Math.max(record.lastSeen, fact.at) : record.lastSeen,
    status: fact.status ?? record.status,
    statusAt: fact.status ? fact.at : record.statusAt,
    statusCause: fact.status ? (fact.cause ?? null) : record.statusCause,
    attributes: fact.attributes ? withAttributes(record.attributes, fact.attributes) : record.attributes,
    clockCorrected: record.clockCorrected + (fact.clockCorrected ?? 0),
    provisioned: fact.provisioned ?? record.provisioned,
  };
}
