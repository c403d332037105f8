import { z } from 'zod';
import { DeviceToken, DeviceTokenCreated, DeviceTokenList, Rotation } from '../contract/device.ts';
import type { DeviceToken as KeptToken, TokenChange } from '../domain/device-token.ts';
import { deviceOf, deviceParams } from './devices.ts';
import { formatTime } from './moment.ts';
import { noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';

/** Tokens of one device that may be there at once, overlaps included. */
const tokensMax = 16;

export function deviceTokenRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/tokens',
    id: 'listDeviceTokens',
    tag: 'devices',
    summary: 'The tokens of a device, oldest first, without what is secret of them',
    params: deviceParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'Every token of the device', schema: DeviceTokenList },
    refusals: ['not_found'],
    handler({ params, now }) {
      const { device } = deviceOf(ports, params.id);
      return { items: current(device, now).map(showToken), next: null };
    },
  });

  const rotate = route({
    method: 'POST',
    path: '/api/v1/devices/{id}/tokens',
    id: 'rotateDeviceToken',
    tag: 'devices',
    summary: 'Give a device a new token',
    description:
      'The token is shown this once. The older ones end at once, and their connections with them; with `overlap` they work for that long, so that the device can be told the new one.',
    params: deviceParams,
    query: noParameters,
    body: jsonBody(Rotation),
    success: { status: 201, description: 'The new token', schema: DeviceTokenCreated },
    refusals: ['not_found', 'conflict', 'validation_failed', 'storage_unavailable'],
    async handler({ params, body, now }) {
      const { device } = deviceOf(ports, params.id);
      const until = body.overlap === undefined ? null : now + body.overlap;
      if (until !== null && current(device, now).length >= tokensMax) {
        throw new RequestRefused('conflict', `the device has ${tokensMax} tokens already; rotate without "overlap"`);
      }
      const { token, record } = ports.tokens.issue(device, now);
      const before = ports.tokens.ofDevice(device).map((old) => ended(old, until, now));
      await ports.identity.commit({ tokens: [...before, { kind: 'put', token: record }] });
      return { ...showToken(record), token };
    },
  });

  const revoke = route({
    method: 'DELETE',
    path: '/api/v1/devices/{id}/tokens/{token}',
    id: 'revokeDeviceToken',
    tag: 'devices',
    summary: 'Revoke a token; a connection made with it ends',
    params: deviceParams.extend({ token: z.string().meta({ description: 'Id of the token' }) }),
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The token is gone', schema: z.void() },
    refusals: ['not_found', 'storage_unavailable'],
    async handler({ params }) {
      const { device } = deviceOf(ports, params.id);
      if (!ports.tokens.ofDevice(device).some(({ id }) => id === params.token)) {
        throw notFound('the device has no token with this id');
      }
      await ports.identity.commit({ tokens: [{ kind: 'revoke', device, id: params.token }] });
    },
  });

  return [list, rotate, revoke];

  function current(device: string, now: number): readonly KeptToken[] {
    return ports.tokens.ofDevice(device).filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
  }
}

/** An older token ends now, or at `until`, never later than it was to end anyway. */
function ended(token: KeptToken, until: number | null, now: number): TokenChange {
  const expiresAt = Math.min(until ?? now, token.expiresAt ?? Number.POSITIVE_INFINITY);
  if (expiresAt <= now) return { kind: 'revoke', device: token.device, id: token.id };
  return { kind: 'put', token: { ...token, expiresAt } };
}

function showToken({ id, createdAt, expiresAt }: KeptToken): z.infer<typeof DeviceToken> {
  return { id, createdAt: formatTime(createdAt), expiresAt: expiresAt === null ? null : formatTime(expiresAt) };
}
