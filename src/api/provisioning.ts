import { z } from 'zod';
import {
  ProvisionAnswer,
  ProvisioningKey,
  ProvisioningKeyCreated,
  ProvisioningKeyDraft,
  ProvisioningKeyList,
  ProvisioningKeyPatch,
  ProvisionRequest,
} from '../contract/provisioning.ts';
import type { ProvisioningKey as KeptKey } from '../domain/registration.ts';
import { formatTime } from './moment.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';
import { pageOfCreated } from './rules.ts';

const params = z.object({ id: z.string().meta({ description: 'Id of the provisioning key' }) });

export function provisioningRoutes(ports: ApiPorts): readonly Route[] {
  const { decisions, provisioning } = ports;

  const provision = route({
    method: 'POST',
    path: '/api/v1/provision',
    id: 'provisionDevice',
    tag: 'provisioning',
    summary: 'A device asks for a token of its own',
    description:
      'With a provisioning key as bearer token: `Authorization: Bearer pulseprov_…`. The token is shown this once. A device that exists otherwise, or has a token, is refused: a person can give it a new one.',
    // The provisioning key is the credential, and it opens nothing else.
    isPublic: true,
    judge: (authorization) => void keyPresented(authorization),
    params: noParameters,
    query: noParameters,
    body: jsonBody(ProvisionRequest),
    success: { status: 201, description: 'The device and its token', schema: ProvisionAnswer },
    refusals: [
      'unauthorized',
      'device_invalid',
      'device_exists',
      'device_blocked',
      'device_limit',
      'storage_unavailable',
    ],
    async handler({ body, authorization }) {
      const key = keyPresented(authorization);
      const { token, approval } = await provisioning.provision({ device: body.device, key: key.id });
      return { device: body.device, token, approval };
    },
  });

  const list = route({
    method: 'GET',
    path: '/api/v1/provisioning-keys',
    id: 'listProvisioningKeys',
    tag: 'provisioning',
    summary: 'Provisioning keys in order of creation, without what is secret of them',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of provisioning keys', schema: ProvisioningKeyList },
    handler({ query, filters }) {
      const { items, next } = pageOfCreated(decisions.provisioningKeys(), query, filters);
      return { items: items.map(showKey), next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/provisioning-keys',
    id: 'createProvisioningKey',
    tag: 'provisioning',
    summary: 'Make a provisioning key for the devices of a profile',
    description: 'The key is shown this once. It goes into the firmware of many devices, and can only ask for tokens.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(ProvisioningKeyDraft),
    success: { status: 201, description: 'The key', schema: ProvisioningKeyCreated },
    refusals: ['validation_failed', 'conflict'],
    location: (made) => `${ports.basePath}/api/v1/provisioning-keys/${made.id}`,
    async handler({ body, now }) {
      checkProfile(body.profile);
      const { key, record } = provisioning.newKey({ ...body, createdAt: formatTime(now) });
      await decisions.addProvisioningKey(record);
      return { ...showKey(record), key };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/provisioning-keys/{id}',
    id: 'getProvisioningKey',
    tag: 'provisioning',
    summary: 'One provisioning key',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The key, without what is secret of it', schema: ProvisioningKey },
    refusals: ['not_found'],
    handler: ({ params }) => showKey(keyOf(params.id)),
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/provisioning-keys/{id}',
    id: 'updateProvisioningKey',
    tag: 'provisioning',
    summary: 'Change what a provisioning key may',
    description: 'Devices that it made stay as they are.',
    params,
    query: noParameters,
    body: jsonBody(ProvisioningKeyPatch),
    success: { status: 200, description: 'The key as it is now', schema: ProvisioningKey },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    async handler({ params, body }) {
      if (body.profile !== undefined) checkProfile(body.profile);
      return showKey(await decisions.updateProvisioningKey(keyOf(params.id).id, body));
    },
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/provisioning-keys/{id}',
    id: 'deleteProvisioningKey',
    tag: 'provisioning',
    summary: 'Delete a provisioning key; devices that it made stay as they are',
    params,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The key is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    handler: ({ params }) => decisions.removeProvisioningKey(keyOf(params.id).id),
  });

  return [provision, list, create, one, update, remove];

  function keyPresented(authorization: string | undefined): { readonly id: string } {
    const [, presented = ''] = /^Bearer (pulseprov_\S+)$/i.exec(authorization ?? '') ?? [];
    const key = presented === '' ? null : provisioning.verify(presented);
    if (key) return key;
    throw new RequestRefused('unauthorized', 'send "Authorization: Bearer pulseprov_…" with a key that still holds', {
      headers: { 'www-authenticate': 'Bearer realm="pulsegate provisioning"' },
    });
  }

  function keyOf(id: string): KeptKey {
    const key = decisions.provisioningKeys().find((key) => key.id === id);
    if (!key) throw notFound('there is no provisioning key with this id; GET /api/v1/provisioning-keys lists them');
    return key;
  }

  function checkProfile(profile: string): void {
    if (decisions.snapshot().profiles.some(({ id }) => id === profile)) return;
    const detail = `there is no profile "${profile}"; POST /api/v1/profiles makes one`;
    throw new RequestRefused('validation_failed', detail, {
      errors: [{ pointer: '/profile', code: 'validation_failed', detail }],
    });
  }

  function showKey({ id, name, profile, approval, devicesMax, createdAt, expiresAt }: KeptKey) {
    return { id, name, profile, approval, devicesMax, devices: provisioning.madeBy(id), createdAt, expiresAt };
  }
}
