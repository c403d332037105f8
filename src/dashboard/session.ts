import { type ReadonlySignal, signal } from '@preact/signals';
import type { ProblemError } from './rest-client.ts';

/**
 * Who looks at the page. A gateway without keys asks nobody. One with keys is asked with the key that the person gave;
 * it is kept for this tab alone (session storage), and is never part of an address.
 */
const storageKey = 'pulsegate.key';
const kept = signal<string | null>(stored());
const refusal = signal<ProblemError | null>(null);

/** The key in use; null without one. */
export const key: ReadonlySignal<string | null> = kept;

/** Why the page shows nothing but the question for a key; null while it need not ask. */
export const locked: ReadonlySignal<ProblemError | null> = refusal;

/** The gateway wants a key, or another one. */
export function lock(problem: ProblemError): void {
  keep(null);
  refusal.value = problem;
}

/** Goes on with a key that the gateway has let in. */
export function unlock(given: string): void {
  keep(given);
  refusal.value = null;
}

export function forget(): void {
  keep(null);
}

function keep(next: string | null): void {
  kept.value = next;
  try {
    if (next === null) sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, next);
  } catch {
    // A browser that keeps nothing asks again after a reload.
  }
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null;
  }
}
