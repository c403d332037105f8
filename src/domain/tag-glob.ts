import { compileGlob } from './glob.ts';

/** A filter on the tags of a device: `key:value`, both with `*` and `?`; of several with commas between, any will do. */
export type TagGlob = (tags: Readonly<Record<string, string>>) => boolean;

/** Compiles `site:north*`. A value that holds a comma is matched by `?` in its place. */
export function compileTagGlob(pattern: string): TagGlob {
  const alternatives = partsOf(pattern).map((part) => {
    const at = part.indexOf(':');
    const key = part.slice(0, at);
    const value = compileGlob(part.slice(at + 1));
    return /[*?]/.test(key) ? { named: null, key: compileGlob(key), value } : { named: key, key: null, value };
  });
  return (tags) =>
    alternatives.some(({ named, key, value }) => {
      if (named !== null) return Object.hasOwn(tags, named) && value(tags[named]);
      return Object.keys(tags).some((name) => key(name) && value(tags[name]));
    });
}

/** Whether the pattern can be written in a filter: at least one `key:value`, the key of name characters, `*` and `?`. */
export function isTagGlob(pattern: string): boolean {
  if (pattern.length > 1024) return false;
  return pattern.split(',').every((part) => /^[A-Za-z0-9._*?-]+:\s*\S/.test(part.trim()));
}

function partsOf(pattern: string): readonly string[] {
  return pattern.split(',').map((part) => part.trim());
}
