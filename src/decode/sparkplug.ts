import { RejectedError } from '../base/errors.ts';
import type { Command, Json } from '../domain/command.ts';
import type { DeviceStatus } from '../domain/device.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import {
  type Decoded,
  type DeviceMessage,
  deviceMessage,
  type Dialect,
  type DialectMessage,
  nothingDecoded,
  RejectedAsking,
} from './decoded.ts';
import { isObject, parseJson } from './native.ts';
import { rebirthRequest, sparkplugState } from './sparkplug-host.ts';
import { readSparkplug, type SparkplugMetric, type SparkplugPayload, writeSparkplug } from './sparkplug-payload.ts';
import { type SparkplugContent, sparkplugContent } from './sparkplug-readings.ts';
import { definitionOf, definitionsOf, type MetricDefinition, SparkplugSession } from './sparkplug-session.ts';
import {
  deviceIdBehind,
  edgeId,
  parseSparkplugTopic,
  sparkplugNamespace,
  type SparkplugTopic,
} from './sparkplug-topic.ts';
import { wireValue } from './sparkplug-value.ts';
import { decodeText } from './text.ts';

/** A node is asked for its birth at most this often, ms. */
const askEveryMs = 5_000;

/**
 * Most edge nodes that are remembered, and most metrics and devices of all of them, a long name counting as several; the
 * one longest unborn goes first.
 */
const limits = { nodesMax: 20_000, metricsMax: 500_000 };

type NodeTopic = Exclude<SparkplugTopic, { type: 'STATE' }>;

interface Node {
  readonly group: string;
  readonly edge: string;
  session: SparkplugSession | null;
  /** When it was asked for its birth last, epoch ms. */
  askedAt: number;
}

/**
 * Sparkplug B 3.0 as a host application sees it: births say what metrics there are, data names them by alias, deaths end
 * it. A gap in `seq`, data before a birth and an unknown alias have the node asked for its birth anew.
 *
 * An edge node is the device `{edge}`, a device behind it `{edge}:{device}`, for which the edge node speaks. The group is
 * the attribute `sparkplug.group`; `sparkplug.skipped` is how many metrics of the birth are no readings.
 */
export class Sparkplug implements Dialect {
  readonly name = 'sparkplug';
  readonly #host: string | null;
  readonly #limits: { readonly nodesMax: number; readonly metricsMax: number };
  /** By `group/edge`, the one longest unborn first. */
  readonly #nodes = new Map<string, Node>();
  #metrics = 0;
  #stateAt = Number.NEGATIVE_INFINITY;

  /** `host`: the id as which this gateway is a primary host application; null when it is none. */
  constructor({ host, ...bounds }: { readonly host: string | null } & Partial<typeof limits>) {
    this.#host = host;
    this.#limits = { ...limits, ...bounds };
  }

  claims(topic: string): boolean {
    return topic.startsWith(sparkplugNamespace);
  }

  decode(message: DialectMessage): Decoded {
    const topic = parseSparkplugTopic(message.topic);
    if (topic.type === 'STATE') return this.#heardState(topic.host, message);
    // Nothing is remembered of a node whose id cannot be one.
    idOf(topic);
    switch (topic.type) {
      case 'NCMD':
      case 'DCMD':
        return nothingDecoded;
      case 'NBIRTH':
      case 'DBIRTH':
        return this.#birth(topic, readSparkplug(message.payload), message);
      case 'NDEATH':
        return this.#nodeDeath(topic, readSparkplug(message.payload), message);
      case 'DDEATH':
        return this.#deviceDeath(topic, readSparkplug(message.payload), message);
      default:
        return this.#data(topic, readSparkplug(message.payload), message);
    }
  }

  /**
   * A command as NCMD or DCMD; null for a device that is not known from a birth. Its parameters are an object of metrics,
   * or the value of the metric that is the name of the command; `rebirth` asks for a birth. Throws `validation_failed` for
   * a metric that the birth did not name. `at`: epoch ms.
   */
  encode({ device, name, params }: Command, at: number): OutgoingMessage | null {
    const found = this.#find(device);
    if (!found) return null;
    const { node, session, owner } = found;
    if (name === 'rebirth') return rebirthRequest(node.group, node.edge, at);
    const wanted: Readonly<Record<string, Json>> = isJsonObject(params) ? params : { [name]: params };
    const timestamp = BigInt(Math.trunc(at));
    const metrics = Object.entries(wanted).map(([key, value]): SparkplugMetric => {
      const definition = session.named(key, owner);
      if (!definition) {
        throw new RejectedError('validation_failed', `the birth of ${device} has no metric "${key}"`, {
          pointer: '/params',
        });
      }
      const base = { name: definition.name, alias: definition.alias, timestamp, datatype: definition.datatype };
      return value === null
        ? { ...base, isTransient: false, isNull: true, value: null }
        : { ...base, isTransient: false, isNull: false, value: wireValue(definition.datatype, value, '/params') };
    });
    const path = owner === null ? `NCMD/${node.edge}` : `DCMD/${node.edge}/${owner}`;
    return {
      topic: `${sparkplugNamespace}${node.group}/${path}`,
      payload: writeSparkplug({ timestamp, metrics, seq: null }),
      qos: 0,
      retain: false,
      device: null,
    };
  }

