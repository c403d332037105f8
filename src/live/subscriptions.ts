import { InvariantError, messageOf, RejectedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type ErrorCode, isErrorCode } from '../contract/error-codes.ts';
import type { ClientCommand, ServerFrame, SubscribeCommand } from '../contract/live.ts';
import { parseCursor } from '../domain/cursor.ts';
import type { SeriesDirectory } from '../domain/series.ts';
import { AlertsSubscription } from './alerts-subscription.ts';
import type { CatchUp } from './catch-up.ts';
import type { LiveClient } from './client.ts';
import type { CommitStream } from './commit-stream.ts';
import type { Flusher } from './flusher.ts';
import type { LiveLimits } from './limits.ts';
import type { LatestValues, OpenAlerts, UnitOf } from './ports.ts';
import { ReadingText } from './reading-text.ts';
import { ReadingsChannel } from './readings-channel.ts';
import { ReadingsSubscription } from './readings-subscription.ts';
import { SeriesFilter } from './series-filter.ts';
import type { LiveStats } from './stats.ts';
import type { Subscription } from './subscription.ts';

interface SharedChannel {
  readonly channel: ReadingsChannel;
  users: number;
}

/** Carries out what clients ask for: subscriptions begin, catch up, become live and end here. */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  readonly #text: ReadingText;
  readonly #channels = new Map<string, SharedChannel>();
  #catchingUp = 0;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
    this.#text = new ReadingText(parts.directory, parts.unitOf);
  }

  /** Subscriptions that are not live yet, or not any more. */
  get catchingUp(): number {
    return this.#catchingUp;
  }

  obey(client: LiveClient, command: ClientCommand): void {
    switch (command.op) {
      case 'ping':
        tell(client, { op: 'pong', ...(command.id === undefined ? {} : { id: command.id }) });
        return;
      case 'unsubscribe':
        this.#unsubscribe(client, command.id);
        return;
      case 'subscribe':
        this.#subscribe(client, command);
        return;
    }
  }

  /** A live subscription that memory cannot serve any more goes back to the log. */
  catchUpAgain(subscription: Subscription): void {
    this.#follow(
      subscription,
      this.#parts.catchUp.replay(subscription, () => this.#parts.flusher.add(subscription)),
    );
  }

  /** Ends all subscriptions of the client. */
  endAll(client: LiveClient): void {
    for (const subscription of client.subscriptions.values()) this.#end(subscription);
    client.subscriptions.clear();
  }

  /** The commit after which the client would resume; null while the beginning of a subscription is under way. */
  resumeAfter(client: LiveClient): number | null {
    let seq = this.#parts.stream.position;
    for (const subscription of client.subscriptions.values()) {
      if (!subscription.hasBegun) return null;
      seq = Math.min(seq, subscription.resumeAfter);
    }
    return seq;
  }

  #unsubscribe(client: LiveClient, id: string): void {
    const subscription = client.subscriptions.get(id);
    if (!subscription) {
      client.refuse({ id, code: 'subscription_unknown', message: `there is no subscription "${id}" here` });
      return;
    }
    client.subscriptions.delete(id);
    this.#end(subscription);
    tell(client, { op: 'unsubscribed', id });
  }

  #subscribe(client: LiveClient, command: SubscribeCommand): void {
    try {
      const since = command.since === undefined ? null : parseCursor(command.since);
      const subscription = this.#make(client, command);
      client.subscriptions.set(command.id, subscription);
      const onLive = (): void => this.#parts.flusher.add(subscription);
      this.#follow(subscription, this.#parts.catchUp.begin(subscription, since, onLive));
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      client.refuse({ id: command.id, code: codeOf(error), message: error.message });
    }
  }

  /** Throws `RejectedError` when the client cannot have this subscription. */
  #make(client: LiveClient, command: SubscribeCommand): Subscription {
    const { id, topic } = command;
    const { limits, stats, openAlerts, directory, cursor } = this.#parts;
    if (client.subscriptions.has(id)) {
      throw new RejectedError('subscription_exists', `"${id}" is subscribed; unsubscribe it or choose another id`);
    }
    if (client.subscriptions.size >= limits.subscriptionsMax) {
      throw new RejectedError('too_many_subscriptions', `at most ${limits.subscriptionsMax} on one connection`);
    }
    if (topic === 'devices' || topic === 'commands') {
      throw new RejectedError('topic_not_available', `the topic "${topic}" is not served; use readings or alerts`);
    }
    if (topic === 'alerts') {
      const filter = new SeriesFilter(directory, command.device, command.metric);
      return new AlertsSubscription(id, client, filter, { openAlerts, cursor, limits, stats });
    }
    const shared = this.#share(command);
    const onEnd = (): void => this.#unshare(command, shared);
    return new ReadingsSubscription(id, client, shared.channel, { limits, stats, onEnd });
  }

  #share(command: SubscribeCommand): SharedChannel {
    const { limits, directory, latest, cursor } = this.#parts;
    const key = channelKey(command);
    let shared = this.#channels.get(key);
    if (!shared) {
      if (this.#channels.size >= limits.channelsMax) {
        throw new RejectedError('too_many_subscriptions', `at most ${limits.channelsMax} different filters at a time`);
      }
      shared = { channel: new ReadingsChannel(command, { directory, latest, text: this.#text, cursor }), users: 0 };
      this.#channels.set(key, shared);
    }
    shared.users++;
    return shared;
  }

  #unshare(command: SubscribeCommand, shared: SharedChannel): void {
    shared.users--;
    if (shared.users === 0) this.#channels.delete(channelKey(command));
  }

  #end(subscription: Subscription): void {
    this.#parts.flusher.delete(subscription);
    subscription.end();
  }

  /** Owns a catch-up to its end. When the log cannot be read, the client is told to come back later. */
  #follow(subscription: Subscription, catchingUp: Promise<void>): void {
    this.#catchingUp++;
    const settled = (): void => {
      this.#catchingUp--;
      if (this.#catchingUp === 0) this.#parts.stream.forgetPages();
    };
    catchingUp.then(settled, (error: unknown) => {
      settled();
      if (error instanceof InvariantError) throw error;
      if (subscription.hasEnded) return;
      this.#parts.log.warn({ error: messageOf(error) }, 'a live client could not resume: the commit log failed');
      subscription.client.close('try_later', 'the commit log cannot be read just now');
    });
  }
}

export interface SubscriptionsParts {
  readonly stream: CommitStream;
  readonly catchUp: CatchUp;
  readonly flusher: Flusher;
  readonly directory: SeriesDirectory;
  readonly unitOf?: UnitOf | undefined;
  readonly latest: LatestValues;
  readonly openAlerts: OpenAlerts;
  readonly cursor: (seq: number) => string;
  readonly limits: LiveLimits;
  readonly stats: LiveStats;
  readonly log: Log;
}

function channelKey(command: SubscribeCommand): string {
  return JSON.stringify([command.device, command.metric, command.mode, command.shape]);
}

function codeOf(error: RejectedError): ErrorCode {
  return isErrorCode(error.code) ? error.code : 'internal';
}

function tell(client: LiveClient, frame: ServerFrame): void {
  client.send(JSON.stringify(frame));
}
