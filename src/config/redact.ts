import { type Config, secretPaths } from './schema.ts';

/** A copy that can be shown: secrets that are set print as `***`. */
export function redactConfig(config: Config): unknown {
  return redacted(config, '');
}

function redacted(tree: object, above: string): unknown {
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]: [string, unknown]) => {
      const path = above + key;
      if (secretPaths.includes(path)) return [key, value === '' ? '' : '***'];
      const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
      return [key, isSection ? redacted(value, `${path}.`) : structuredClone(value)];
    }),
  );
}
