import type { Client, PublishPacket } from 'aedes';
import type { Receipt } from '../../domain/message.ts';
import { anySender } from '../../domain/principal.ts';
import { isReservedTopic, isTopicName } from '../../domain/topic-filter.ts';
import { fingerprint } from '../fingerprint.ts';
import type { Gatekeeper } from '../gatekeeper.ts';
import type { RedeliveryBook } from '../redelivery.ts';
import type { BrokerSink } from './broker-parts.ts';
import type { DeviceRate } from './device-rate.ts';
import type { ProvisionDesk } from './provision-desk.ts';
import type { RareLog } from './rare-log.ts';
import type { RetainedCounts } from './retained-counts.ts';
import type { SessionGuard } from './session-guard.ts';
import { ownerOf, type Visitor } from './visitor.ts';

/** A PUBLISH, whether aedes read it or the express lane did. */
export interface Publish {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** Undefined for QoS 0, and for wills. */
  readonly messageId?: number | undefined;
  readonly dup: boolean;
}

export interface EntranceParts {
  readonly sink: BrokerSink;
  readonly redelivery: RedeliveryBook;
  readonly gatekeeper: Gatekeeper;
  readonly rate: DeviceRate;
  readonly retained: RetainedCounts;
  readonly sessions: SessionGuard;
  readonly desk: ProvisionDesk;
  readonly rareLog: RareLog;
  readonly topicLevelsMax: number;
  readonly visitorOf: (client: Client) => Visitor | undefined;
}

/** What becomes of a message. */
type Verdict =
  /** It goes to the sink, and to whoever is subscribed. */
  | 'relayed'
  /** It goes to the sink and to nobody else. */
  | 'kept'
  /** It asks for a token. */
  | 'provisioning'
  /** It is acknowledged, and that is all. */
  | 'dropped';

/**
 * Topics whose meaning depends on who is connected. They are for the gateway alone: relayed, what one device says would
 * reach every other that is subscribed to the same words.
 */
const personalPrefixes = ['v1/devices/me/', 'v1/gateway/'];

/** Where aedes is told to relay what nobody shall get: nobody may subscribe to `$`, and no wildcard stands for it. */
const nowhere = '$nowhere';

/**
 * Where messages come in, by aedes or by the express lane. MQTT 3.1.1 has no way to say no to a PUBLISH but to close the
 * connection, and a device that sends again what it may not send would be closed for ever; so what is refused is
 * acknowledged, dropped and counted, and the connection stays.
 */
export class Entrance {
  readonly #parts: EntranceParts;
  #refused = 0;
  #unretained = 0;
  #wills = 0;

  constructor(parts: EntranceParts) {
    this.#parts = parts;
  }

  /** Messages refused, messages that were not retained though they asked for it, and wills that went out. */
  get counts(): { readonly refused: number; readonly unretained: number; readonly wills: number } {
    return { refused: this.#refused, unretained: this.#unretained, wills: this.#wills };
  }

  /** A message that aedes read. It answers, and goes on to relay the message, once `done` is called. */
  shown(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
    const visitor = client ? this.#parts.visitorOf(client) : undefined;
    const answer: Receipt = (failure) => done(failure ?? null);
    const { topic, qos, dup, messageId } = packet;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const publish = { topic, payload, qos, dup, messageId };
    // A will comes when its client is gone: there is nobody to answer, and nobody to close should it take long.
    if (!client || client.closed || !visitor) {
      this.#takeWill(visitor, publish, answer);
      return;
    }
    visitor.connection.publishShown();
    if (qos > 0 && messageId === 0) {
      // [MQTT-2.3.1-1]
      done(new Error('a PUBLISH has packet id 0'));
      return;
    }
    if (!isTopicName(topic)) {
      // [MQTT-1.5.3-2], [MQTT-3.3.2-2]
      done(new Error(`this is no topic to publish to: ${topic.slice(0, 64)}`));
      return;
    }
    const verdict = this.#judge(visitor, publish);
    if (verdict !== 'relayed' || this.#isUnderWay(visitor, publish)) {
      packet.topic = nowhere;
      packet.retain = false;
    } else if (packet.retain) {
      packet.retain = this.#mayRetain(visitor, publish);
    }
    const receipt = qos > 0 ? visitor.connection.answers.expectFrom(answer) : answer;
    // The packet id of QoS 2 is noted whatever becomes of the message: aedes asks for it before the PUBREC.
    const leavesSomething = verdict === 'relayed' || qos === 2;
    this.#follow(verdict, visitor, publish, leavesSomething ? this.#prepared(payload, receipt) : receipt);
  }

  /**
   * A QoS 2 message that was sent again before its PUBREC: subscribers are to have it once ([MQTT-4.3.3-2]). Once the
   * PUBREC is there aedes knows the packet id and sees to that itself.
   */
  #isUnderWay({ clientId }: Visitor, { topic, payload, qos, messageId }: Publish): boolean {
    if (qos !== 2 || messageId === undefined || clientId === null) return false;
    const hash = fingerprint(topic, payload);
    return this.#parts.redelivery.isOpen({ client: clientId, packetId: messageId, hash });
  }

