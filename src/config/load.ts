import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { messageOf } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { type Config, configSchema } from './schema.ts';

/** Everything that is wrong with a configuration, each with the path of its option. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `the configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

export interface ConfigSources {
  /** A YAML file over the defaults. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Dotted paths, as flags give them: `{"http.port": "9000"}`. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

type Tree = { [key: string]: unknown };

const defaultsFile = new URL('../../config/default.yaml', import.meta.url);
const prefix = 'PULSEGATE_';
/** What the command line reads from the environment for itself: the key with which it asks a running gateway. */
const notOptions = new Set(['PULSEGATE_KEY']);

/**
 * Defaults < file < environment < flags, parsed once into a frozen, complete value. Throws `ConfigError` with all
 * faults at once: unknown options with the nearest known one, bad values with their path.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const faults: string[] = [];
  const defaults = readYaml(defaultsFile, 'config/default.yaml', faults);
  const known = leaves(defaults);
  const merged = structuredClone(defaults);
  if (sources.file !== undefined) merge(merged, readYaml(sources.file, sources.file, faults));
  for (const [path, value] of fromEnvironment(sources.env ?? {}, known, faults)) put(merged, path, value);
  for (const [path, value] of Object.entries(sources.flags ?? {})) put(merged, path, value);
  const parsed = configSchema.safeParse(merged);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) faults.push(unknownOption([...issue.path.map(String), key].join('.'), known));
      } else {
        faults.push(`${issue.path.map(String).join('.')}: ${issue.message}`);
      }
    }
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return deepFreeze(parsed.data);
}

/** The environment variable of an option: `webhooks.allowTargets` → `PULSEGATE_WEBHOOKS_ALLOW_TARGETS`. */
export function environmentName(path: string): string {
  return (
    prefix +
    path
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
      .replaceAll('.', '_')
      .toUpperCase()
  );
}

function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
  faults: string[],
): [string, unknown][] {
  const byName = new Map(known.map((path) => [environmentName(path), path]));
  byName.set('PULSEGATE_ADMIN_KEY', 'access.adminKey');
  const found: [string, unknown][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined || notOptions.has(name)) continue;
    const fileName = name.endsWith('_FILE') ? byName.get(name.slice(0, -'_FILE'.length)) : undefined;
    const path = byName.get(name);
    if (path !== undefined) found.push([path, value]);
    else if (fileName === undefined) faults.push(`${name} names no option; ${suggestion(name, [...byName.keys()])}`);
    else found.push([fileName, readSecret(name, value, faults)]);
  }
  return found;
}

function readSecret(name: string, file: string, faults: string[]): string {
  try {
    const secret = readFileSync(file, 'utf8').trim();
    // Taken for "none", it would open what it was meant to close.
    if (secret === '') faults.push(`${name}: ${file} is empty`);
    return secret;
  } catch (error) {
    faults.push(`${name}: ${messageOf(error)}`);
    return '';
  }
}

function readYaml(file: string | URL, shown: string, faults: string[]): Tree {
  try {
    const parsed: unknown = parse(readFileSync(file, 'utf8'));
    if (parsed === null || parsed === undefined) return {};
    if (isTree(parsed)) return parsed;
    faults.push(`${shown}: must be a mapping of options`);
  } catch (error) {
    faults.push(`${shown}: ${messageOf(error)}`);
  }
  return {};
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merge(into: Tree, from: Tree): void {
  for (const [key, value] of Object.entries(from)) {
    const below = own(into, key);
    if (isTree(below) && isTree(value)) merge(below, value);
    else set(into, key, value);
  }
}

function put(tree: Tree, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = tree;
  for (const key of keys) {
    const below = own(at, key);
    const next: Tree = isTree(below) ? below : {};
    set(at, key, next);
    at = next;
  }
  set(at, last, value);
}

// Also `__proto__` is an option like any other here: an unknown one, to be reported.
function own(tree: Tree, key: string): unknown {
  return Object.hasOwn(tree, key) ? tree[key] : undefined;
}

function set(tree: Tree, key: string, value: unknown): void {
  Object.defineProperty(tree, key, { value, enumerable: true, writable: true, configurable: true });
}

function leaves(tree: Tree, above = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) ? leaves(value, `${above}${key}.`) : [`${above}${key}`],
  );
}

function unknownOption(path: string, known: readonly string[]): string {
  return `${path}: there is no such option; ${suggestion(path, known)}`;
}

function suggestion(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === null ? 'config/default.yaml lists them all' : `did you mean ${meant}?`;
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null) deepFreeze(child);
  }
  return Object.freeze(value);
}
