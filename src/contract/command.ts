import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';
import type { Json as PlainJson } from '../domain/command.ts';
import { listOf, Time } from './rest.ts';

/** How long a command may wait for its answer when nobody says, ms, and at most. */
const ttlDefault = '1h';
const ttlMinMs = 1_000;
const ttlMaxMs = 7 * 86_400_000;
/** Largest `params` as JSON text, in bytes: it has to fit a packet that small devices take. */
const paramsBytesMax = 16_384;

const json: z.ZodType<PlainJson> = z.json();

export const Params = json
  .refine((params) => new TextEncoder().encode(JSON.stringify(params)).length <= paramsBytesMax, {
    error: `must be at most ${paramsBytesMax} bytes as JSON`,
  })
  .meta({ description: 'Handed to the device as it is', example: { seconds: 30 } });

const Ttl = z
  .string()
  .default(ttlDefault)
  .transform((text, context) => {
    try {
      const ttl = parseDuration(text);
      if (ttl >= ttlMinMs && ttl <= ttlMaxMs) return ttl;
      context.addIssue({ code: 'custom', message: 'must be from 1s to 7d' });
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
    return z.NEVER;
  })
  .meta({
    description: 'How long the device has to answer, from 1s to 7d',
    override: { type: 'string', default: ttlDefault, example: '5m' },
  });

/** `POST /devices/{id}/commands`. */
export const CommandDraft = z
  .strictObject({
    name: z.string().min(1).max(128).meta({ description: 'What the device is to do', example: 'restart' }),
    params: Params.default(null),
    ttl: Ttl,
  })
  .meta({ id: 'CommandDraft' });
export type CommandDraft = z.output<typeof CommandDraft>;

export const CommandState = z.enum(['queued', 'sent', 'succeeded', 'failed', 'expired', 'cancelled']).meta({
  id: 'CommandState',
  description: '`queued`: its device is away; `sent`: handed over, not answered yet; the others are final',
});

export const Command = z
  .object({
    id: z.string().meta({ example: 'cmd_4tR…' }),
    device: z.string(),
    name: z.string(),
    params: json,
    state: CommandState,
    result: json.meta({ description: 'What the device answered; null until then' }),
    createdAt: Time,
    expiresAt: Time,
    sentAt: Time.nullable().meta({ description: 'When it was handed over last' }),
    settledAt: Time.nullable().meta({ description: 'When it reached a final state' }),
  })
  .meta({ id: 'Command' });
export type Command = z.infer<typeof Command>;

export const CommandList = listOf('CommandList', Command);
export type CommandList = z.infer<typeof CommandList>;