  #birth(topic: NodeTopic, payload: SparkplugPayload, { receivedAt, again }: DialectMessage): Decoded {
    const owner = topic.device;
    const definitions = definitionsOf(payload.metrics, owner);
    const byName = new Map(definitions.map((definition) => [definition.name, definition]));
    const content = sparkplugContent(payload, (metric, index) => byName.get(metric.name ?? '') ?? unknown(index));
    const born = this.#message(topic, content, {
      status: 'online',
      attributes: {
        ...content.attributes,
        'sparkplug.group': topic.group.slice(0, 64),
        'sparkplug.skipped': content.skipped,
      },
    });
    if (again) return decoded([born]);
    if (owner === null) {
      this.#bear(
        topic,
        new SparkplugSession(bdSeqOf(payload), Number(BigInt.asUintN(8, payload.seq ?? 0n))),
        definitions,
      );
      return decoded([born]);
    }
    const node = this.#node(topic);
    // A birth tells everything by itself; but a node that is unknown, or of which something is missing, is asked.
    const isWhole = node.session?.advance(payload.seq) ?? false;
    if (node.session) this.#define(node.session, owner, definitions);
    return decoded([born], isWhole ? [] : this.#ask(node, receivedAt));
  }

  #data(topic: NodeTopic, payload: SparkplugPayload, { receivedAt, again }: DialectMessage): Decoded {
    const owner = topic.device;
    if (again) {
      const content = sparkplugContent(payload, (metric, index) => definitionOf(metric, owner) ?? unknownAgain(index));
      return decoded([this.#message(topic, content)]);
    }
    const node = this.#node(topic);
    const { session } = node;
    const isWhole = session?.advance(payload.seq) ?? false;
    const requests = isWhole ? [] : this.#ask(node, receivedAt);
    const content = sparkplugContent(payload, (metric, index) => {
      // What carries name and type needs no birth.
      const definition = session?.find(metric, owner) ?? definitionOf(metric, owner);
      if (definition) return definition;
      throw new RejectedAsking('payload_invalid', unknownDetail(session !== null), {
        pointer: `/metrics/${index}`,
        requests: requests.length > 0 ? requests : this.#ask(node, receivedAt),
      });
    });
    return decoded([this.#message(topic, content)], requests);
  }

  #nodeDeath(topic: NodeTopic, payload: SparkplugPayload, { again }: DialectMessage): Decoded {
    if (again) return nothingDecoded;
    const node = this.#nodes.get(keyOf(topic));
    const session = node?.session ?? null;
    const bdSeq = bdSeqOf(payload);
    // The will of a connection that a newer birth has replaced says nothing about the newer one (section 5.2).
    if (session && session.bdSeq !== null && bdSeq !== null && session.bdSeq !== bdSeq) return nothingDecoded;
    if (node) this.#end(node);
    const behind = [...(session?.owners ?? [])].map((owner) => this.#gone({ ...topic, type: 'DDEATH', device: owner }));
    return decoded([this.#gone(topic), ...behind]);
  }

  #deviceDeath(topic: NodeTopic, payload: SparkplugPayload, { receivedAt, again }: DialectMessage): Decoded {
    if (again) return nothingDecoded;
    const node = this.#node(topic);
    const isWhole = node.session?.advance(payload.seq) ?? false;
    if (node.session) this.#define(node.session, topic.device, null);
    return decoded([this.#gone(topic)], isWhole ? [] : this.#ask(node, receivedAt));
  }

  /** Somebody says that this host is gone, a will of its last connection perhaps: it says that it is here (section 5.3). */
  #heardState(host: string, { payload, receivedAt, again }: DialectMessage): Decoded {
    if (host !== this.#host || again || payload.length === 0) return nothingDecoded;
    const state = parseJson(decodeText(payload));
    if (!isObject(state) || state.online !== false || receivedAt - this.#stateAt < askEveryMs) return nothingDecoded;
    this.#stateAt = receivedAt;
    return decoded([], [sparkplugState(host, true, receivedAt)]);
  }

  #message(topic: NodeTopic, content: SparkplugContent, parts: Partial<DeviceMessage> = {}): DeviceMessage {
    const { readings, timePointers, valuePointers } = content;
    return deviceMessage(idOf(topic), { readings, timePointers, valuePointers, ...through(topic), ...parts });
  }

  #gone(topic: NodeTopic): DeviceMessage {
    const status: DeviceStatus = 'offline';
    return deviceMessage(idOf(topic), { status, ...through(topic) });
  }

  #ask(node: Node, at: number): readonly OutgoingMessage[] {
    if (at - node.askedAt < askEveryMs) return [];
    node.askedAt = at;
    return [rebirthRequest(node.group, node.edge, at)];
  }

  #node(topic: NodeTopic): Node {
    const key = keyOf(topic);
    let node = this.#nodes.get(key);
    if (!node) {
      node = { group: topic.group, edge: topic.edge, session: null, askedAt: Number.NEGATIVE_INFINITY };
      this.#nodes.set(key, node);
      this.#bound();
    }
    return node;
  }

  #bear(topic: NodeTopic, session: SparkplugSession, definitions: readonly MetricDefinition[]): void {
    const node = this.#node(topic);
    this.#end(node);
    this.#nodes.delete(keyOf(topic));
    this.#nodes.set(keyOf(topic), node);
    node.session = session;
    this.#define(session, null, definitions);
  }

  /** With null the owner is gone. */
  #define(session: SparkplugSession, owner: string | null, definitions: readonly MetricDefinition[] | null): void {
    this.#metrics -= session.size;
    if (definitions) session.define(owner, definitions);
    else session.forget(owner);
    this.#metrics += session.size;
    this.#bound();
  }

  #end(node: Node): void {
    this.#metrics -= node.session?.size ?? 0;
    node.session = null;
  }

  /** Who is forgotten is asked for a birth with its next message. */
  #bound(): void {
    for (const [key, node] of this.#nodes) {
      const isWithin = this.#nodes.size <= this.#limits.nodesMax && this.#metrics <= this.#limits.metricsMax;
      // A birth is no longer than a packet, so a node without devices may be alone above the bound.
      const isAlone = this.#nodes.size === 1 && (node.session?.owners.size ?? 0) === 0;
      if (isWithin || isAlone) return;
      this.#end(node);
      this.#nodes.delete(key);
    }
  }

  #find(
    device: string,
  ): { readonly node: Node; readonly session: SparkplugSession; readonly owner: string | null } | null {
    for (const node of this.#nodes.values()) {
      const { session, edge } = node;
      if (!session || !device.startsWith(edgeId(edge))) continue;
      if (device === edgeId(edge)) return { node, session, owner: null };
      const owner = [...session.owners].find((each) => deviceIdBehind(edge, each) === device);
      if (owner !== undefined) return { node, session, owner };
    }
    return null;
  }
}

