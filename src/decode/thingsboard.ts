import { RejectedError } from '../base/errors.ts';
import type { Command, CommandReply } from '../domain/command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Value } from '../domain/reading.ts';
import { shown } from '../domain/topic.ts';
import { decodeAttributes } from './attributes.ts';
import { toJson } from './command-reply.ts';
import { type Decoded, type Dialect, type DialectMessage, deviceMessage, nothingDecoded } from './decoded.ts';
import { isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';
import {
  encodeThingsboardCommand,
  outgoing,
  type ThingsboardGateway,
  thingsboardNumber,
} from './thingsboard-command.ts';
import { decodeThingsboardGateway, failed } from './thingsboard-gateway.ts';
import { decodeThingsboardTelemetry } from './thingsboard-telemetry.ts';

/** What is known of a device, for the attributes that it asks back. */
export type KnownAttributes = (device: string) => Readonly<Record<string, Value>>;

/** So many devices are remembered with the way to reach them, and so many commands with their number. */
const rememberedMax = 10_000;

const mine = 'v1/devices/me/';
const ofGateway = 'v1/gateway/';

/**
 * The MQTT device and gateway APIs of ThingsBoard.
 *
 *     v1/devices/me/telemetry                 up    readings
 *     v1/devices/me/attributes                up    facts about the device
 *     v1/devices/me/attributes/request/{n}    up    answered on …/attributes/response/{n}
 *     v1/devices/me/rpc/request/{n}           down  a command          up  refused on …/rpc/response/{n}: we serve no calls
 *     v1/devices/me/rpc/response/{n}          up    the answer to a command; {"error":…} is a failure
 *     v1/gateway/telemetry, attributes, attributes/request, connect, disconnect, rpc     the same for devices behind it
 *
 * `me` is the device of the connection, so a message of a sender that is none is refused. Topics that name no device reach
 * only the one for which they are meant: `OutgoingMessage.device`. A device that spoke to us this way, or whose gateway
 * did, can be sent commands.
 */
export class Thingsboard implements Dialect {
  readonly name = 'thingsboard';
  readonly #attributes: KnownAttributes;
  /** By device: its gateway, or null where it speaks for itself. The oldest is forgotten first. */
  readonly #ways = new Map<string, ThingsboardGateway | null>();
  /** By number: the command that went out under it. */
  readonly #sent = new Map<number, string>();

  constructor({ attributes }: { readonly attributes: KnownAttributes }) {
    this.#attributes = attributes;
  }

  claims(topic: string): boolean {
    return topic.startsWith(mine) || topic.startsWith(ofGateway);
  }

  decode(message: DialectMessage): Decoded {
    if (message.topic.startsWith(ofGateway)) {
      if (!message.sender.forOthers) {
        throw new RejectedError(
          'device_forbidden',
          'only a gateway may speak for other devices; give its profile "gateway"',
        );
      }
      const { decoded, names } = decodeThingsboardGateway(message, this.#attributes);
      for (const [device, name] of names) this.#remember(message, device, { device: message.sender.device, name });
      return this.#named(decoded);
    }
    const { device } = message.sender;
    if (device === null) {
      throw new RejectedError(
        'device_invalid',
        '"me" is the device that the connection belongs to, and this one belongs to none; connect with a device token as the user name',
      );
    }
    const decoded = this.#ofDevice(device, message);
    this.#remember(message, device, null);
    return this.#named(decoded);
  }

  /** The command as the device, or its gateway, expects it; null for a device that never spoke this dialect. */
  encode(command: Command): OutgoingMessage | null {
    const way = this.#ways.get(command.device);
    if (way === undefined) return null;
    const number = thingsboardNumber(command.id);
    remember(this.#sent, number, command.id);
    return encodeThingsboardCommand(command, number, way);
  }

  #ofDevice(device: string, message: DialectMessage): Decoded {
    const topic = message.topic.slice(mine.length);
    if (topic === 'telemetry') {
      const decoded = decodeThingsboardTelemetry(device, parseJson(decodeText(message.payload)), '');
      if (decoded.readings.length === 0) throw new RejectedError('payload_empty', 'the payload holds no reading');
      return { ...nothingDecoded, devices: [decoded] };
    }
    if (topic === 'attributes') {
      return { ...nothingDecoded, devices: [deviceMessage(device, { attributes: decodeAttributes(message.payload) })] };
    }
    const [, path, number = ''] = /^(.*)\/(\d{1,10})$/.exec(topic) ?? [];
    switch (path) {
      case 'attributes/request':
        return { ...nothingDecoded, requests: [this.#answerAttributes(device, number, message.payload)] };
      case 'rpc/response':
        return { ...nothingDecoded, replies: [decodeReply(device, number, message.payload)] };
      case 'rpc/request':
        return { ...nothingDecoded, requests: [refuseCall(device, number)] };
      default:
        throw new RejectedError(
          'topic_invalid',
          `"${shown(message.topic)}" is not taken here; use v1/devices/me/telemetry, …/attributes, …/attributes/request/{n} or …/rpc/response/{n}`,
        );
    }
  }

  /** `{"clientKeys":"a,b","sharedKeys":"c"}`; without `clientKeys` and `sharedKeys` everything. Nothing is shared here. */
  #answerAttributes(device: string, number: string, payload: Uint8Array): OutgoingMessage {
    const parsed = payload.length === 0 ? {} : parseJson(decodeText(payload));
    if (!isObject(parsed))
      throw new RejectedError('payload_shape', 'a request is an object such as {"clientKeys":"a"}');
    const { clientKeys, sharedKeys } = parsed;
    if (clientKeys !== undefined && typeof clientKeys !== 'string') {
      throw new RejectedError('payload_shape', '"clientKeys" is a text of names and commas', {
        pointer: '/clientKeys',
      });
    }
    const wanted = clientKeys?.split(',').map((key) => key.trim());
    const known = Object.entries(this.#attributes(device));
    const client = wanted ? known.filter(([key]) => wanted.includes(key)) : sharedKeys === undefined ? known : [];
    const answer = { client: Object.fromEntries(client), shared: {} };
    return outgoing(`v1/devices/me/attributes/response/${number}`, answer, device);
  }

  /** Replies come with our number; the id of the command is put in its place, where it is known. */
  #named(decoded: Decoded): Decoded {
    if (decoded.replies.length === 0) return decoded;
    const replies = decoded.replies.map((reply) => ({ ...reply, id: this.#sent.get(Number(reply.id)) ?? reply.id }));
    return { ...decoded, replies };
  }

  #remember(message: DialectMessage, device: string, way: ThingsboardGateway | null): void {
    // A message that is tried again is out of its order: the device may have gone another way since.
    if (message.again === true && this.#ways.has(device)) return;
    remember(this.#ways, device, way);
  }
}

function decodeReply(device: string, number: string, payload: Uint8Array): CommandReply {
  const result = toJson(payload.length === 0 ? null : parseJson(decodeText(payload)));
  return { device, id: number, status: failed(result) ? 'failed' : 'succeeded', result };
}

function refuseCall(device: string, number: string): OutgoingMessage {
  const answer = { error: 'calls from the device are not served here' };
  return outgoing(`v1/devices/me/rpc/response/${number}`, answer, device);
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (!map.has(key) && map.size >= rememberedMax) {
    const [oldest] = map.keys();
    map.delete(oldest);
  }
  map.set(key, value);
}
