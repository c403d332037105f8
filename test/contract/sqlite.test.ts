import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { engineExam } from './engine-exam.ts';

engineExam('SQLite', (options) => createSqliteEngine({ ...options, log: silentLog }));
