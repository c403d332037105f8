import type { Mapping } from '../domain/mapping.ts';
import type { Profile } from '../domain/profile.ts';
import type { Registration } from '../domain/registration.ts';
import type { RetentionRule } from '../domain/retention.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';

/** The small lists of what people decided. */
export interface DecidedLists {
  readonly rules: readonly Rule[];
  readonly webhooks: readonly Webhook[];
  readonly profiles: readonly Profile[];
  /** Looked through in this order. */
  readonly mappings: readonly Mapping[];
  /** How long series are kept; the first that matches holds. */
  readonly retention: readonly RetentionRule[];
}

/** What people decided, at one moment. Frozen; what did not change is the same object in the next snapshot. */
export interface CatalogSnapshot extends DecidedLists {
  /**
   * By device id. The one exception: this map is live and the same in every snapshot, since there may be 100,000 of them;
   * `CatalogChange.registrations` says which changed. Each registration in it is frozen.
   */
  readonly registrations: ReadonlyMap<string, Registration>;
}

/** The snapshot that follows `previous`; `previous` itself when nothing changed. */
export function nextSnapshot(previous: CatalogSnapshot, contents: DecidedLists): CatalogSnapshot {
  const rules = reused(previous.rules, contents.rules, idOf);
  const webhooks = reused(previous.webhooks, contents.webhooks, idOf);
  const profiles = reused(previous.profiles, contents.profiles, idOf);
  const mappings = reused(previous.mappings, contents.mappings, nameOf);
  const retention = reused(previous.retention, contents.retention, nameOf);
  const isSame =
    rules === previous.rules &&
    webhooks === previous.webhooks &&
    profiles === previous.profiles &&
    mappings === previous.mappings &&
    retention === previous.retention;
  return isSame ? previous : frozen({ rules, webhooks, profiles, mappings, retention }, previous.registrations);
}

export function frozen(lists: DecidedLists, registrations: ReadonlyMap<string, Registration>): CatalogSnapshot {
  const { rules, webhooks, profiles, mappings, retention } = lists;
  for (const list of [rules, webhooks, profiles, mappings, retention]) deepFreeze(list);
  return Object.freeze({ rules, webhooks, profiles, mappings, retention, registrations });
}

/** `next` with the objects of `previous` where nothing changed; `previous` itself where nothing did at all. */
function reused<T>(previous: readonly T[], next: readonly T[], keyOf: (entry: T) => string): readonly T[] {
  const known = new Map(previous.map((entry) => [keyOf(entry), entry]));
  const list = next.map((entry) => {
    const before = known.get(keyOf(entry));
    return before && JSON.stringify(before) === JSON.stringify(entry) ? before : entry;
  });
  return list.length === previous.length && list.every((entry, index) => entry === previous[index]) ? previous : list;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
}
