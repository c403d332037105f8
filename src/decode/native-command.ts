import type { Command } from '../domain/command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';

/** A command in the native dialect: `devices/{device}/commands/{id}`, `{"id","name","params","expiresAt"}`. */
export function encodeNativeCommand({ id, device, name, params, expiresAt }: Command): OutgoingMessage {
  return {
    topic: `devices/${device}/commands/${id}`,
    payload: Buffer.from(JSON.stringify({ id, name, params, expiresAt: new Date(expiresAt).toISOString() })),
    qos: 1,
    retain: false,
    device: null,
  };
}
