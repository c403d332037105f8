import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import type { Clock } from '../base/clock.ts';
import { InvariantError, RejectedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { liveSubprotocol, type ServerFrame } from '../contract/live.ts';
import type { CommittedBatch } from '../domain/commit.ts';
import { formatCursor } from '../domain/cursor.ts';
import type { SeriesDirectory } from '../domain/series.ts';
import { CatchUp } from './catch-up.ts';
import { type ClientOwner, LiveClient } from './client.ts';
import { readCommand } from './command-reader.ts';
import { CommitStream } from './commit-stream.ts';
import { Flusher } from './flusher.ts';
import { defaultLiveLimits, type LiveLimits } from './limits.ts';
import { type PollPage, type PollQuery, Polls } from './polls.ts';
import type { LatestValues, OpenAlerts, ReadLog, UnitOf } from './ports.ts';
import { Pulse } from './pulse.ts';
import { type LiveStats, noLiveStats } from './stats.ts';
import { Subscriptions } from './subscriptions.ts';
import { createUpgrader, offersSubprotocol, refuseUpgrade, type UpgradeRefusal } from './upgrade.ts';

export interface LiveHubOptions {
  /** The epoch of the store; asked for each cursor. */
  readonly epoch: () => string;
  /** The last published commit; asked once, at `start`. */
  readonly position: () => number;
  readonly directory: SeriesDirectory;
  /** Left out: what the metric's name tells. */
  readonly unitOf?: UnitOf | undefined;
  readonly latest: LatestValues;
  readonly openAlerts: OpenAlerts;
  readonly readLog: ReadLog;
  readonly clock: Clock;
  readonly log: Log;
  /** Of the product, shown in `hello`. */
  readonly version: string;
  readonly limits?: Partial<LiveLimits> | undefined;
}

/** What exists from `start` on. */
interface Running {
  readonly stream: CommitStream;
  readonly polls: Polls;
  readonly flusher: Flusher;
  readonly subscriptions: Subscriptions;
  readonly pulse: Pulse;
}

/**
 * The live stream for clients that watch. It hears of every commit after it is on disk and sends it to whoever
 * subscribed; the README of this room says what it promises and how.
 */
export class LiveHub {
  readonly #options: LiveHubOptions;
  readonly #limits: LiveLimits;
  readonly #clock: Clock;
  readonly #stats = noLiveStats();
  readonly #upgrader: WebSocketServer;
  readonly #clients = new Set<LiveClient>();
  #running: Running | null = null;
  #stopping: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;

  constructor(options: LiveHubOptions) {
    this.#options = options;
    this.#limits = { ...defaultLiveLimits, ...options.limits };
    this.#clock = options.clock;
    this.#upgrader = createUpgrader(this.#limits);
  }

  /** Takes the position and begins with heartbeats. Before it nothing may be published; upgrades are refused. */
  start(): void {
    const { epoch, directory, unitOf, readLog, latest, openAlerts, log } = this.#options;
    const [limits, stats, clock, clients] = [this.#limits, this.#stats, this.#clock, this.#clients];
    const cursor = (seq: number): string => formatCursor(epoch(), seq);
    const onLogRead = (): void => void stats.logReads++;
    const position = this.#options.position();
    const stream = new CommitStream({ position, readLog, onLogRead, limits });
    const polls = new Polls({ stream, epoch, directory, clock, limits, stats });
    const catchUp = new CatchUp({ stream, epoch, stats });
    const flusher = new Flusher({
      stream,
      polls,
      clock,
      limits,
      onBehind: (behind) => subscriptions.catchUpAgain(behind),
    });
    const parts = { stream, catchUp, flusher, directory, unitOf, latest, openAlerts, cursor, limits, stats, log };
    const subscriptions = new Subscriptions(parts);
    const pulse = new Pulse({ clients, clock, limits, stats, beat: () => this.#beat() });
    this.#running = { stream, polls, flusher, subscriptions, pulse };
    pulse.start();
  }

  /**
   * Takes the next commit; called once for each, in order, after `latest` and the open alerts were moved by it. The
   * batch's arrays may be used again once it returns. Sending happens later: at once when idle, else with the next flush.
   */
  publish(batch: CommittedBatch): void {
    const { stream, flusher } = this.#started();
    stream.append(batch);
    if (!this.#stopping) flusher.schedule();
  }

  /**
   * Takes over an HTTP upgrade whose path, Host, Origin and key were found good. Refuses with an HTTP problem when
   * there are too many clients, when stopping, and for a subprotocol that is not `pulsegate.v1.json`.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!this.#running || this.#stopping) {
      this.#refuse(socket, 'stopping', 'the gateway is starting or stopping; try again shortly');
    } else if (this.#clients.size >= this.#limits.clientsMax) {
      this.#refuse(socket, 'overloaded', `${this.#limits.clientsMax} clients are connected already`);
    } else if (!offersSubprotocol(request)) {
      this.#refuse(socket, 'bad_request', `the subprotocol is ${liveSubprotocol}, or none`);
    } else {
      const owner = this.#ownerOfClients(this.#running.subscriptions);
      this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
        const parts = { owner, limits: this.#limits, clock: this.#clock, stats: this.#stats };
        const client = new LiveClient(webSocket, socket, parts);
        this.#clients.add(client);
        client.send(JSON.stringify(this.#hello()));
      });
    }
  }

  /** One page of the stream for `GET /stream`; see `Polls.poll` for what it rejects with. */
  async poll(query: PollQuery): Promise<PollPage> {
    if (this.#stopping) throw new RejectedError('stopping', 'the gateway is stopping');
    return await this.#started().polls.poll(query);
  }

  stats(): Readonly<LiveStats> {
    let subscriptions = 0;
    for (const client of this.#clients) subscriptions += client.subscriptions.size;
    return {
      ...this.#stats,
      clients: this.#clients.size,
      subscriptions,
      catchingUp: this.#running?.subscriptions.catchingUp ?? 0,
      pollsWaiting: this.#running?.polls.waiting ?? 0,
    };
  }

  /**
   * Sends what is pending, answers waiting polls, closes every client with 1001 and waits at most `deadlineMs` for
   * them; then ends them hard and says how many. May come before `start`, twice, or late.
   */
  stop(deadlineMs = 2_000): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#running?.pulse.stop();
    this.#running?.flusher.flush();
    this.#running?.polls.stop();
    for (const client of this.#clients) client.close('going_away', 'the gateway stops; reconnect and resume');
    if (this.#clients.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onEmpty = resolve;
      const timer = this.#clock.after(deadlineMs, resolve);
      await promise;
      timer.cancel();
    }
    if (this.#clients.size > 0) {
      this.#options.log.warn({ clients: this.#clients.size, deadlineMs }, 'live clients did not close in time; ended');
      for (const client of this.#clients) client.terminate();
    }
    this.#upgrader.close();
  }

  /** Heartbeats go out after everything pending, so that a heartbeat's cursor never runs ahead of the readings. */
  #beat(): void {
    this.#started().flusher.flush();
    for (const client of this.#clients) {
      // One that is behind has frames to read that move its cursor.
      if (!client.isWritable) continue;
      const cursor = this.#resumeCursor(client);
      if (cursor !== null) client.send(JSON.stringify({ op: 'heartbeat', cursor } satisfies ServerFrame));
    }
  }

  #resumeCursor(client: LiveClient): string | null {
    const seq = this.#started().subscriptions.resumeAfter(client);
    return seq === null ? null : formatCursor(this.#options.epoch(), seq);
  }

  #ownerOfClients(subscriptions: Subscriptions): ClientOwner {
    return {
      onMessage: (client, text) => {
        const heard = readCommand(text);
        if (heard.kind === 'refusal') client.refuse(heard.error);
        else subscriptions.obey(client, heard.command);
      },
      resumeCursor: (client) => this.#resumeCursor(client),
      onClosing: (client) => subscriptions.endAll(client),
      onClosed: (client) => {
        this.#clients.delete(client);
        if (this.#clients.size === 0) this.#onEmpty?.();
      },
    };
  }

  #refuse(socket: Duplex, code: UpgradeRefusal, detail: string): void {
    this.#stats.upgradesRefused++;
    refuseUpgrade(socket, code, detail);
  }

  #hello(): ServerFrame {
    const { messageBytesMax, subscriptionsMax, commandsPerSecond, clientBacklogMax, heartbeatMs } = this.#limits;
    const limits = { messageBytesMax, subscriptionsMax, commandsPerSecond, clientBacklogMax, heartbeatMs };
    return { op: 'hello', version: this.#options.version, limits };
  }

  #started(): Running {
    if (!this.#running) throw new InvariantError('the live hub was used before it was started');
    return this.#running;
  }
}
