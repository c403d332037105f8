import type { Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Memory } from './memory.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** So long series that came since may go without their policy, ms: until then they are kept. */
const newSeriesMs = 60_000;

/**
 * Tells the engine how long each series is kept: at the start, whenever people change rules or tags, for new series within
 * a minute, and again when the store was opened anew. Resolves when it has answered for the first time: from then on a reading
 * that would come among deleted ones is known for one. What goes later, or may come again, the engine tells by itself.
 */
export function followRetention(
  { clock, log, stops }: Pick<Surroundings, 'clock' | 'log' | 'stops'>,
  {
    catalog,
    memory: { engine, retention },
    stream,
  }: {
    readonly catalog: Pick<Catalog, 'subscribe'>;
    readonly memory: Pick<Memory, 'engine' | 'retention'>;
    readonly stream: Pick<Stream, 'onReopened'>;
  },
): Promise<void> {
  let timer: Timer | undefined;
  let stopped = false;
  let told = false;
  let tellings = 0;
  let latest: Promise<void> | undefined;
  const unsubscribe = catalog.subscribe((snapshot, previous, change) => {
    const rulesChanged = snapshot.retention !== previous.retention;
    const now = clock.now();
    if (rulesChanged) retention.setRules(snapshot.retention, now);
    if (rulesChanged || retention.registrationsChanged(change.registrations, now)) void tell();
  });
  engine.onGone((changes) => retention.changeGone(changes));
  stream.onReopened(tell);
  stops.push('retention', () => {
    stopped = true;
    unsubscribe();
    timer?.cancel();
  });
  lookLater();
  return tell();

  function tell(): Promise<void> {
    latest = tellNow(++tellings);
    return latest;
  }

  async function tellNow(telling: number): Promise<void> {
    told = true;
    try {
      const goneBefore = await engine.retain(retention.plan());
      // While a later plan is on its way, more may go by this one: then its answer is what is waited for.
      if (telling === tellings) retention.setGone(goneBefore);
      else await latest;
    } catch (error) {
      if (stopped) return;
      told = false;
      log.warn({ error: messageOf(error) }, 'the storage engine was not told how long series are kept; it will be');
    }
  }

  function lookLater(): void {
    timer = clock.after(newSeriesMs, () => {
      if (!told || retention.hasNewSeries) void tell();
      lookLater();
    });
  }
}
