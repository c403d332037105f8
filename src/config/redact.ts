import { type Config, secretPaths } from './schema.ts';

/** A copy that can be shown: secrets that are set print as `***`. */
export function redactConfig(config: Config): unknown {
  const copy: Record<string, Record<string, unknown>> = structuredClone(config);
  for (const path of secretPaths) {
    const [section, option] = path.split('.');
    if (copy[section][option] !== '') copy[section][option] = '***';
  }
  return copy;
}