function decoded(devices: readonly DeviceMessage[], requests: readonly OutgoingMessage[] = []): Decoded {
  return { devices, replies: [], requests };
}

function keyOf({ group, edge }: NodeTopic): string {
  return `${group}/${edge}`;
}

function idOf({ edge, device }: NodeTopic): string {
  return device === null ? edgeId(edge) : deviceIdBehind(edge, device);
}

function through({ edge, device }: NodeTopic): Pick<DeviceMessage, 'through'> {
  return device === null ? {} : { through: edgeId(edge) };
}

function bdSeqOf({ metrics }: SparkplugPayload): bigint | null {
  const value = metrics.find(({ name }) => name === 'bdSeq')?.value;
  if (value?.kind === 'long') return value.value;
  return value?.kind === 'int' ? BigInt(value.value) : null;
}

function unknown(index: number): never {
  throw new RejectedError('payload_invalid', 'the metric has no name', { pointer: `/metrics/${index}` });
}

function unknownAgain(index: number): never {
  throw new RejectedError(
    'payload_invalid',
    'the metric has no name and datatype of its own, and the session in which its alias had a meaning is over',
    { pointer: `/metrics/${index}` },
  );
}

function unknownDetail(isBorn: boolean): string {
  return isBorn
    ? 'no birth has named this alias; the node was asked for a birth'
    : 'nothing is known of this node yet; it was asked for a birth';
}

function isJsonObject(value: Json): value is { readonly [name: string]: Json } {
  return isObject(value);
}
