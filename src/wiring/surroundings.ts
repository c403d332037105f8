import type { Clock } from '../base/clock.ts';
import type { StopStack } from '../base/lifecycle.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Config } from '../config/schema.ts';
import type { Ledger } from '../pipeline/ledger.ts';

/** What every stage of the gateway is built with. */
export interface Surroundings {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
  readonly ledger: Ledger;
  /** What has been started is pushed here at once, so that a start that fails can be taken back. */
  readonly stops: StopStack;
  /** An invariant broke: what would happen next cannot be trusted. */
  readonly fatal: (error: unknown) => void;
  /** Under which people reach the page, for links; null while that is not known. */
  readonly publicUrl: () => string | null;
}

/** Why the gateway does not start, as sentences for people: a listener would be open to others, a file is missing. */
export class StartRefusedError extends Error {
  override readonly name: string = 'StartRefusedError';
}

export function urlOf(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
