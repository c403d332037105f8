import { silentLog } from '../../src/base/log.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { engineQuestionsExam } from './engine-questions.ts';

engineQuestionsExam('SQLite', (options) => createSqliteEngine({ ...options, log: silentLog }));
