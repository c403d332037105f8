import type { Clock, Timer } from '../base/clock.ts';
import type { LiveClient } from './client.ts';
import type { LiveLimits } from './limits.ts';
import type { LiveStats } from './stats.ts';

/** Signs of life in both directions: heartbeats carry the cursor out, pings find out who is gone. */
export class Pulse {
  readonly #clients: ReadonlySet<LiveClient>;
  readonly #clock: Clock;
  readonly #limits: LiveLimits;
  readonly #stats: LiveStats;
  readonly #beat: () => void;
  #beatTimer: Timer | null = null;
  #pingTimer: Timer | null = null;

  constructor(parts: {
    clients: ReadonlySet<LiveClient>;
    clock: Clock;
    limits: LiveLimits;
    stats: LiveStats;
    /** Sends every client its heartbeat. */
    beat: () => void;
  }) {
    this.#clients = parts.clients;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#stats = parts.stats;
    this.#beat = parts.beat;
  }

  start(): void {
    this.#awaitBeat();
    this.#awaitPing(this.#limits.pingMs);
  }

  stop(): void {
    this.#beatTimer?.cancel();
    this.#pingTimer?.cancel();
  }

  #awaitBeat(): void {
    this.#beatTimer = this.#clock.after(this.#limits.heartbeatMs, () => {
      this.#awaitBeat();
      this.#beat();
    });
  }

  #awaitPing(delayMs: number): void {
    this.#pingTimer = this.#clock.after(delayMs, () => {
      const asked = [...this.#clients];
      for (const client of asked) client.ping();
      this.#pingTimer = this.#clock.after(this.#limits.pongMs, () => {
        this.#awaitPing(Math.max(this.#limits.pingMs - this.#limits.pongMs, 0));
        for (const client of asked) this.#endIfDead(client);
      });
    });
  }

  #endIfDead(client: LiveClient): void {
    if (!client.isOpen || client.showedLife) return;
    this.#stats.deadClosed++;
    client.terminate();
  }
}
