import type { Buffer } from 'node:buffer';
import type { LiveClient } from './client.ts';
import type { Stretch } from './commit-stream.ts';

/** One subscription of one client: where it stands in the stream and how it turns commits into frames. */
export interface Subscription {
  readonly id: string;
  /** `id` as JSON, for frames that are put together by hand. */
  readonly quotedId: string;
  readonly client: LiveClient;
  /** The last commit examined for it. */
  position: number;
  /** False until its cursor counts: `subscribed` and, where there is one, the whole snapshot were sent. */
  hasBegun: boolean;
  /** Set by unsubscribe and by the end of the client; nothing is sent any more. */
  hasEnded: boolean;
  /** The commit after which the client would resume without losing anything that it has not been sent. */
  readonly resumeAfter: number;
  /** The current state as frames, taken at once and turned into frames one by one; the last says `done`. */
  snapshot(): Iterable<Buffer | string>;
  /** Sends what the stretch holds for it and moves `position` to its end, unless the client is closing. */
  deliver(stretch: Stretch, options: { paced: boolean }): void;
  /** Lets go of what is shared. */
  end(): void;
}
