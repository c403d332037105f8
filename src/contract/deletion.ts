import { z } from 'zod';
import { CursorText } from './rest.ts';

/** `DELETE /readings`: what was deleted, or would be. */
export const ReadingsDeleted = z
  .object({
    cursor: CursorText.meta({ description: 'The commit with which the last of them went; of a dry run, the newest' }),
    series: z.int().meta({ description: 'Series that match' }),
    readings: z.int().nullable().meta({
      description:
        'Readings that went; of a dry run, about how many would. Null where storage had to be opened anew meanwhile, and only says that it is done',
    }),
    dryRun: z.boolean(),
  })
  .meta({ id: 'ReadingsDeleted' });
export type ReadingsDeleted = z.infer<typeof ReadingsDeleted>;
