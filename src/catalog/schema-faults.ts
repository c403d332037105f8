import { z } from 'zod';
import type { Fault } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { FileFaults } from './catalog-error.ts';
import type { JsonText } from './json-text.ts';
import { JsonTextError, pointerOf, readJsonText } from './json-text.ts';

/**
 * Reads a JSON text against a schema of version 1 and what a schema cannot see (`inspect`). Throws `FileFaults` with every
 * fault at once and the place of each. A newer version is refused in a sentence of its own.
 */
export function readVersioned<T>(text: string, schema: z.ZodType<T>, inspect: (value: T) => readonly Fault[]): T {
  const json = readOrExplain(text);
  refuseNewer(json);
  const result = schema.safeParse(json.value);
  const faults = result.success
    ? inspect(result.data)
    : result.error.issues.flatMap((issue) => issueFaults(issue, schema));
  if (faults.length > 0 || !result.success) {
    throw new FileFaults(faults.map((fault) => ({ ...fault, place: json.placeOf(fault.pointer) })));
  }
  return result.data;
}

function readOrExplain(text: string): JsonText {
  try {
    return readJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new FileFaults([{ pointer: '', code: 'payload_not_json', detail: error.message, place: error.place }]);
  }
}

function refuseNewer(json: JsonText): void {
  const { value } = json;
  if (typeof value !== 'object' || value === null || !('version' in value)) return;
  const { version } = value;
  if (typeof version !== 'number' || version <= 1) return;
  const detail = `it has version ${version}, so a newer Pulsegate wrote it; this one reads version 1. Run the newer one, or restore the copy from before the upgrade`;
  throw new FileFaults([{ pointer: '/version', code: 'validation_failed', detail, place: json.placeOf('/version') }]);
}

function issueFaults(issue: z.core.$ZodIssue, schema: z.ZodType): Fault[] {
  if (issue.code !== 'unrecognized_keys') {
    const name = issue.path.length === 0 ? 'the file' : pointerOf(issue.path);
    return [{ pointer: pointerOf(issue.path), code: 'validation_failed', detail: `${name}: ${issue.message}` }];
  }
  const known = keysAt(schema, issue.path);
  return issue.keys.map((key) => ({
    pointer: pointerOf([...issue.path, key]),
    code: 'validation_failed',
    detail: `"${key}" is not known here${suggestion(key, known)}`,
  }));
}

/** The keys that an object schema allows at a path, as far as they can be told. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  let current = schema;
  for (const part of path)
    current = typeof part === 'number' ? member(current, 'element') : unwrapped(shapeOf(current)[String(part)]);
  return Object.keys(shapeOf(current));
}

/** What a default stands around. */
function unwrapped(schema: unknown): unknown {
  return schema instanceof z.ZodDefault ? unwrapped(schema.unwrap()) : schema;
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> {
  const shape = member(schema, 'shape');
  return typeof shape === 'object' && shape !== null ? { ...shape } : {};
}

function member(schema: unknown, name: string): unknown {
  return typeof schema === 'object' && schema !== null ? Reflect.get(schema, name) : undefined;
}

/** ` (did you mean "x"?)`, or the known names when nothing is near. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  if (near !== null) return `; did you mean "${near}"?`;
  return known.length > 0 ? `; known are ${known.join(', ')}` : '';
}
