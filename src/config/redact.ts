import { type Config, secretPaths } from './schema.ts';

/** A copy that can be shown: secrets that are set print as `***`, passwords in URLs too. */
export function redactConfig(config: Config): unknown {
  return redacted(config, '');
}

function redacted(tree: object, above: string): unknown {
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]: [string, unknown]) => {
      const path = above + key;
      if (secretPaths.includes(path)) return [key, value === '' ? '' : '***'];
      if (typeof value === 'string') return [key, withoutPassword(value)];
      const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
      return [key, isSection ? redacted(value, `${path}.`) : structuredClone(value)];
    }),
  );
}

function withoutPassword(text: string): string {
  const url = URL.parse(text);
  if (!url || url.password === '') return text;
  url.password = '***';
  return url.href;
}
