import type { Timer } from '../base/clock.ts';
import type { Surroundings } from './surroundings.ts';

/** How long a credential that has run out may still be in use, ms. */
const everyMs = 5_000;

/** Credentials also run out by themselves: asks again and again whether those in use still hold. */
export function startRevalidation({ clock, stops }: Surroundings, revalidate: () => void): void {
  let timer: Timer;
  const later = (): void => {
    timer = clock.after(everyMs, () => {
      revalidate();
      later();
    });
  };
  later();
  stops.push('revalidation', () => timer.cancel());
}
