/** UCUM codes of the metrics that everybody names alike; null where the name does not tell. */
const units: Readonly<Record<string, string>> = {
  temperature: 'Cel',
  skin_temperature: 'Cel',
  bearing_temperature: 'Cel',
  humidity: '%',
  co2: '[ppm]',
  pressure: 'hPa',
  wind_speed: 'm/s',
  rain: 'mm',
  heart_rate: '/min',
  respiration_rate: '/min',
  hrv_rmssd: 'ms',
  spo2: '%',
  steps: '{steps}',
  battery: '%',
  vibration: 'mm/s',
  power: 'W',
  energy: 'W.h',
  voltage: 'V',
  current: 'A',
  frequency: 'Hz',
};

/** The unit of a metric as a UCUM code (ucum.org), or null when unknown. */
export function unitOf(metric: string): string | null {
  return Object.hasOwn(units, metric) ? units[metric] : null;
}
