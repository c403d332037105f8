import { z } from 'zod';
import {
  Approval,
  ApprovalRequest,
  Approved,
  type Device,
  DeviceCreated,
  DeviceDetail,
  type DeviceDraft,
  DeviceDrafts,
  DeviceLatest,
  DeviceList,
  type DeviceMetric,
  DevicePatch,
  DevicesCreated,
  DeviceState,
  Device as DeviceSchema,
  type LatestValue,
} from '../contract/device.ts';
import { spanText } from '../contract/profile.ts';
import type { DeviceRecord } from '../domain/device.ts';
import { compileGlob, isGlob } from '../domain/glob.ts';
import type { Registration } from '../domain/registration.ts';
import type { Series } from '../domain/series.ts';
import { deletionsOf, wholeTime } from './delete-readings.ts';
import { formatTime } from './moment.ts';
import { compareText } from './page.ts';
import { readPage, writePage } from './page-token.ts';
import { flag, limit, listMax, noParameters, page, pattern } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';
import { addFault } from './validation.ts';

export const deviceParams = z.object({ id: z.string().meta({ description: 'Device id', example: 'wearable-01' }) });

/** A device as people and machines know it: at least one of them does. */
export interface KnownDevice {
  readonly device: string;
  readonly record: DeviceRecord | undefined;
  readonly registration: Registration | undefined;
}

/** Throws 404 for a device that was neither registered nor ever heard of. */
export function deviceOf(ports: ApiPorts, id: string): KnownDevice {
  const record = ports.devices.get(id);
  const registration = ports.decisions.snapshot().registrations.get(id);
  if (record || registration) return { device: id, record, registration };
  throw notFound(
    `no device "${id.slice(0, 64)}" was ever registered or heard of; GET /api/v1/devices lists those that were`,
  );
}

/** The device's id, if it is known, or forgotten and its readings are still there. Throws 404. */
export function deviceWithReadings(ports: ApiPorts, id: string): string {
  const [current] = ports.latest.device(id);
  return current?.device ?? deviceOf(ports, id).device;
}

export function metricsOf(ports: ApiPorts, device: string): string[] {
  return Array.from(ports.latest.device(device), (current) => current.metric).sort(compareText);
}

const tag = z
  .string()
  .transform((text, context) => {
    const at = text.indexOf(':');
    if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) };
    addFault(context, 'parameter_invalid', 'a tag is asked for as key:value, for example tag=room:lab');
    return z.NEVER;
  })
  .optional()
  .meta({ description: 'Only devices with this tag, `key:value`', override: { type: 'string', example: 'room:lab' } });

