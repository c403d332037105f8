import { effect, type ReadonlySignal, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const storageKey = 'pulsegate.theme';
const chosen = signal<Theme>(stored());

/** What the person chose; `system` follows the browser. */
export const theme: ReadonlySignal<Theme> = chosen;

/** Counts how often the colours may have changed, for what paints by itself and must paint again. */
export const paletteVersion = signal(0);

/** Applies the choice and keeps following the browser's. */
export function startTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = chosen.value;
    paletteVersion.value = paletteVersion.peek() + 1;
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    paletteVersion.value = paletteVersion.peek() + 1;
  });
}

/** System, light, dark, and round again. Kept in this browser where it allows that. */
export function nextTheme(): void {
  chosen.value = chosen.value === 'system' ? 'light' : chosen.value === 'light' ? 'dark' : 'system';
  try {
    localStorage.setItem(storageKey, chosen.value);
  } catch {
    // A browser that keeps nothing still shows the choice until the tab closes.
  }
}

function stored(): Theme {
  try {
    const text = localStorage.getItem(storageKey);
    return text === 'light' || text === 'dark' ? text : 'system';
  } catch {
    return 'system';
  }
}
