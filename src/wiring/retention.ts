import type { Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { RetentionBook } from '../history/retention-book.ts';
import type { Memory } from './memory.ts';
import type { Stream } from './stream.ts';
import type { Surroundings } from './surroundings.ts';

/** So long series that came since may go without their policy, ms: longer than a purge can be late, shorter than anybody notices. */
const newSeriesMs = 60_000;

/**
 * Tells the engine how long each series is kept: at the start, whenever people change rules or tags, for new series within
 * a minute, and again when the store was opened anew.
 */
export function buildRetention(
  { config, clock, log, stops }: Surroundings,
  { catalog, memory, stream }: { readonly catalog: Catalog; readonly memory: Memory; readonly stream: Stream },
): RetentionBook {
  const { keepRaw, keepMinutes, keepHours } = config.storage;
  const book = new RetentionBook({
    defaults: { raw: keepRaw, minute: keepMinutes, hour: keepHours },
    series: memory.registry,
    tagsOf: (device) => catalog.snapshot().registrations.get(device)?.tags,
  });
  book.setRules(catalog.snapshot().retention);
  let timer: Timer | undefined;
  let stopped = false;
  let told = false;

  const unsubscribe = catalog.subscribe((snapshot, previous, change) => {
    const rulesChanged = snapshot.retention !== previous.retention;
    if (rulesChanged) book.setRules(snapshot.retention);
    if (rulesChanged || book.registrationsChanged(change.registrations)) tell();
  });
  stream.onReopened(() => memory.engine.retain(book.plan()));
  stops.push('retention', () => {
    stopped = true;
    unsubscribe();
    timer?.cancel();
    return Promise.resolve();
  });
  tell();
  lookLater();
  return book;

  function tell(): void {
    told = true;
    memory.engine.retain(book.plan()).catch((error: unknown) => {
      if (stopped) return;
      told = false;
      log.warn({ error: messageOf(error) }, 'the storage engine was not told how long series are kept; it will be');
    });
  }

  function lookLater(): void {
    timer = clock.after(newSeriesMs, () => {
      if (!told || book.hasNewSeries) tell();
      lookLater();
    });
  }
}