export function deviceRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/devices',
    id: 'listDevices',
    tag: 'devices',
    summary: 'Every device that was registered or heard of, by id',
    description: '`approval=pending` is the queue of devices that wait for a person.',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      state: DeviceState.optional(),
      tag,
      profile: z.string().optional().meta({ description: 'Only devices of this profile' }),
      approval: Approval.optional().meta({ description: '`pending` ones wait for a person' }),
      limit: limit(listMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'A page of devices', schema: DeviceList },
    handler({ query, filters }) {
      const after = query.page === undefined ? null : readPage(filters, query.page, z.string());
      const rows: KnownDevice[] = [];
      for (const known of everyDevice(ports, after)) {
        if (!isAsked(known)) continue;
        // One more than is shown says that there is more.
        if (rows.push(known) > query.limit) break;
      }
      const shown = rows.slice(0, query.limit);
      const last = shown.at(-1);
      return {
        items: shown.map((known) => showDevice(ports, known)),
        next: rows.length > shown.length && last ? writePage(filters, last.device) : null,
      };

      function isAsked(known: KnownDevice): boolean {
        return (
          query.device.matches(known.device) &&
          (query.state === undefined || stateOf(known) === query.state) &&
          (query.approval === undefined || approvalOf(known) === query.approval) &&
          (query.profile === undefined || profileOf(known) === query.profile) &&
          (query.tag === undefined || tagOf(known, query.tag.key) === query.tag.value)
        );
      }
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/devices',
    id: 'createDevices',
    tag: 'devices',
    summary: 'Register a device, or up to 10,000 at once',
    description:
      'Each gets a token, its password on MQTT, which is shown this once; `"token": false` leaves it out. A list is registered whole or not at all.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(DeviceDrafts),
    success: { status: 201, description: 'Registered, and the tokens work', schema: DevicesCreated },
    refusals: ['device_exists', 'validation_failed', 'conflict', 'storage_unavailable'],
    location: (made) => `${ports.basePath}/api/v1/devices${'items' in made ? '' : `/${encodeURIComponent(made.id)}`}`,
    async handler({ body, now }) {
      const drafts = Array.isArray(body) ? body : [body];
      const made = await register(drafts, now);
      return Array.isArray(body) ? { items: made } : made[0];
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/devices/{id}',
    id: 'getDevice',
    tag: 'devices',
    summary: 'One device with its metrics',
    params: deviceParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The device', schema: DeviceDetail },
    refusals: ['not_found'],
    handler({ params }) {
      const known = deviceOf(ports, params.id);
      const metrics = metricsOf(ports, known.device);
      const metricFacts: Record<string, DeviceMetric> = {};
      for (const metric of metrics) define(metricFacts, metric, factsOf(known.device, metric));
      return { ...showDevice(ports, known), metrics, metricFacts };
    },
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/devices/{id}',
    id: 'updateDevice',
    tag: 'devices',
    summary: 'Change what people decided about a device',
    description:
      'Only what is sent changes; `tags` are replaced as a whole. A device that was heard of but never registered is registered by this; one that waits for approval must be approved first.',
    params: deviceParams,
    query: noParameters,
    body: jsonBody(DevicePatch),
    success: { status: 200, description: 'The device as it is now', schema: DeviceSchema },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    async handler({ params, body }) {
      const known = deviceOf(ports, params.id);
      if (approvalOf(known) === 'pending' && body.approval === undefined) {
        throw new RequestRefused('conflict', `the device waits for approval; POST …/devices/${known.device}/approve`);
      }
      const blank = { id: known.device, name: '', tags: {}, timeZone: null, approval: 'approved' as const };
      await ports.decisions.updateRegistration(known.device, body, { ...blank, profile: profileOf(known) });
      return showDevice(ports, deviceOf(ports, params.id));
    },
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/devices/{id}',
    id: 'deleteDevice',
    tag: 'devices',
    summary: 'Forget a device',
    description:
      'Its registration, its tokens and what it told about itself are gone, and it is disconnected; commands that it has not answered are cancelled. Its readings stay, unless `readings=true`: then they go for good in the same commit, with the refused messages that it sent or that name it; backups, and copies that an upgrade left (`copies` of `GET /storage`), still have them. Where devices come by themselves, its next message makes it anew.',
    params: deviceParams,
    query: z.object({ readings: flag.describe('Whether its readings go, too') }),
    body: null,
    success: { status: 204, description: 'The device is forgotten', schema: z.void() },
    refusals: ['not_found', 'conflict', 'storage_unavailable'],
    async handler({ params, query }) {
      const device = query.readings ? deviceEverHeardOf(params.id) : deviceOf(ports, params.id).device;
      // Should the second half fail, the device is still registered and the same request finishes it.
      const tokens = [{ kind: 'revoke', device, id: null }] as const;
      // Nor must the next of this id be told to do what was asked of this one.
      const commands = ports.commands.cancelled(device);
      const forgotten = { forgottenDevices: [device], tokens, commands };
      if (query.readings) {
        const deletions = deletionsOf(seriesOf(device), wholeTime);
        await ports.erasure.erase({ ...forgotten, deletions, erasedDevices: [device] });
      } else {
        await ports.identity.commit(forgotten);
      }
      await ports.decisions.deleteRegistration(device);
    },
  });

  const approve = decision('approve', 'approved', 'Let a device in that waits for approval or was blocked');
  const block = decision('block', 'blocked', 'Turn a device away: it is disconnected, and its readings are refused');

  const approveMany = route({
    method: 'POST',
    path: '/api/v1/devices/approve',
    id: 'approveDevices',
    tag: 'devices',
    summary: 'Let several devices in, by their ids or all waiting ones that match a filter',
    params: noParameters,
    query: noParameters,
    body: jsonBody(ApprovalRequest),
    success: { status: 200, description: 'How many were approved by this', schema: Approved },
    refusals: ['not_found', 'validation_failed', 'conflict'],
    async handler({ body }) {
      const chosen = 'devices' in body ? body.devices.map((id) => deviceOf(ports, id)) : waiting(body.device);
      const waitingOnes = chosen.filter((known) => approvalOf(known) !== 'approved');
      await decide(waitingOnes, 'approved');
      return { approved: new Set(waitingOnes.map(({ device }) => device)).size };
    },
  });

  const latest = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/latest',
    id: 'getDeviceLatest',
    tag: 'latest',
    summary: 'The current values of a device',
    description: 'The current value is the reading with the greatest time, never the last arrival.',
    params: deviceParams,
    query: z.object({ metric: pattern('metric name') }),
    body: null,
    success: { status: 200, description: 'Current values by metric', schema: DeviceLatest },
    refusals: ['not_found'],
    handler({ params, query, now }) {
      const device = deviceWithReadings(ports, params.id);
      const values: Record<string, LatestValue> = {};
      const current = Array.from(ports.latest.device(device)).sort((a, b) => compareText(a.metric, b.metric));
      for (const { metric, time, value } of current) {
        if (!query.metric.matches(metric)) continue;
        const ageMs = Math.max(0, Math.trunc(now - time));
        define(values, metric, { value, time: formatTime(time), unit: ports.units.of(device, metric), ageMs });
      }
      return { device, values };
    },
  });

  return [list, create, one, update, remove, approve, block, approveMany, latest];

  /** A device that was forgotten still has readings to delete. Throws 404 for one without either. */
  function deviceEverHeardOf(id: string): string {
    return seriesOf(id).length > 0 ? id : deviceOf(ports, id).device;
  }

  function seriesOf(device: string): readonly Series[] {
    const series: Series[] = [];
    for (let id = 1; id <= ports.names.size; id++) {
      const one = ports.names.series(id);
      if (one.device === device) series.push(one);
    }
    return series;
  }

  async function register(drafts: readonly DeviceDraft[], now: number): Promise<DeviceCreated[]> {
    const registered = await ports.decisions.createRegistrations(drafts.map(({ token: _token, ...draft }) => draft));
    const issued = new Map(
      drafts.filter(({ token }) => token).map(({ id }) => [id, ports.tokens.issue(id, now)] as const),
    );
    const tokens = Array.from(issued.values(), ({ record }) => ({ kind: 'put', token: record }) as const);
    try {
      if (tokens.length > 0) await ports.identity.commit({ tokens });
    } catch (error) {
      // Nobody will see these tokens: the same request must be able to come again.
      await Promise.allSettled(registered.map(({ id }) => ports.decisions.deleteRegistration(id)));
      throw error;
    }
    return registered.map(({ id }) => ({
      ...showDevice(ports, deviceOf(ports, id)),
      token: issued.get(id)?.token ?? null,
    }));
  }

  function decision(verb: 'approve' | 'block', approval: Registration['approval'], summary: string): Route {
    return route({
      method: 'POST',
      path: `/api/v1/devices/{id}/${verb}`,
      id: `${verb}Device`,
      tag: 'devices',
      summary,
      params: deviceParams,
      query: noParameters,
      body: null,
      success: { status: 200, description: 'The device as it is now', schema: DeviceSchema },
      refusals: ['not_found', 'conflict'],
      async handler({ params }) {
        await decide([deviceOf(ports, params.id)], approval);
        return showDevice(ports, deviceOf(ports, params.id));
      },
    });
  }

  function decide(chosen: readonly KnownDevice[], approval: Registration['approval']): Promise<void> {
    return ports.decisions.decideApprovals(
      chosen.map((known) => ({ id: known.device, approval, profile: profileOf(known) })),
    );
  }

  function waiting(pattern: string): readonly KnownDevice[] {
    if (!isGlob(pattern)) {
      const detail = 'a filter on devices is made of name characters, *, ? and commas';
      throw new RequestRefused('validation_failed', detail, {
        errors: [{ pointer: '/device', code: 'validation_failed', detail }],
      });
    }
    const matches = compileGlob(pattern);
    return [...everyDevice(ports, null)].filter((known) => approvalOf(known) === 'pending' && matches(known.device));
  }

  function factsOf(device: string, metric: string): DeviceMetric {
    const said = ports.units.metric(device, metric);
    return {
      unit: ports.units.of(device, metric),
      kind: said?.kind ?? null,
      interval: spanText(said?.interval ?? null),
      min: said?.min ?? null,
      max: said?.max ?? null,
    };
  }
}

