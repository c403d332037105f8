import { RejectedError } from '../base/errors.ts';
import type { Command } from '../domain/command.ts';
import type { DeviceStatus } from '../domain/device.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import { textBytesMax, type Value } from '../domain/reading.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from '../domain/series.ts';
import { shown } from '../domain/topic.ts';
import { decodeBare } from './bare.ts';
import {
  type Decoded,
  type DeviceMessage,
  deviceMessage,
  type Dialect,
  type DialectMessage,
  nothingDecoded,
} from './decoded.ts';
import { decodeHomieDescription, type HomieDescription } from './homie-description.ts';
import { homiePayload, homieValue } from './homie-value.ts';
import { decodeText } from './text.ts';

const namespace = 'homie/5/';

/** What `homie/5/{device}/$state` says. A device that sleeps is neither gone nor there: its status stays. */
const states: ReadonlyMap<string, DeviceStatus | null> = new Map([
  ['init', 'online'],
  ['ready', 'online'],
  ['sleeping', null],
  ['disconnected', 'offline'],
  ['lost', 'offline'],
]);

/**
 * Most devices whose description is remembered, and most properties of all of them, long texts counting as several; the
 * oldest goes first.
 */
const limits = { devicesMax: 20_000, propertiesMax: 500_000 };

type HomieTopic =
  | { readonly kind: 'state' | 'description'; readonly device: string }
  | { readonly kind: 'value'; readonly device: string; readonly metric: string }
  /** Commands, targets, alerts, logs and broadcasts, which say nothing that is kept. */
  | { readonly kind: 'other' };

/**
 * Homie 5 (homieiot.github.io): devices tell what they are on `$description`, and every property has a topic of its own.
 * A property is the metric `node.property`; its value is read by the datatype of the description, and by its looks
 * before there is one. State, name and type are attributes.
 */
export class Homie implements Dialect {
  readonly name = 'homie';
  readonly #limits: { readonly devicesMax: number; readonly propertiesMax: number };
  /** By device, the one whose description is oldest first. */
  readonly #descriptions = new Map<string, HomieDescription>();
  #properties = 0;

  constructor(bounds: Partial<typeof limits> = {}) {
    this.#limits = { ...limits, ...bounds };
  }

  claims(topic: string): boolean {
    return topic.startsWith(namespace);
  }

  decode({ topic, payload, again = false }: DialectMessage): Decoded {
    const parsed = parseHomieTopic(topic);
    // An empty payload deletes what was retained.
    if (parsed.kind === 'other' || payload.length === 0) return nothingDecoded;
    switch (parsed.kind) {
      case 'state':
        return one(stateMessage(parsed.device, payload));
      case 'description': {
        const description = decodeHomieDescription(payload);
        if (!again) this.#describe(parsed.device, description);
        return one(deviceMessage(parsed.device, { attributes: attributesOf(description) }));
      }
      default:
        return this.#value(parsed.device, parsed.metric, payload);
    }
  }

  /** Takes in a retained description. Throws `RejectedError`. */
  prime({ topic, payload }: Pick<OutgoingMessage, 'topic' | 'payload'>): void {
    const parsed = parseHomieTopic(topic);
    if (parsed.kind === 'description' && payload.length > 0) {
      this.#describe(parsed.device, decodeHomieDescription(payload));
    }
  }

  /**
   * A command to a settable property: its name is `node.property`, its parameter the value. null for a device without a
   * description. Throws `validation_failed`.
   */
  encode({ device, name, params }: Command): OutgoingMessage | null {
    const description = this.#descriptions.get(device);
    if (!description) return null;
    const property = description.properties.get(name.replace('/', '.'));
    if (!property?.settable) {
      const settable = [...description.properties].filter(([, each]) => each.settable).map(([metric]) => metric);
      const known = settable.length > 0 ? `; there is ${settable.slice(0, 10).join(', ')}` : '';
      throw new RejectedError(
        'validation_failed',
        `${device} has no settable property "${name.slice(0, 128)}"${known}`,
        {
          pointer: '/name',
        },
      );
    }
    return {
      topic: `${namespace}${device}/${property.node}/${property.id}/set`,
      payload: homiePayload(property, params),
      qos: 1,
      retain: false,
      device: null,
    };
  }

