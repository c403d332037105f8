import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { parseRoute, type Route } from './route.ts';

const hash = signal(window.location.hash);
addEventListener('hashchange', () => {
  hash.value = window.location.hash;
});

/** Where the page is. */
export const location: ReadonlySignal<Route> = computed(() => parseRoute(hash.value));

/** Goes on without an entry in the history, for choices within a page. */
export function replaceHash(next: string): void {
  history.replaceState(null, '', next);
  hash.value = next;
}
