import { StorageState } from '../contract/storage.ts';
import { noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { type Route, route } from './route.ts';

export function storageRoutes(ports: ApiPorts): readonly Route[] {
  const state = route({
    method: 'GET',
    path: '/api/v1/storage',
    id: 'getStorage',
    tag: 'operations',
    summary: 'What the store holds, how fast it grows, and until when there is room',
    description: 'Growth is watched while the gateway runs, over up to a day; it is null for the first ten minutes.',
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The store as it is now', schema: StorageState },
    refusals: ['storage_unavailable'],
    handler: () => ports.storage(),
  });
  return [state];
}
