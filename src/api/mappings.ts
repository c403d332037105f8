import { z } from 'zod';
import {
  Mapping,
  MappingBody,
  MappingList,
  MappingPatch,
  MappingSpec,
  MappingTrial,
  MappingTrialResult,
} from '../contract/mapping.ts';
import { Name } from '../contract/profile.ts';
import type { Mapping as KeptMapping } from '../domain/mapping.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';

const params = z.object({ name: z.string().meta({ description: 'Name of the mapping' }) });
const writtenParams = z.object({ name: Name.meta({ description: 'Name of the mapping' }) });

export function mappingRoutes(ports: ApiPorts): readonly Route[] {
  const { decisions } = ports;
  const list = route({
    method: 'GET',
    path: '/api/v1/mappings',
    id: 'listMappings',
    tag: 'mappings',
    summary: 'Mappings in the order in which they are looked through',
    description: 'Those of the configuration come after these and are not shown.',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of mappings', schema: MappingList },
    handler({ query, filters }) {
      const { mappings } = decisions.snapshot();
      const after = query.page === undefined ? null : readPage(filters, query.page, z.string());
      const from = after === null ? 0 : mappings.findIndex(({ name }) => name === after) + 1;
      const shown = mappings.slice(from, from + query.limit);
      const last = shown.at(-1);
      const next = last && from + shown.length < mappings.length ? writePage(filters, last.name) : null;
      return { items: shown.map(showMapping), next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/mappings',
    id: 'createMapping',
    tag: 'mappings',
    summary: 'Make a mapping',
    description:
      'How messages of a foreign device become readings: which topics, which part of the topic names the device, which members of the payload are metrics. It is looked through after those there are.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(MappingSpec),
    success: { status: 201, description: 'The mapping holds from now on', schema: Mapping },
    refusals: ['validation_failed', 'conflict'],
    location: (mapping) => `${ports.basePath}/api/v1/mappings/${mapping.name}`,
    handler: async ({ body }) => showMapping(await decisions.createMapping(body)),
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/mappings/{name}',
    id: 'getMapping',
    tag: 'mappings',
    summary: 'One mapping',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The mapping', schema: Mapping },
    refusals: ['not_found'],
    handler({ params }) {
      const mapping = decisions.snapshot().mappings.find(({ name }) => name === params.name);
      if (!mapping) throw notFound('there is no mapping of this name; GET /api/v1/mappings lists them');
      return showMapping(mapping);
    },
  });

  const replace = route({
    method: 'PUT',
    path: '/api/v1/mappings/{name}',
    id: 'putMapping',
    tag: 'mappings',
    summary: 'Make a mapping, or replace all of it in its place',
    params: writtenParams,
    query: noParameters,
    body: jsonBody(MappingBody),
    success: { status: 200, description: 'The mapping as it is now', schema: Mapping },
    refusals: ['validation_failed', 'conflict'],
    handler: async ({ params, body }) => showMapping(await decisions.putMapping({ name: params.name, ...body })),
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/mappings/{name}',
    id: 'updateMapping',
    tag: 'mappings',
    summary: 'Change a mapping',
    description: 'Only what is sent changes; lists are replaced as a whole.',
    params,
    query: noParameters,
    body: jsonBody(MappingPatch),
    success: { status: 200, description: 'The mapping as it is now', schema: Mapping },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    handler: async ({ params, body }) => showMapping(await decisions.updateMapping(params.name, body)),
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/mappings/{name}',
    id: 'deleteMapping',
    tag: 'mappings',
    summary: 'Delete a mapping',
    params,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The mapping is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    handler: ({ params }) => decisions.deleteMapping(params.name),
  });

  const trial = route({
    method: 'POST',
    path: '/api/v1/mappings/test',
    id: 'testMapping',
    tag: 'mappings',
    summary: 'What would a mapping make of this message?',
    description: 'Nothing is kept. A message that the mapping cannot read is refused as it would be for real.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(MappingTrial),
    success: { status: 200, description: 'The readings', schema: MappingTrialResult },
    refusals: ['validation_failed', 'mapping_mismatch', 'payload_not_json', 'payload_invalid', 'value_invalid'],
    handler({ body }) {
      const text = typeof body.payload === 'string' ? body.payload : JSON.stringify(body.payload);
      const readings = ports.tryMapping(body.mapping, body.topic, Buffer.from(text));
      return {
        readings: readings.map(({ device, metric, time, value }) => ({
          device,
          metric,
          time: time === null ? null : formatTime(time),
          value,
        })),
      };
    },
  });

  return [list, create, one, replace, update, remove, trial];
}

function showMapping(mapping: KeptMapping): z.output<typeof Mapping> {
  return {
    ...mapping,
    metrics: mapping.metrics.map((metric) => ({ ...metric, values: { ...metric.values } })),
    ignore: [...mapping.ignore],
  };
}