  /** The unit of a metric as the device describes it, a UCUM code; null when it does not. */
  unitOf(device: string, metric: string): string | null {
    return this.#descriptions.get(device)?.properties.get(metric)?.unit ?? null;
  }

  #value(device: string, metric: string, payload: Uint8Array): Decoded {
    const property = this.#descriptions.get(device)?.properties.get(metric);
    const value = property ? homieValue(property, payload) : decodeBare(payload);
    if (value === null) return nothingDecoded;
    const readings = [{ metric, time: null, value }];
    return one(deviceMessage(device, { readings, timePointers: [''], valuePointers: [''] }));
  }

  #describe(device: string, description: HomieDescription): void {
    this.#forget(device);
    this.#descriptions.set(device, description);
    this.#properties += weightOf(description);
    for (const oldest of this.#descriptions.keys()) {
      const isWithin =
        this.#descriptions.size <= this.#limits.devicesMax && this.#properties <= this.#limits.propertiesMax;
      if (isWithin || this.#descriptions.size === 1) return;
      this.#forget(oldest);
    }
  }

  #forget(device: string): void {
    const known = this.#descriptions.get(device);
    this.#properties -= known ? weightOf(known) : 0;
    this.#descriptions.delete(device);
  }
}

/** Its properties, and one more for every 256 characters of what it says of them and of itself. */
function weightOf({ name, type, properties }: HomieDescription): number {
  let length = (name?.length ?? 0) + (type?.length ?? 0);
  for (const { format } of properties.values()) length += format.length;
  return properties.size + (length >> 8);
}

/** Throws `topic_invalid`, `device_invalid` and `metric_invalid`. */
function parseHomieTopic(topic: string): HomieTopic {
  const [, , device = '', node, property, ...rest] = topic.split('/');
  if (device.startsWith('$')) return { kind: 'other' };
  if (!isDeviceId(device)) {
    throw new RejectedError('device_invalid', `the device id in "${shown(topic)}" must be ${deviceIdRule}`);
  }
  if (node?.startsWith('$')) {
    if (property !== undefined) return { kind: 'other' };
    if (node === '$state') return { kind: 'state', device };
    return node === '$description' ? { kind: 'description', device } : { kind: 'other' };
  }
  if (node === undefined || property === undefined || rest.length > 1) {
    throw new RejectedError('topic_invalid', `"${shown(topic)}" is no topic of Homie 5`);
  }
  if (rest[0] !== undefined) return { kind: 'other' };
  const metric = `${node}.${property}`;
  if (!isMetricName(metric)) {
    throw new RejectedError('metric_invalid', `the metric in "${shown(topic)}" must be ${metricNameRule}`);
  }
  return { kind: 'value', device, metric };
}

function stateMessage(device: string, payload: Uint8Array): DeviceMessage {
  const state = decodeText(payload);
  const status = states.get(state);
  if (status === undefined) {
    throw new RejectedError('value_invalid', `a state is one of ${[...states.keys()].join(', ')}`);
  }
  return deviceMessage(device, { status, attributes: { 'homie.state': state } });
}

function attributesOf({ name, type }: HomieDescription): Readonly<Record<string, Value>> {
  const attributes: Record<string, Value> = {};
  for (const [key, value] of [
    ['homie.name', name],
    ['homie.type', type],
  ] as const) {
    const isShort = value !== null && Buffer.byteLength(value) <= textBytesMax && value.isWellFormed();
    if (isShort) attributes[key] = value;
  }
  return attributes;
}

function one(message: DeviceMessage): Decoded {
  return { devices: [message], replies: [], requests: [] };
}
