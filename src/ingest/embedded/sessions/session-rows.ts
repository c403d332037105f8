import type { SessionRow } from '../../../domain/session-row.ts';
import type { IncomingIds } from './incoming-ids.ts';
import type { OutgoingMessages } from './outgoing-messages.ts';
import type { RetainedMessages } from './retained-messages.ts';
import { decodeQueued, decodeRetained, decodeSession, decodeSubscription, decodeWill } from './session-codec.ts';
import type { SessionTable } from './session-table.ts';
import type { Wills } from './wills.ts';

/** Where rows belong. */
export interface RowTargets {
  readonly table: SessionTable;
  readonly outgoing: OutgoingMessages;
  readonly incoming: IncomingIds;
  readonly retained: RetainedMessages;
  readonly wills: Wills;
  subscribed(clientId: string, filter: string, qos: 0 | 1 | 2): void;
}

/** Takes a row back that the engine kept. Throws `SessionRowError` for one that nobody here wrote. */
export function recoverRow({ kind, client, key, bytes }: SessionRow, targets: RowTargets): void {
  switch (kind) {
    case 'session':
      targets.table.recover(client, decodeSession(bytes));
      return;
    case 'subscription':
      targets.subscribed(client, key, decodeSubscription(bytes));
      return;
    case 'queued':
      targets.outgoing.recover(targets.table.of(client), key, decodeQueued(bytes));
      return;
    case 'incoming':
      targets.incoming.recover(client, Number.parseInt(key, 10));
      return;
    case 'retained': {
      const { qos, payload } = decodeRetained(bytes);
      const message = { topic: key, payload: Buffer.from(payload), qos, retain: true, dup: false };
      targets.retained.set({ cmd: 'publish', ...message });
      return;
    }
    case 'will':
      targets.wills.recover(client, decodeWill(bytes));
  }
}
