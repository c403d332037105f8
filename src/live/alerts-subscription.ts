import { showAlert } from '../contract/alert.ts';
import type { AlertFrame, ServerFrame } from '../contract/live.ts';
import type { LiveClient } from './client.ts';
import type { Stretch } from './commit-stream.ts';
import type { LiveLimits } from './limits.ts';
import type { OpenAlerts } from './ports.ts';
import type { SeriesFilter } from './series-filter.ts';
import type { LiveStats } from './stats.ts';
import type { Subscription } from './subscription.ts';

/** A subscription to alerts: those that are firing as a snapshot, then every transition. */
export class AlertsSubscription implements Subscription {
  readonly id: string;
  readonly quotedId: string;
  readonly client: LiveClient;
  position = 0;
  hasBegun = false;
  hasEnded = false;
  readonly #filter: SeriesFilter;
  readonly #openAlerts: OpenAlerts;
  readonly #cursor: (seq: number) => string;
  readonly #limits: LiveLimits;
  readonly #stats: LiveStats;

  constructor(
    id: string,
    client: LiveClient,
    filter: SeriesFilter,
    parts: { openAlerts: OpenAlerts; cursor: (seq: number) => string; limits: LiveLimits; stats: LiveStats },
  ) {
    this.id = id;
    this.quotedId = JSON.stringify(id);
    this.client = client;
    this.#filter = filter;
    this.#openAlerts = parts.openAlerts;
    this.#cursor = parts.cursor;
    this.#limits = parts.limits;
    this.#stats = parts.stats;
  }

  get resumeAfter(): number {
    return this.position;
  }

  snapshot(): Iterable<string> {
    const open = [...this.#openAlerts()].filter((alert) => this.#filter.matchesNames(alert.device, alert.metric));
    return this.#frames(open.map(showAlert));
  }

  deliver(stretch: Stretch, options: { paced: boolean }): void {
    for (const frame of this.#transitions(stretch)) {
      if (!this.client.send(JSON.stringify(frame), options)) return;
      this.#stats.alertsSent++;
    }
    this.position = stretch.last;
  }

  end(): void {
    this.hasEnded = true;
  }

  *#frames(alerts: readonly ReturnType<typeof showAlert>[]): Iterable<string> {
    const size = this.#limits.snapshotReadingsMax;
    for (let from = 0; from === 0 || from < alerts.length; from += size) {
      const done = from + size >= alerts.length;
      const frame: ServerFrame = { op: 'snapshot', id: this.id, done, alerts: alerts.slice(from, from + size) };
      yield JSON.stringify(frame);
    }
  }

  *#transitions(stretch: Stretch): Iterable<AlertFrame> {
    for (const batch of stretch.batches) {
      if (batch.transitions.length === 0) continue;
      const matching = batch.transitions.filter(({ alert }) => this.#filter.matchesNames(alert.device, alert.metric));
      for (const [index, { type, sequence, alert }] of matching.entries()) {
        // A connection that breaks between two transitions of one commit must resume before the commit.
        const seq = index === matching.length - 1 ? batch.seq : batch.seq - 1;
        yield { op: 'alert', id: this.id, cursor: this.#cursor(seq), type, sequence, alert: showAlert(alert) };
      }
    }
  }
}
