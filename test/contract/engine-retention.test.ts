import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { engineRetentionExam } from './engine-retention.ts';

engineRetentionExam('SQLite', (options) => createSqliteEngine({ ...options, log: silentLog }));
