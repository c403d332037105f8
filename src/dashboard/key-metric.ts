/** What a person would look at first, most telling first. */
const favourites: readonly string[] = [
  'heart_rate',
  'temperature',
  'vibration',
  'power',
  'spo2',
  'bearing_temperature',
  'humidity',
  'co2',
  'pressure',
];

/** The one value that stands for a device on a tile: the first favourite it has, else its first number. */
export function keyMetric(
  values: readonly { readonly metric: string; readonly value: number | boolean | string }[],
): string | null {
  const numbers = values.filter(({ value }) => typeof value === 'number').map(({ metric }) => metric);
  const names = numbers.length > 0 ? numbers : values.map(({ metric }) => metric);
  return favourites.find((metric) => names.includes(metric)) ?? names.toSorted()[0] ?? null;
}

/** Order of metrics on a page: the favourites as they are, the others by name after them. */
export function compareMetrics(a: string, b: string): number {
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function rank(metric: string): number {
  const place = favourites.indexOf(metric);
  return place === -1 ? favourites.length : place;
}
