import type { Client, ConnectPacket } from 'aedes';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { senderOf } from '../../domain/principal.ts';
import { isTopicName } from '../../domain/topic-filter.ts';
import type { Gatekeeper } from '../gatekeeper.ts';
import { Flapping } from './flapping.ts';
import type { RareLog } from './rare-log.ts';
import type { SessionGuard } from './session-guard.ts';
import { isSameOwner, type Visitor } from './visitor.ts';

/** Why somebody was not let in. The first two are said before a CONNECT, by closing; `barred` by closing, too. */
export type ConnectRefusal =
  | 'connections'
  | 'address'
  | 'barred'
  | 'protocol'
  | 'identifier'
  | 'taken'
  | 'flapping'
  | 'storage'
  | 'sessions'
  | 'credentials'
  | 'not_authorized'
  | 'will'
  | 'fault';

/** CONNACK return codes (MQTT 3.1.1 section 3.2.2.3). */
type ReturnCode = 2 | 3 | 4 | 5;

interface Refusal {
  readonly code: ReturnCode;
  readonly why: ConnectRefusal;
  readonly detail: string;
}

export interface AdmissionParts {
  readonly gatekeeper: Gatekeeper;
  readonly clock: Clock;
  readonly random: { next(): number };
  readonly log: Log;
  readonly rareLog: RareLog;
  /** The visitor who came over the client's connection. */
  readonly visitorOf: (client: Client) => Visitor | undefined;
  readonly sessions: SessionGuard;
  /** Somebody was let in; aedes goes on to restore the session and to answer. */
  readonly entered: (visitor: Visitor) => void;
}

/** After an outage devices come back spread over this long, ms. */
const readmissionMs = 1_000;
const clientIdMax = 256;

const codeReasons: Readonly<Record<ReturnCode, ConnectRefusal>> = {
  2: 'identifier',
  3: 'fault',
  4: 'credentials',
  5: 'not_authorized',
};

