import type { z } from 'zod';
import type { ErrorCode } from '../contract/error-codes.ts';
import { isErrorCode } from '../contract/error-codes.ts';
import type { ProblemFault } from '../contract/rest.ts';
import { nearest } from '../base/nearest.ts';
import { RequestRefused } from './problem.ts';

/**
 * Parses query or path parameters. Refuses with 400 (`parameter_invalid`, or the code of the only fault) what is
 * unknown, given twice or malformed, every fault at once; an unknown name is told the nearest known one.
 */
export function parseParameters<T extends z.ZodObject>(schema: T, given: URLSearchParams): z.output<T> {
  const names = Object.keys(schema.shape);
  const faults: ProblemFault[] = [];
  const values = new Map<string, string>();
  for (const [name, value] of given) {
    if (!names.includes(name)) faults.push(unknownParameter(name, names));
    else if (values.has(name)) faults.push(parameterFault(name, `"${name}" is given twice`));
    else values.set(name, value);
  }
  const result = schema.safeParse(Object.fromEntries(values));
  if (!result.success) {
    for (const issue of result.error.issues) {
      const name = String(issue.path[0] ?? '');
      faults.push({
        parameter: name,
        code: codeOf(issue) ?? 'parameter_invalid',
        detail: parameterDetail(name, issue),
      });
    }
  }
  if (faults.length > 0 || !result.success) throw refusal(faults, 'parameter_invalid');
  return result.data;
}

/** Parses a JSON body. Refuses with 422 (`validation_failed`), every fault at once with its pointer. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new RequestRefused('validation_failed', 'the body does not have the required shape; `errors` says where', {
    errors: result.error.issues.flatMap((issue) => bodyFaults(issue, schema)),
  });
}

/** For a schema's transform: adds a fault that carries a code of the registry. */
export function addFault(context: z.RefinementCtx, code: string, detail: string): void {
  context.addIssue({ code: 'custom', params: { code }, message: detail });
}

/** RFC 6901. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function bodyFaults(issue: z.core.$ZodIssue, schema: z.ZodType): ProblemFault[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => ({
      pointer: pointerOf([...issue.path, key]),
      code: 'validation_failed',
      detail: `"${key}" is not known here${meant(key, known)}`,
    }));
  }
  return [{ pointer: pointerOf(issue.path), code: codeOf(issue) ?? 'validation_failed', detail: issue.message }];
}

/** The keys of the object at `path` inside the schema, as far as they can be told. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let current: unknown = schema;
  for (const key of path) current = shapeOf(current)?.[String(key)];
  return Object.keys(shapeOf(current) ?? {});
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof schema !== 'object' || schema === null) return null;
  if ('shape' in schema && typeof schema.shape === 'object') return { ...schema.shape };
  // Optional and defaulted schemas wrap the one that has the shape.
  return 'unwrap' in schema && typeof schema.unwrap === 'function' ? shapeOf(schema.unwrap()) : null;
}

function refusal(faults: readonly ProblemFault[], code: ErrorCode): RequestRefused {
  const [first] = faults;
  if (faults.length > 1) return new RequestRefused(code, 'several parameters are invalid', { errors: faults });
  const own = first && isErrorCode(first.code) ? first.code : code;
  return new RequestRefused(own, first?.detail ?? 'a parameter is invalid', { errors: faults });
}

function unknownParameter(name: string, names: readonly string[]): ProblemFault {
  const known = names.length === 0 ? '; this address takes none' : `; known are ${names.join(', ')}`;
  return parameterFault(name, `"${name}" is not a parameter here${meant(name, names) || known}`);
}

function meant(word: string, candidates: readonly string[]): string {
  const guess = nearest(word, candidates);
  return guess === null ? '' : `; did you mean "${guess}"?`;
}

function parameterFault(name: string, detail: string): ProblemFault {
  return { parameter: name, code: 'parameter_invalid', detail };
}

function parameterDetail(name: string, issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `"${name}" is required`;
  return issue.code === 'custom' ? issue.message : `"${name}": ${issue.message}`;
}

function codeOf(issue: z.core.$ZodIssue): string | null {
  const code: unknown = issue.code === 'custom' ? issue.params?.code : undefined;
  return typeof code === 'string' ? code : null;
}
