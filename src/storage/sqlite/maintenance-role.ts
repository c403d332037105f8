import { statSync } from 'node:fs';
import { InvariantError } from '../../base/errors.ts';
import type { Database } from './database.ts';
import { Statements } from './database.ts';
import { readMeta } from './meta.ts';
import { Reserve } from './reserve.ts';
import type { Handlers, Role } from './role.ts';
import { RollupMaker } from './rollup-maker.ts';
import { answerWith } from './role.ts';
import { openForMaintenance } from './schema.ts';
import type { MaintenanceCalls } from './worker-messages.ts';

/** The thread whose connection copies the write-ahead log into the file while the writer goes on. */
export function maintenanceRole(path: string): Role {
  let database: Database | undefined;
  let maker: RollupMaker | undefined;
  const handlers: Handlers<MaintenanceCalls> = {
    open() {
      database = openForMaintenance(path);
      maker = new RollupMaker(database);
      return { answer: null };
    },
    checkpoint() {
      if (!database) throw new InvariantError('maintenance is not open');
      return { answer: database.checkpoint() };
    },
    reserve: ({ bytes }) => ({ answer: { isWhole: new Reserve(path, bytes).fill() } }),
    backup({ path: copy }) {
      if (!database) throw new InvariantError('maintenance is not open');
      database.prepare('VACUUM INTO ?').run(copy);
      const [epoch, seq] = [
        readMeta(new Statements(database), 'epoch'),
        database.number('SELECT max(seq) FROM commit_log'),
      ];
      return { answer: { epoch: String(epoch), seq, bytes: statSync(copy).size } };
    },
    rollUp(tasks) {
      if (!maker) throw new InvariantError('maintenance is not open');
      return { answer: maker.run(tasks) };
    },
    close() {
      database?.close();
      database = undefined;
      return { answer: null };
    },
  };
  return { answer: (name, question) => answerWith<MaintenanceCalls>(handlers, name, question) };
}
