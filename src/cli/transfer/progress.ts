import type { Clock } from '../../base/clock.ts';

export interface ProgressParts {
  /** Where the bar is drawn; nothing is drawn where nobody looks. */
  readonly out: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
  readonly clock: Clock;
  /** What is counted, for example "readings". */
  readonly noun: string;
}

/** How far a long command is. */
export interface Standing {
  /** Readings so far. */
  readonly count: number;
  /** 0 … 1; null when nobody knows. */
  readonly share: number | null;
}

const drawnEveryMs = 100;
/** How far back the speed looks. */
const speedWindowMs = 5_000;
const barCells = 24;

/** A line at the terminal that says how far a long command is, how fast it goes and what is left. */
export class Progress {
  readonly #parts: ProgressParts;
  readonly #began: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  /** Counts of the last seconds, oldest first. */
  #past: { readonly at: number; readonly count: number }[];
  #isDrawn = false;
  #note = '';
  #standing: Standing = { count: 0, share: null };

  constructor(parts: ProgressParts) {
    this.#parts = parts;
    this.#began = parts.clock.monotonic();
    this.#past = [{ at: this.#began, count: 0 }];
  }

  /** What stands behind the numbers until the next note, for example that it waits; drawn at once. */
  note(text: string): void {
    const [line] = text.split('\n', 1);
    if (line === this.#note) return;
    this.#note = line;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    this.update(this.#standing);
  }

  /** Cheap enough to be called for every piece of work. */
  update(standing: Standing): void {
    this.#standing = standing;
    if (this.#parts.out.isTTY !== true) return;
    const now = this.#parts.clock.monotonic();
    if (now - this.#drawnAt < drawnEveryMs) return;
    this.#drawnAt = now;
    this.#past.push({ at: now, count: standing.count });
    while (this.#past.length > 2 && now - this.#past[1].at >= speedWindowMs) this.#past.shift();
    const line = this.#line(standing, now).slice(0, Math.max((this.#parts.out.columns ?? 80) - 1, 20));
    this.#parts.out.write(`\r${line}\u001b[K`);
    this.#isDrawn = true;
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isDrawn) this.#parts.out.write('\r\u001b[K');
    this.#isDrawn = false;
  }

  /** Milliseconds since it was made. */
  get elapsed(): number {
    return this.#parts.clock.monotonic() - this.#began;
  }

  #line({ count, share }: Standing, now: number): string {
    const [oldest] = this.#past;
    const perSecond = now > oldest.at ? ((count - oldest.count) * 1_000) / (now - oldest.at) : 0;
    const parts: string[] = [];
    if (share !== null) parts.push(barOf(share));
    parts.push(`${countText(count)} ${this.#parts.noun}`, `${countText(Math.round(perSecond))}/s`);
    if (share !== null && share > 0.001 && share < 1) {
      parts.push(`${spanText((this.elapsed / share) * (1 - share))} left`);
    }
    if (this.#note !== '') parts.push(this.#note);
    return parts.join('  ');
  }
}

function barOf(share: number): string {
  const bounded = Math.min(Math.max(share, 0), 1);
  const full = Math.floor(bounded * barCells);
  return `${String(Math.floor(bounded * 100)).padStart(3)} % ${'█'.repeat(full)}${'░'.repeat(barCells - full)}`;
}

/** `1,234,567`. */
export function countText(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `4 s`, `2 min 5 s`, `1 h 20 min`. */
export function spanText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