/**
 * From a whole CONNECT to the answer. What closes the connection without a word is decided in `preConnect`; aedes can
 * only answer with a return code from `authenticate`, so all else waits for that.
 */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #flapping: Flapping;
  /** By client id: who has it now. A newcomer needs the same credential (see `isSameOwner`). */
  readonly #holders = new Map<string, Visitor>();
  readonly #refused = new Map<ConnectRefusal, number>();
  /** Monotonic ms before which nobody is let in; Infinity while storage is unavailable. */
  #admitFrom = 0;
  #version5 = 0;
  /** Clients that came without an id, to give each its own. */
  #nameless = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#flapping = new Flapping(parts.clock);
  }

  get refused(): ReadonlyMap<ConnectRefusal, number> {
    return this.#refused;
  }

  /** CONNECTs of MQTT 5, which need the external broker mode. */
  get version5(): number {
    return this.#version5;
  }

  /** Who has the client id now. */
  holder(clientId: string): Visitor | undefined {
    return this.#holders.get(clientId);
  }

  /** Everybody who was let in and is still there. */
  get inside(): Iterable<Visitor> {
    return this.#holders.values();
  }

  /** While storage is unavailable nobody is let in; afterwards the devices come back spread over a second. */
  storageChanged(healthy: boolean): void {
    this.#admitFrom = healthy ? this.#parts.clock.monotonic() : Number.POSITIVE_INFINITY;
  }

  count(why: ConnectRefusal): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }

  /** Somebody speaks another version of MQTT, and is told so with return code 1. */
  protocolRefused(level: number, remote: string | undefined): void {
    this.count('protocol');
    if (level !== 5) {
      this.#parts.rareLog.warn({ remote, level }, 'an MQTT client was refused: there is no such protocol level');
      return;
    }
    this.#version5++;
    this.#parts.rareLog.warn(
      { remote },
      'an MQTT 5 client was refused: the embedded broker speaks MQTT 3.1.1; for MQTT 5 connect this gateway to a broker of yours (mqtt.mode: external)',
    );
  }

  left(visitor: Visitor): void {
    const { clientId } = visitor;
    if (clientId !== null && this.#holders.get(clientId) === visitor) this.#holders.delete(clientId);
  }

  preConnect(client: Client, packet: ConnectPacket, answer: (error: Error | null, success: boolean) => void): void {
    const visitor = this.#parts.visitorOf(client);
    if (!visitor) {
      answer(new Error('a client without a connection'), false);
      return;
    }
    visitor.client = client;
    const isNameless = packet.clientId === '';
    visitor.said = {
      clientId: packet.clientId,
      clean: packet.clean ?? true,
      protocolLevel: packet.protocolVersion ?? 0,
      willTopic: packet.will?.topic ?? null,
    };
    this.#look(visitor).then(
      (refusal) => {
        // It is given an id (MQTT 3.1.1 section 3.1.3.1), which shows in the quarantine and in the log.
        if (isNameless && refusal === null)
          packet.clientId = `nameless-${(++this.#nameless).toString(36)}-${Math.floor(this.#parts.random.next() * 2 ** 32).toString(36)}`;
        answer(refusal, refusal === null && !client.closed);
      },
      (error: unknown) => {
        this.count('fault');
        this.#parts.log.error({ error: messageOf(error) }, 'an MQTT client could not be judged');
        answer(error instanceof Error ? error : new Error(String(error)), false);
      },
    );
  }

  authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
    answer: (error: RefusedError | null, success: boolean) => void,
  ): void {
    const visitor = this.#parts.visitorOf(client);
    if (!visitor?.said) {
      answer(null, false);
      return;
    }
    this.#judge(visitor, client.id, { username, password: password?.toString('utf8') }).then(
      (refusal) => {
        if (client.closed) return;
        if (refusal) {
          this.#refuse(visitor, refusal, answer);
          return;
        }
        this.#flapping.connected(client.id);
        this.#parts.entered(visitor);
        answer(null, true);
      },
      (error: unknown) => {
        this.#parts.log.error({ client: client.id, error: messageOf(error) }, 'an MQTT client could not be judged');
        this.#refuse(visitor, { code: 3, why: 'fault', detail: messageOf(error) }, answer);
      },
    );
  }

  /** Before the CONNECT is looked at: an error closes the connection without an answer. */
  async #look({ visit }: Visitor): Promise<Error | null> {
    const { gatekeeper, clock, random } = this.#parts;
    const { remoteAddress } = visit;
    if (await gatekeeper.isBarred(remoteAddress)) {
      this.count('barred');
      return new Error('too many wrong credentials came from this address');
    }
    const sinceReadmission = clock.monotonic() - this.#admitFrom;
    if (this.#admitFrom > 0 && sinceReadmission >= 0 && sinceReadmission <= readmissionMs) {
      await clock.sleep(random.next() * readmissionMs);
    }
    return null;
  }

  async #judge(
    visitor: Visitor,
    clientId: string,
    credentials: { readonly username: string | undefined; readonly password: string | undefined },
  ): Promise<Refusal | null> {
    const early = this.#identifierFault(visitor) ?? this.#unavailable(visitor, clientId);
    if (early) return early;
    const { gatekeeper } = this.#parts;
    const certificate = visitor.certificate();
    const { remoteAddress } = visitor.visit;
    const admission = await gatekeeper.admit({ remoteAddress, clientId, ...credentials, certificate });
    if (!admission.allowed) {
      const { code, detail } = admission;
      return { code, why: codeReasons[code], detail };
    }
    const { principal } = admission;
    const willTopic = visitor.said?.willTopic ?? null;
    if (willTopic !== null && !(isTopicName(willTopic) && gatekeeper.mayPublish(principal, willTopic))) {
      return { code: 5, why: 'will', detail: `its will may not be published: ${willTopic.slice(0, 128)}` };
    }
    const holder = this.#holders.get(clientId);
    const isTaken = holder?.principal && !isSameOwner(holder.principal, principal);
    if (isTaken || !this.#parts.sessions.mayTakeUp(clientId, principal)) {
      return { code: 2, why: 'taken', detail: "the client id, or its session, is somebody else's" };
    }
    visitor.principal = principal;
    visitor.sender = senderOf(principal);
    // At once: another CONNECT with the same client id may be about to be judged.
    if (!visitor.connection.closed) this.#holders.set(clientId, visitor);
    return null;
  }

  /** MQTT 3.1.1 section 3.1.3.1: an id may be left out only with a clean session; MQTT 3.1 knows no empty one. */
  #identifierFault({ said }: Visitor): Refusal | null {
    const { clientId = '', clean = true, protocolLevel = 4 } = said ?? {};
    if (clientId === '' && !(clean && protocolLevel === 4))
      return identifierRefused('an empty client id needs a clean session');
    if (clientId.length > clientIdMax)
      return identifierRefused(`the client id is longer than ${clientIdMax} characters`);
    return clientId.includes('\0') ? identifierRefused('the client id contains NUL') : null;
  }

  #unavailable({ said }: Visitor, clientId: string): Refusal | null {
    const { clock, sessions } = this.#parts;
    if (this.#admitFrom > clock.monotonic()) {
      return { code: 3, why: 'storage', detail: 'storage is not available' };
    }
    if (this.#flapping.isBanned(clientId)) {
      return { code: 3, why: 'flapping', detail: 'it came and went too often; it is let in again within a minute' };
    }
    if (said?.clean === false && !sessions.mayOpen(clientId)) {
      return { code: 3, why: 'sessions', detail: 'there are too many sessions; see mqtt.sessionsMax' };
    }
    return null;
  }

  #refuse(
    { visit, clientId }: Visitor,
    { code, why, detail }: Refusal,
    answer: (error: RefusedError, success: boolean) => void,
  ): void {
    this.count(why);
    this.#parts.rareLog.warn({ remote: visit.remoteAddress, client: clientId, code, why: detail }, sentences[code]);
    answer(new RefusedError(code, detail), false);
  }
}

function identifierRefused(detail: string): Refusal {
  return { code: 2, why: 'identifier', detail };
}

/** What aedes makes a CONNACK of. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly returnCode: ReturnCode;

  constructor(code: ReturnCode, detail: string) {
    super(detail);
    this.returnCode = code;
  }
}

const sentences: Readonly<Record<ReturnCode, string>> = {
  2: 'an MQTT client was refused: its client id',
  3: 'an MQTT client was refused for now',
  4: 'an MQTT client was refused: its user name or password',
  5: 'an MQTT client was refused: it is not authorized',
};