  /** A message that the express lane read: nobody is subscribed to its topic. */
  receive(visitor: Visitor, publish: Publish, receipt: Receipt): void {
    this.#follow(this.#judge(visitor, publish), visitor, publish, receipt);
  }

  #follow(verdict: Verdict, visitor: Visitor, publish: Publish, receipt: Receipt): void {
    if (verdict === 'relayed' || verdict === 'kept') this.#handOn(visitor, publish, receipt);
    else if (verdict === 'provisioning') this.#parts.desk.serve(visitor, receipt);
    else receipt();
  }

  /** What sessions are owed, and what is retained, is on disk before the message is answered, too. */
  #prepared(payload: Uint8Array, receipt: Receipt): Receipt {
    const prepared = this.#parts.sessions.prepare(payload);
    if (!prepared) return receipt;
    return (failure) => {
      if (failure) {
        prepared.abandon();
        receipt(failure);
      } else {
        prepared.written.then(
          () => receipt(),
          (error: unknown) => receipt(error instanceof Error ? error : new Error(String(error))),
        );
      }
    };
  }

  #judge(visitor: Visitor, { topic, payload, qos }: Publish): Verdict {
    const { gatekeeper, rate, sink, topicLevelsMax } = this.#parts;
    const { principal, bucket, connection } = visitor;
    if (!principal || !gatekeeper.mayPublish(principal, topic) || isReservedTopic(topic)) {
      return this.#refuse(visitor, topic, 'device_forbidden');
    }
    if (countLevels(topic) > topicLevelsMax) return this.#refuse(visitor, topic, 'topic_invalid');
    if (bucket && !rate.take(bucket, { qos, bytes: payload.length }, connection)) {
      sink.shed();
      return 'dropped';
    }
    if (principal.kind === 'provisioning') return 'provisioning';
    return personalPrefixes.some((prefix) => topic.startsWith(prefix)) ? 'kept' : 'relayed';
  }

  #refuse(visitor: Visitor, topic: string, code: 'device_forbidden' | 'topic_invalid'): Verdict {
    this.#refused++;
    const { clientId, device } = visitor;
    this.#parts.rareLog.warn(
      { client: clientId, device, topic: topic.slice(0, 128), code },
      'a message was refused: acknowledged and dropped',
    );
    this.#parts.sink.refused(code);
    return 'dropped';
  }

  #handOn({ clientId, sender }: Visitor, publish: Publish, receipt: Receipt): void {
    const { topic, payload, qos, dup, messageId } = publish;
    const { sink, redelivery } = this.#parts;
    if (qos === 0 || messageId === undefined || clientId === null) {
      sink.receive({ topic, payload, qos, client: clientId, sender, identity: null }, receipt);
      return;
    }
    const identity = { client: clientId, packetId: messageId, hash: fingerprint(topic, payload) };
    const repeated = dup || (qos === 2 && redelivery.isOpen(identity));
    const settle = redelivery.admit(identity, repeated, receipt);
    if (settle) sink.receive({ topic, payload, qos, client: clientId, sender, identity }, settle);
    else sink.redelivered();
  }

  /**
   * A will is judged again when it goes out: its device may have lost the right meanwhile, or be gone. One that is left
   * over from before a restart comes without its client; it was judged when it was left.
   */
  #takeWill(visitor: Visitor | undefined, publish: Publish, answer: Receipt): void {
    const { gatekeeper, sink, topicLevelsMax } = this.#parts;
    const { topic, payload, qos } = publish;
    const principal = visitor?.principal;
    const isRefused = principal && !(gatekeeper.isValid(principal) && gatekeeper.mayPublish(principal, topic));
    if (isRefused || isReservedTopic(topic) || !isTopicName(topic) || countLevels(topic) > topicLevelsMax) {
      this.#refused++;
      sink.refused('device_forbidden');
      answer(new Error('the will may not be published'));
      return;
    }
    this.#wills++;
    const { clientId = null, sender = anySender } = visitor ?? {};
    const receipt = this.#prepared(payload, answer);
    sink.receive({ topic, payload, qos, client: clientId, sender, identity: null }, receipt);
  }

  /** A message beyond what a client may retain is sent on like any other; nothing of it is lost but its staying. */
  #mayRetain({ principal, clientId }: Visitor, { topic, payload }: Publish): boolean {
    if (!principal || clientId === null) return false;
    const owner = principal.kind === 'open' ? clientId : ownerOf(principal);
    if (this.#parts.retained.set(owner, topic, payload.length === 0)) return true;
    this.#unretained++;
    this.#parts.rareLog.warn(
      { client: clientId, topic: topic.slice(0, 128) },
      'a message was not retained: its client has set as many as it may, see mqtt.retainedPerClientMax',
    );
    return false;
  }
}

function countLevels(topic: string): number {
  let levels = 1;
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) levels++;
  return levels;
}
