import { z } from 'zod';
import { ReadingsDeleted } from '../contract/deletion.ts';
import type { Deletion } from '../domain/deletion.ts';
import { compileGlob, isGlob } from '../domain/glob.ts';
import type { Series } from '../domain/series.ts';
import type { TagGlob } from '../domain/tag-glob.ts';
import type { Asker } from '../history/queries.ts';
import { cursorAt } from './ingest.ts';
import { parseMoment } from './moment.ts';
import { flag, noParameters, parsed, pattern } from './parameters.ts';
import { tag } from './readings/reading-parameters.ts';
import type { ApiPorts } from './ports.ts';
import { parameterRefused } from './problem.ts';
import { askerOf } from './readings/asker.ts';
import { type Route, route } from './route.ts';
import { addFault } from './validation.ts';

/** Before and after every time that a reading can have. */
export const wholeTime = { from: 0, to: 8_640_000_000_000_000 } as const;

/** Most series that one question to the reader may be about. */
const rangesAtOnce = 1_000;
/** Most series of one commit: everybody else's readings wait for it, and must not wait long. */
const seriesAtOnce = 500;

/** Without a default: nobody deletes of all devices for want of a parameter. */
const device = z
  .string()
  .transform((text, context) => {
    if (isGlob(text)) return { matches: compileGlob(text) };
    addFault(context, 'parameter_invalid', 'a filter on the device id is made of name characters, *, ? and commas');
    return z.NEVER;
  })
  .meta({
    description: 'Filter on the device id: `*` (all of them), `?` and comma lists',
    override: { type: 'string' },
  });

const edge = z
  .string()
  .transform((text, context) => parsed(context, () => parseMoment(text)))
  .optional();

export function deleteReadingsRoutes(ports: ApiPorts): readonly Route[] {
  const remove = route({
    method: 'DELETE',
    path: '/api/v1/readings',
    id: 'deleteReadings',
    tag: 'readings',
    summary: 'Delete readings for good',
    description:
      'Of the series that match, those in `[from, to)`, or with `all=true` every one: from chunks, sums by the minute and hour, memory and the log; the latest values follow. Up to 500 series go in one commit, more of them in several: should the last of these fail, the same request finishes it. What live clients were shown stays there until they subscribe again; backups, and copies that an upgrade left (`copies` of `GET /storage`), stay as they are. `dryRun=true` deletes nothing and says how much it would be.',
    params: noParameters,
    query: z.object({
      device,
      metric: pattern('metric name'),
      tag,
      from: edge.meta({ description: 'Begin, inclusive', override: { type: 'string', example: '2026-11-20' } }),
      to: edge.meta({ description: 'End, exclusive', override: { type: 'string', example: '2026-11-21' } }),
      all: flag,
      dryRun: flag,
    }),
    body: null,
    success: { status: 200, description: 'They are gone', schema: ReadingsDeleted },
    refusals: ['parameter_invalid', 'storage_unavailable'],
    async handler({ query, now, caller, signal }) {
      const range = query.all ? wholeRange(query) : rangeOf(query.from?.(now), query.to?.(now));
      const deletions = deletionsOf(matching(query), range);
      if (query.dryRun) {
        const readings = await estimated(deletions, askerOf(caller, signal));
        return { cursor: ports.cursor(), series: deletions.length, readings, dryRun: true };
      }
      return { ...(await erased(deletions)), dryRun: false };
    },
  });
  return [remove];

  function* matching(query: {
    readonly device: { matches(text: string): boolean };
    readonly metric: { matches(text: string): boolean };
    readonly tag?: TagGlob | undefined;
  }): Generator<Series> {
    const { registrations } = ports.decisions.snapshot();
    for (let id = 1; id <= ports.names.size; id++) {
      const series = ports.names.series(id);
      if (!query.device.matches(series.device) || !query.metric.matches(series.metric)) continue;
      if (query.tag && !query.tag(registrations.get(series.device)?.tags ?? {})) continue;
      yield series;
    }
  }

  async function erased(deletions: readonly Deletion[]): Promise<Omit<ReadingsDeleted, 'dryRun'>> {
    let cursor = ports.cursor();
    let readings: number | null = 0;
    for (let at = 0; at < deletions.length; at += seriesAtOnce) {
      const some = deletions.slice(at, at + seriesAtOnce);
      const { seq, deleted } = await ports.erasure.erase({ deletions: some });
      cursor = cursorAt(ports, seq);
      readings = deleted === null || readings === null ? null : readings + deleted.readings;
    }
    return { cursor, series: deletions.length, readings };
  }

  async function estimated(deletions: readonly Deletion[], asker: Asker): Promise<number> {
    let readings = 0;
    for (let at = 0; at < deletions.length; at += rangesAtOnce) {
      readings += (await ports.erasure.estimate(deletions.slice(at, at + rangesAtOnce), asker)).readings;
    }
    return readings;
  }
}

/** Everything of these series. */
export function deletionsOf(
  series: Iterable<Series>,
  { from, to }: { readonly from: number; readonly to: number },
): readonly Deletion[] {
  return Array.from(series, ({ id }) => ({ series: id, from, to }));
}

/** What must be said out loud: nobody deletes everything for want of a parameter. */
function rangeOf(from: number | undefined, to: number | undefined): { readonly from: number; readonly to: number } {
  if (from === undefined) throw parameterRefused('from', 'say what to delete: "from" and "to", or all=true');
  if (to === undefined)
    throw parameterRefused('to', 'say until when: "to" (exclusive), "now" for example, or all=true');
  if (from >= to) throw parameterRefused('from', '"from" must be before "to"');
  return { from, to };
}

function wholeRange(query: { readonly from?: unknown; readonly to?: unknown }): typeof wholeTime {
  for (const name of ['from', 'to'] as const) {
    if (query[name] !== undefined) throw parameterRefused(name, `all=true stands for all times; leave "${name}" out`);
  }
  return wholeTime;
}
