import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { engineErasingExam } from './engine-erasing.ts';

engineErasingExam('SQLite', (options) => createSqliteEngine({ ...options, log: silentLog }));
