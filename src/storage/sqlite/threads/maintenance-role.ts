import { InvariantError } from '../../../base/errors.ts';
import { copyStore } from '../safekeeping/backup.ts';
import type { Database } from '../database.ts';
import { Reserve } from '../keeping/reserve.ts';
import type { Handlers, Role } from './role.ts';
import { RollupMaker } from '../rollups/rollup-maker.ts';
import { answerWith } from './role.ts';
import { openForMaintenance } from '../schema.ts';
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
    rollUp(tasks) {
      if (!maker) throw new InvariantError('maintenance is not open');
      return { answer: maker.run(tasks) };
    },
    reserve: ({ bytes }) => ({ answer: { isWhole: new Reserve(path, bytes).fill() } }),
    backup({ path: copy }) {
      if (!database) throw new InvariantError('maintenance is not open');
      return { answer: copyStore(database, copy) };
    },
    close() {
      database?.close();
      database = undefined;
      return { answer: null };
    },
  };
  return { answer: (name, question) => answerWith<MaintenanceCalls>(handlers, name, question) };
}
