import type { Command, Json } from '../domain/command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';

/** How a device that is behind a gateway is reached. */
export interface ThingsboardGateway {
  /** The device that the gateway itself is; null when nobody knows, and whoever is subscribed gets it. */
  readonly device: string | null;
  /** What the gateway calls the device. */
  readonly name: string;
}

/**
 * A command as a ThingsBoard RPC: on `v1/devices/me/rpc/request/{number}` for the device alone, or on `v1/gateway/rpc` for
 * its gateway. ThingsBoard clients take only whole numbers for the id of a request.
 */
export function encodeThingsboardCommand(
  { device, name, params }: Pick<Command, 'device' | 'name' | 'params'>,
  number: number,
  gateway: ThingsboardGateway | null = null,
): OutgoingMessage {
  const call = { method: name, params };
  if (gateway === null) return outgoing(`v1/devices/me/rpc/request/${number}`, call, device);
  return outgoing('v1/gateway/rpc', { device: gateway.name, data: { id: number, ...call } }, gateway.device);
}

/**
 * The number under which a command goes out: 31 bits of FNV-1a over its id, so that it is the same over a restart. Two
 * open commands share a number once in a hundred million pairs or so; then the answer to one may end the other.
 */
export function thingsboardNumber(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  return hash & 0x7fffffff;
}

/** A QoS 1 message with a JSON payload. */
export function outgoing(topic: string, payload: Json, device: string | null): OutgoingMessage {
  return { topic, payload: Buffer.from(JSON.stringify(payload)), qos: 1, retain: false, device };
}
