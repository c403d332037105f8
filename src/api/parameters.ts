import { z } from 'zod';
import { RejectedError } from '../base/errors.ts';
import { parseDuration } from '../base/duration.ts';
import { parseCursor } from '../domain/cursor.ts';
import { compileGlob, type Glob, isGlob } from '../domain/glob.ts';
import { parseMoment } from './moment.ts';
import { addFault } from './validation.ts';

/** The parameters that many routes share: how they are written, what they become, and how OpenAPI describes them. */

export const noParameters = z.object({});

/** Limits of a page: REST lists in general, and readings. */
export const listMax = 1_000;
export const readingsMax = 10_000;

export const page = z.string().optional().meta({ description: '`next` of the page before, with the same filters' });

export function limit(max: number) {
  return z
    .string()
    .default('100')
    .transform((text, context) => {
      const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
      if (count >= 1 && count <= max) return count;
      addFault(context, 'parameter_invalid', `"limit" must be a whole number from 1 to ${max}`);
      return z.NEVER;
    })
    .meta({
      description: 'Most entries on the page',
      override: { type: 'integer', minimum: 1, maximum: max, default: 100 },
    });
}

/** A filter on names; keeps the text, because some rooms compile it themselves. */
export interface Pattern {
  readonly text: string;
  readonly matches: Glob;
}

export function pattern(what: string) {
  return z
    .string()
    .default('*')
    .transform((text, context): Pattern => {
      if (isGlob(text)) return { text, matches: compileGlob(text) };
      addFault(context, 'parameter_invalid', `a filter on the ${what} is made of name characters, *, ? and commas`);
      return z.NEVER;
    })
    .meta({
      description: `Filter on the ${what}: \`*\`, \`?\` and comma lists`,
      override: { type: 'string', default: '*' },
    });
}

export function moment(description: string, preset: string) {
  return z
    .string()
    .default(preset)
    .transform((text, context) => parsed(context, () => parseMoment(text)))
    .meta({
      description: `${description}: RFC 3339, epoch milliseconds, \`now\` or relative (\`-1h\`)`,
      override: { type: 'string', default: preset },
    });
}

export const from = moment('Begin, inclusive', '-1h');
export const to = moment('End, exclusive', 'now');

export function wait(maxMs: number) {
  return z
    .string()
    .default('0s')
    .transform((text, context) =>
      parsed(context, () => {
        const waitMs = parseDuration(text);
        if (waitMs <= maxMs) return waitMs;
        throw new RejectedError('parameter_invalid', `"wait" may be at most ${maxMs / 1000}s`);
      }),
    )
    .meta({
      description: `How long to wait for the first matching commit, at most ${maxMs / 1000}s`,
      override: { type: 'string', default: '0s', example: '30s' },
    });
}

export const since = z
  .string()
  .transform((text, context) =>
    parsed(context, () => {
      parseCursor(text);
      return text;
    }),
  )
  .optional()
  .meta({ description: 'A cursor of this gateway; left away, from now on', override: { type: 'string' } });

export const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')
  .meta({ override: { type: 'boolean', enum: [true, false], default: false } });

/** For a schema's transform: the fault of a parser that throws `RejectedError`. */
export function parsed<T>(context: z.RefinementCtx, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    // Codes that answer 422 belong to bodies; a parameter is always 400.
    const code = error.code === 'time_invalid' ? 'parameter_invalid' : error.code;
    addFault(context, code, error.message);
    return z.NEVER;
  }
}
