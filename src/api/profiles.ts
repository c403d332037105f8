import { z } from 'zod';
import {
  Profile,
  ProfileBody,
  ProfileDraft,
  ProfileList,
  ProfilePatch,
  Name,
  showProfile,
} from '../contract/profile.ts';
import { noParameters, limit, listMax, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';
import { pageOfCreated } from './rules.ts';

const params = z.object({ id: z.string().meta({ description: 'Profile id' }) });

/** Only where a name is written down, not where it is looked for: then it is 404. */
const writtenParams = z.object({ id: Name.meta({ description: 'Profile id' }) });

export function profileRoutes(ports: ApiPorts): readonly Route[] {
  const { decisions } = ports;
  const list = route({
    method: 'GET',
    path: '/api/v1/profiles',
    id: 'listProfiles',
    tag: 'profiles',
    summary: 'Profiles in order of creation',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of profiles', schema: ProfileList },
    handler({ query, filters }) {
      const { items, next } = pageOfCreated(decisions.snapshot().profiles, query, filters);
      return { items: items.map(showProfile), next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/profiles',
    id: 'createProfile',
    tag: 'profiles',
    summary: 'Make a profile',
    description:
      'What devices of one make have in common: the units, kinds and plausible ranges of their metrics, how their payloads are written, how often they are heard of. Devices inherit it.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(ProfileDraft),
    success: { status: 201, description: 'The profile is kept', schema: Profile },
    refusals: ['validation_failed', 'conflict'],
    location: (profile) => `${ports.basePath}/api/v1/profiles/${profile.id}`,
    handler: async ({ body }) => showProfile(await decisions.createProfile(body)),
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/profiles/{id}',
    id: 'getProfile',
    tag: 'profiles',
    summary: 'One profile',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The profile', schema: Profile },
    refusals: ['not_found'],
    handler({ params }) {
      const profile = decisions.snapshot().profiles.find(({ id }) => id === params.id);
      if (!profile) throw notFound('there is no profile with this id; GET /api/v1/profiles lists them');
      return showProfile(profile);
    },
  });

  const replace = route({
    method: 'PUT',
    path: '/api/v1/profiles/{id}',
    id: 'putProfile',
    tag: 'profiles',
    summary: 'Make a profile, or replace all of it',
    params: writtenParams,
    query: noParameters,
    body: jsonBody(ProfileBody),
    success: { status: 200, description: 'The profile as it is now', schema: Profile },
    refusals: ['validation_failed', 'conflict'],
    handler: async ({ params, body }) => showProfile(await decisions.putProfile(params.id, body)),
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/profiles/{id}',
    id: 'updateProfile',
    tag: 'profiles',
    summary: 'Change a profile',
    description: 'Only what is sent changes; `metrics` are replaced as a whole.',
    params,
    query: noParameters,
    body: jsonBody(ProfilePatch),
    success: { status: 200, description: 'The profile as it is now', schema: Profile },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    handler: async ({ params, body }) => showProfile(await decisions.updateProfile(params.id, body)),
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/profiles/{id}',
    id: 'deleteProfile',
    tag: 'profiles',
    summary: 'Delete a profile that nothing has any more',
    params,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The profile is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    handler: ({ params }) => decisions.deleteProfile(params.id),
  });

  return [list, create, one, replace, update, remove];
}
