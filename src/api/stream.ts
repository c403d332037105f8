import { z } from 'zod';
import { StreamPage } from '../contract/reading.ts';
import { limit, noParameters, pattern, readingsMax, since, wait } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { type Route, route } from './route.ts';

export function streamRoutes(ports: ApiPorts): readonly Route[] {
  const poll = route({
    method: 'GET',
    path: '/api/v1/stream',
    id: 'pollStream',
    tag: 'stream',
    summary: 'What was committed after a cursor',
    description:
      'Call it again with the `cursor` of the answer and nothing is missed: readings that replaced another value are there too, identical ones are not. With `wait` the answer comes with the first matching commit, or empty at the end of the wait. A page ends after a whole commit, so it may hold more than `limit`. `gap` tells what could not be given any more.',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      metric: pattern('metric name'),
      since,
      wait: wait(ports.limits.waitMaxMs),
      limit: limit(readingsMax),
    }),
    body: null,
    success: { status: 200, description: 'What is new; also when nothing is', schema: StreamPage },
    refusals: ['cursor_invalid', 'duration_invalid'],
    async handler({ query, signal }) {
      const { cursor, readings, gap } = await ports.stream.poll({
        device: query.device.text,
        metric: query.metric.text,
        since: query.since,
        limit: query.limit,
        waitMs: query.wait,
        signal,
      });
      return {
        cursor,
        readings: [...readings],
        gap: gap && { ...gap },
      };
    },
  });
  return [poll];
}
