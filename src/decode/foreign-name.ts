import { ownText } from '../base/own-text.ts';

/*
 * Names of foreign devices and metrics hold what ours do not: a blank, a slash, a percent sign. Two that differ in
 * nothing else become one. What comes out may still be too long; whoever takes it asks `isDeviceId` and `isMetricName`.
 */

/** As a metric: `/` becomes `.`, anything else that a metric name does not have `_`. */
export function foreignMetric(name: string): string {
  const fit = name.replaceAll('/', '.').replaceAll(/[^A-Za-z0-9_.:-]/g, '_');
  return /^[A-Za-z0-9_]/.test(fit) ? fit : `_${fit}`;
}

/** As a device: what a device id does not have becomes `-`. */
export function foreignDevice(name: string): string {
  return ownText(name.replaceAll(/[^A-Za-z0-9._:-]/g, '-'));
}