/** By id, those behind `after`: registered ones and those that came by themselves, merged. */
function* everyDevice(ports: ApiPorts, after: string | null): Generator<KnownDevice> {
  const seen = ports.devices.after(after)[Symbol.iterator]();
  let next = seen.next();
  for (const registration of ports.decisions.registrationsAfter(after)) {
    const { id } = registration;
    for (; !next.done && next.value.device < id; next = seen.next()) yield unregistered(next.value);
    if (!next.done && next.value.device === id) next = seen.next();
    yield { device: id, registration, record: ports.devices.get(id) };
  }
  for (; !next.done; next = seen.next()) yield unregistered(next.value);
}

function unregistered(record: DeviceRecord): KnownDevice {
  return { device: record.device, registration: undefined, record };
}

function stateOf({ record }: KnownDevice): DeviceState {
  return record?.status ?? 'unknown';
}

function approvalOf({ registration, record }: KnownDevice): Approval {
  return registration?.approval ?? (record?.provisioned?.needsApproval ? 'pending' : 'approved');
}

function profileOf({ registration, record }: KnownDevice): string | null {
  return registration ? registration.profile : (record?.provisioned?.profile ?? null);
}

function tagOf({ registration }: KnownDevice, key: string): string | undefined {
  return registration && Object.hasOwn(registration.tags, key) ? registration.tags[key] : undefined;
}

function showDevice(ports: ApiPorts, known: KnownDevice): Device {
  const { device, registration, record } = known;
  return {
    id: device,
    name: registration?.name ?? '',
    profile: profileOf(known),
    tags: { ...registration?.tags },
    timeZone: registration?.timeZone ?? null,
    approval: approvalOf(known),
    registered: registration !== undefined,
    state: stateOf(known),
    stateSince: timeOrNull(record?.statusAt),
    stateCause: record?.statusCause ?? null,
    firstSeen: timeOrNull(record?.firstSeen),
    lastSeen: timeOrNull(record?.lastSeen),
    attributes: { ...record?.attributes },
    clockCorrected: record?.clockCorrected ?? 0,
    metricCount: Array.from(ports.latest.device(device)).length,
  };
}

function timeOrNull(time: number | null | undefined): string | null {
  return typeof time === 'number' ? formatTime(time) : null;
}

/** Defined rather than assigned: a metric may be called like a property of every object. */
function define<T>(target: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(target, name, { value, enumerable: true });
}
