/** UCUM codes (ucum.org) that read badly, as people write them. */
const signs: Readonly<Record<string, string>> = {
  Cel: '°C',
  '[degF]': '°F',
  '[ppm]': 'ppm',
  '/min': 'bpm',
  'W.h': 'Wh',
  '{steps}': 'steps',
  '1': '',
};

/** A unit for the eye: `Cel` is °C, `/min` on a heart is bpm and elsewhere /min. */
export function unitText(unit: string | null | undefined, metric: string): string {
  if (unit === null || unit === undefined) return '';
  if (unit === '/min' && !metric.startsWith('heart')) return '/min';
  return signs[unit] ?? unit;
}

/** A metric name for the eye: `heart_rate` is "Heart rate"; names with acronyms keep them. */
export function metricText(metric: string): string {
  const known: Readonly<Record<string, string>> = { co2: 'CO₂', spo2: 'SpO₂', hrv_rmssd: 'HRV (RMSSD)' };
  if (Object.hasOwn(known, metric)) return known[metric] ?? metric;
  const words = metric.replaceAll(/[_.:-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
