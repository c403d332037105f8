import { pino } from 'pino';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/schema.ts';

/** JSON lines on standard error; standard output belongs to what commands print. */
export function createLog(level: Config['log']['level']): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
}
