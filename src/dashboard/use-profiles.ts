import type { Profile } from '../contract/profile.ts';
import type { List } from '../contract/rest.ts';
import { rest } from './gateway.ts';
import { useResource } from './resource.ts';

/** The profiles by id; a gateway has tens of them, so one page is all. Empty until they are known. */
export function useProfiles(): readonly Profile[] {
  const list = useResource('profiles', (signal) =>
    rest.get<List<Profile>>('api/v1/profiles', { limit: '1000' }, signal),
  );
  return list.value?.items.toSorted((a, b) => (a.id < b.id ? -1 : 1)) ?? [];
}
