/** What true and false mean where everybody says it in a word of its own. */
const booleanWords: Readonly<Record<string, readonly [string, string]>> = {
  door: ['closed', 'open'],
  running: ['stopped', 'running'],
  on_wrist: ['off wrist', 'on wrist'],
};

/** A boolean of a metric in words: a door is open or closed, most other things are on or off. */
export function booleanText(metric: string, value: boolean): string {
  const [whenFalse, whenTrue] = booleanWords[metric] ?? ['off', 'on'];
  return value ? whenTrue : whenFalse;
}

/**
 * A value for a cell: about four significant digits with a steady number of decimals, so that a moving number does
 * not change its width; thousands apart; words for booleans. `isFractional` is what the caller knows of the series: a
 * whole number among fractions keeps its decimals (33.0 between 32.9 and 33.1).
 */
export function valueText(value: number | boolean | string | null | undefined, isFractional = false): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-3)) return value.toExponential(2);
  if (size >= 1_000 || (Number.isInteger(value) && !isFractional)) return grouped(value, 0);
  return grouped(value, size >= 1 || size === 0 ? 1 : 3);
}

/** A whole number with thousands apart. */
export function countText(count: number): string {
  return grouped(Math.round(count), 0);
}

/** A rate: one decimal below ten, none above. */
export function rateText(perSecond: number): string {
  return grouped(perSecond, perSecond > 0 && perSecond < 9.95 ? 1 : 0);
}

/** A share of a whole: 1 is 100 %, and only 1; 0.9996 is 99.9 %. */
export function percentText(share: number): string {
  if (share >= 1) return '100%';
  return `${(Math.floor(share * 1_000) / 10).toFixed(1)}%`;
}

const formats = new Map<number, Intl.NumberFormat>();

function grouped(value: number, decimals: number): string {
  let format = formats.get(decimals);
  if (format === undefined) {
    format = new Intl.NumberFormat('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    formats.set(decimals, format);
  }
  return format.format(value).replaceAll(',', '\u202f').replace('-', '−');
}
