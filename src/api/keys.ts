import { z } from 'zod';
import { Key, KeyCreated, KeyDraft, KeyList, KeyPatch } from '../contract/key.ts';
import type { KeyRecord } from '../domain/key.ts';
import { flag, limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';
import { pageOfCreated } from './rules.ts';

const params = z.object({ id: z.string().meta({ description: 'Key id: the eight characters after `pulse_`' }) });

export function keyRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/keys',
    id: 'listKeys',
    tag: 'keys',
    scope: 'admin',
    summary: 'Keys in order of creation',
    description: 'Keys themselves are never shown here.',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of keys', schema: KeyList },
    handler({ query, filters }) {
      const page = pageOfCreated(ports.keys.list(), query, filters);
      return { items: page.items.map(showKey), next: page.next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/keys',
    id: 'createKey',
    tag: 'keys',
    summary: 'Make a key',
    description:
      'The key in the answer is shown this once and kept nowhere. The first key ends open mode and must have the scope `admin`.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(KeyDraft),
    success: { status: 201, description: 'The key lets in from now on', schema: KeyCreated },
    refusals: ['validation_failed', 'conflict'],
    location: (key) => `${ports.basePath}/api/v1/keys/${key.id}`,
    async handler({ body }) {
      const { key, record } = await ports.keys.create(body);
      return { ...showKey(record), key };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/keys/{id}',
    id: 'getKey',
    tag: 'keys',
    scope: 'admin',
    summary: 'One key',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'What is kept of the key', schema: Key },
    refusals: ['not_found'],
    handler({ params }) {
      const record = ports.keys.list().find(({ id }) => id === params.id);
      if (!record) throw notFound('there is no key with this id; GET /api/v1/keys lists them');
      return showKey(record);
    },
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/keys/{id}',
    id: 'updateKey',
    tag: 'keys',
    summary: 'Change a key',
    description:
      'Only what is sent changes; `mqtt` is replaced as a whole. MQTT clients whose rights change are disconnected and come back with the new ones.',
    params,
    query: noParameters,
    body: jsonBody(KeyPatch),
    success: { status: 200, description: 'The key as it is now', schema: Key },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    handler: async ({ params, body }) => showKey(await ports.keys.update(params.id, body)),
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/keys/{id}',
    id: 'deleteKey',
    tag: 'keys',
    summary: 'Delete a key',
    description:
      'Whoever is connected with it is disconnected. The last key with the scope `admin` is refused with 409 unless `force=true`: without any key the gateway is open to its machine again.',
    params,
    query: z.object({ force: flag.meta({ description: 'Also the last key that can make others' }) }),
    body: null,
    success: { status: 204, description: 'The key is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    async handler({ params, query }) {
      await ports.keys.remove(params.id, { force: query.force });
    },
  });

  return [list, create, one, update, remove];
}

/** Field by field: the hash stays inside. */
function showKey({ id, name, scopes, mqtt, createdAt, expiresAt }: KeyRecord): Key {
  return {
    id,
    name,
    mask: `pulse_${id}_…`,
    scopes: [...scopes],
    mqtt: { publish: [...mqtt.publish], subscribe: [...mqtt.subscribe] },
    createdAt,
    expiresAt,
  };
}
