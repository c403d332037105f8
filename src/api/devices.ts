import { z } from 'zod';
import {
  type Device,
  DeviceDetail,
  DeviceLatest,
  DeviceList,
  DeviceState,
  type LatestValue,
} from '../contract/device.ts';
import type { DeviceRecord } from '../domain/device.ts';
import { unitOf } from '../domain/unit.ts';
import { formatTime } from './moment.ts';
import { compareText, firstOf } from './page.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page, pattern } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { type Route, route } from './route.ts';

export const deviceParams = z.object({ id: z.string().meta({ description: 'Device id', example: 'wearable-01' }) });

/** Throws 404 for a device that was never heard of. */
export function deviceOf(ports: ApiPorts, id: string): DeviceRecord {
  const record = ports.devices.get(id);
  if (!record) throw notFound(`no device "${id.slice(0, 64)}" was ever heard of; GET /api/v1/devices lists them`);
  return record;
}

export function metricsOf(ports: ApiPorts, device: string): string[] {
  return Array.from(ports.latest.device(device), (current) => current.metric).sort(compareText);
}

export function deviceRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/devices',
    id: 'listDevices',
    tag: 'devices',
    summary: 'Every device that was ever heard of, by id',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      state: DeviceState.optional(),
      limit: limit(listMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'A page of devices', schema: DeviceList },
    handler({ query, filters }) {
      const after = query.page === undefined ? null : readPage(filters, query.page, z.string());
      const { rows, more } = firstOf(matching(after), query.limit, (a, b) => compareText(a.device, b.device));
      const last = rows.at(-1);
      return {
        items: rows.map((record) => showDevice(record, metricsOf(ports, record.device).length)),
        next: more && last ? writePage(filters, last.device) : null,
      };

      function* matching(after: string | null): Generator<DeviceRecord> {
        for (const record of ports.devices.list()) {
          if (after !== null && record.device <= after) continue;
          if (!query.device.matches(record.device)) continue;
          if (query.state === undefined || stateOf(record) === query.state) yield record;
        }
      }
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/devices/{id}',
    id: 'getDevice',
    tag: 'devices',
    summary: 'One device with the names of its metrics',
    params: deviceParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The device', schema: DeviceDetail },
    refusals: ['not_found'],
    handler({ params }) {
      const record = deviceOf(ports, params.id);
      const metrics = metricsOf(ports, record.device);
      return { ...showDevice(record, metrics.length), metrics };
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
      const { device } = deviceOf(ports, params.id);
      const values: Record<string, LatestValue> = {};
      const current = Array.from(ports.latest.device(device)).sort((a, b) => compareText(a.metric, b.metric));
      for (const { metric, time, value } of current) {
        if (!query.metric.matches(metric)) continue;
        const ageMs = Math.max(0, Math.trunc(now - time));
        // Defined rather than assigned: a metric may be called "__proto__".
        Object.defineProperty(values, metric, {
          value: { value, time: formatTime(time), unit: unitOf(metric), ageMs },
          enumerable: true,
        });
      }
      return { device, values };
    },
  });

  return [list, one, latest];
}

function stateOf(record: DeviceRecord): DeviceState {
  return record.status ?? 'unknown';
}

function showDevice(record: DeviceRecord, metricCount: number): Device {
  return {
    id: record.device,
    state: stateOf(record),
    stateSince: record.statusAt === null ? null : formatTime(record.statusAt),
    firstSeen: formatTime(record.firstSeen),
    lastSeen: formatTime(record.lastSeen),
    attributes: { ...record.attributes },
    clockCorrected: record.clockCorrected,
    metricCount,
  };
}
