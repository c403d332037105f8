/** One line of the table that `npm run bench` ends with. */
export interface Figure {
  readonly what: string;
  /** What the issue asks for; empty where nothing was asked. */
  readonly aim: string;
  readonly measured: string;
  /** Whether the aim is met; null where there is none. */
  readonly met: boolean | null;
}

/** Prints a figure and, when `run.ts` started this bench, hands it over for the table. */
export function report(figure: Figure): void {
  console.log(figureLine(figure));
  process.send?.(figure);
}

export function figureLine({ what, aim, measured, met }: Figure): string {
  const mark = met === null ? ' ' : met ? '✓' : '✗';
  return `${mark} ${what.padEnd(62)} ${measured.padEnd(28)} ${aim === '' ? '' : `aim ${aim}`}`.trimEnd();
}

export function isFigure(message: unknown): message is Figure {
  return typeof message === 'object' && message !== null && 'what' in message && 'measured' in message;
}
