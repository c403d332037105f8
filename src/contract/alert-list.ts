import { z } from 'zod';
import { Alert } from './alert.ts';
import { listOf, Time } from './rest.ts';

/** `GET /alerts`. */
export const AlertList = listOf('AlertList', Alert);
export type AlertList = z.infer<typeof AlertList>;

/** `GET /alerts/{id}`: an episode with its transitions, oldest first. */
export const AlertDetail = z
  .object({
    ...Alert.shape,
    transitions: z.array(
      z.object({
        id: z.string(),
        type: z.enum(['alert.firing', 'alert.resolved']),
        sequence: z.int().meta({ description: 'Counts per rule and series' }),
        time: Time.meta({ description: 'Reading time of the cause' }),
      }),
    ),
  })
  .meta({ id: 'AlertDetail' });
export type AlertDetail = z.infer<typeof AlertDetail>;
