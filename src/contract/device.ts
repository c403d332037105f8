import { z } from 'zod';
import { CursorText, listOf, Next, Time, Unit, Value } from './rest.ts';

export const DeviceState = z.enum(['online', 'offline', 'unknown']).meta({
  id: 'DeviceState',
  description: 'From the status topic and the last will; unknown until the device said either',
});
export type DeviceState = z.infer<typeof DeviceState>;

const deviceFields = {
  id: z.string().meta({ example: 'wearable-01' }),
  state: DeviceState,
  stateSince: Time.nullable().meta({ description: 'When the state was last told' }),
  firstSeen: Time,
  lastSeen: Time.meta({ description: 'Receipt of the newest message' }),
  attributes: z.record(z.string(), Value).meta({ description: 'Facts about the device: firmware, model' }),
  clockCorrected: z.int().meta({ description: 'Messages whose time was ahead and was shifted to the time of receipt' }),
  metricCount: z.int(),
};

export const Device = z.object(deviceFields).meta({ id: 'Device' });
export type Device = z.infer<typeof Device>;

export const DeviceList = listOf('DeviceList', Device);
export type DeviceList = z.infer<typeof DeviceList>;

/** `GET /devices/{id}`: the device with the names of its metrics. */
export const DeviceDetail = z
  .object({ ...deviceFields, metrics: z.array(z.string()).meta({ description: 'In alphabetical order' }) })
  .meta({ id: 'DeviceDetail' });
export type DeviceDetail = z.infer<typeof DeviceDetail>;

export const LatestValue = z
  .object({
    value: Value,
    time: Time,
    unit: Unit,
    ageMs: z.int().meta({ description: 'Milliseconds from `time` to now; never below 0' }),
  })
  .meta({ id: 'LatestValue' });
export type LatestValue = z.infer<typeof LatestValue>;

/** `GET /devices/{id}/latest`: current values by metric. */
export const DeviceLatest = z
  .object({ device: z.string(), values: z.record(z.string(), LatestValue) })
  .meta({ id: 'DeviceLatest' });
export type DeviceLatest = z.infer<typeof DeviceLatest>;

export const FleetValue = z
  .object({ device: z.string(), metric: z.string(), time: Time, value: Value, unit: Unit })
  .meta({ id: 'FleetValue' });
export type FleetValue = z.infer<typeof FleetValue>;

/** `GET /latest`: current values across the fleet; `cursor` is where to go on from with stream or WebSocket. */
export const FleetLatest = z
  .object({ cursor: CursorText, items: z.array(FleetValue), next: Next })
  .meta({ id: 'FleetLatest' });
export type FleetLatest = z.infer<typeof FleetLatest>;
