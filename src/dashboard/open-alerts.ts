import { computed, type ReadonlySignal, signal } from '@preact/signals';
import type { Alert } from '../contract/alert.ts';
import type { List } from '../contract/rest.ts';
import type { LiveClient } from './live-client.ts';
import type { RestClient } from './rest-client.ts';

/** What is needed of the live client. */
type LiveSource = Pick<LiveClient, 'subscribe'>;

/** Episodes kept in the page beyond the open ones. */
const resolvedMax = 200;

/**
 * The alerts as they change, for every page: the open ones and those that were resolved while the page watched. The
 * alerts topic says what changes; after a hole in it the open ones are asked for again.
 */
export class OpenAlerts {
  readonly #rest: RestClient;
  readonly #live: LiveSource;
  readonly #known = signal<ReadonlyMap<string, Alert>>(new Map());
  readonly #isKnown = signal(false);

  /** Firing, newest first; null until the gateway has said which. */
  readonly open: ReadonlySignal<readonly Alert[] | null> = computed(() =>
    this.#isKnown.value
      ? newestFirst([...this.#known.value.values()].filter((alert) => alert.state === 'firing'))
      : null,
  );

  /** Every episode that changed while the page watched, newest first. */
  readonly recent: ReadonlySignal<readonly Alert[]> = computed(() => newestFirst([...this.#known.value.values()]));

  constructor(rest: RestClient, live: LiveSource) {
    this.#rest = rest;
    this.#live = live;
  }

  start(): void {
    this.#live.subscribe(
      { topic: 'alerts' },
      {
        alerts: (alerts) => {
          this.#take(alerts);
          this.#isKnown.value = true;
        },
        lost: () => void this.#reload(),
      },
    );
  }

  /** A list read from REST with what has changed since, newest first. */
  merge(listed: readonly Alert[]): Alert[] {
    const merged = new Map(listed.map((alert) => [alert.id, alert]));
    for (const alert of this.recent.value) {
      if (merged.get(alert.id)?.state !== 'resolved') merged.set(alert.id, alert);
    }
    return newestFirst([...merged.values()]);
  }

  /** An episode that is not among the open ones any more ended unseen; the lists that show it ask REST themselves. */
  async #reload(): Promise<void> {
    const page = await this.#rest
      .get<List<Alert>>('api/v1/alerts', { state: 'firing', limit: '1000' })
      .catch(() => null);
    if (page === null) return;
    const open = new Set(page.items.map((alert) => alert.id));
    const kept = [...this.#known.peek()].filter(([id, alert]) => alert.state === 'resolved' || open.has(id));
    this.#known.value = new Map(kept);
    this.#take(page.items);
    this.#isKnown.value = true;
  }

  #take(alerts: readonly Alert[]): void {
    if (alerts.length === 0) return;
    const next = new Map(this.#known.peek());
    for (const alert of alerts) {
      // Resolved is the end of an episode; a late "firing" of the same one must not open it again.
      if (next.get(alert.id)?.state !== 'resolved') next.set(alert.id, alert);
    }
    const resolved = [...next.values()].filter((alert) => alert.state === 'resolved');
    for (const alert of newestFirst(resolved).slice(resolvedMax)) next.delete(alert.id);
    this.#known.value = next;
  }
}

/** By when they fired. */
export function newestFirst(alerts: readonly Alert[]): Alert[] {
  return alerts.toSorted((a, b) => (a.firedAt < b.firedAt ? 1 : a.firedAt > b.firedAt ? -1 : 0));
}
