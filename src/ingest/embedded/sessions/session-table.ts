import type { Clock, Timer } from '../../../base/clock.ts';
import type { StoreClient } from './packet.ts';
import { Session } from './session.ts';
import { encodeSession, type SessionFacts } from './session-codec.ts';
import type { SessionJournal } from './session-journal.ts';

export interface TableLimits {
  /** Most sessions, those of connected clients included; 0: no limit. */
  readonly sessionsMax: number;
  /** A session is forgotten after its client was away this long, ms. */
  readonly sessionExpiry: number;
}

interface TableParts {
  readonly clock: Clock;
  readonly journal: SessionJournal;
  /** A session is about to go; its rows are dealt with. */
  readonly forgotten: (session: Session) => void;
}

const sweepMs = 30_000;
const claimsMax = 100_000;

/** The sessions by client id: who is there, since when one is away, and when it is forgotten. */
export class SessionTable {
  readonly #limits: TableLimits;
  readonly #parts: TableParts;
  readonly #sessions = new Map<string, Session>();
  /** Owners of clients that are connected or about to be. */
  readonly #claims = new Map<string, string>();
  listener: ((clientId: string, filters: readonly string[]) => void) | undefined;
  refused = 0;
  evicted = 0;
  expired = 0;
  #sweep: Timer | undefined;

  constructor(limits: TableLimits, parts: TableParts) {
    this.#limits = limits;
    this.#parts = parts;
    this.#sweepLater();
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  /** The session of the client, a new one where there is none. */
  of(clientId: string): Session {
    let session = this.#sessions.get(clientId);
    if (!session) {
      const { clock } = this.#parts;
      session = new Session(clientId, this.claimOf(clientId), clock.monotonic(), clock.now());
      this.#sessions.set(clientId, session);
    }
    return session;
  }

  /** What each session is subscribed to, with any QoS; those without subscriptions are left out. */
  *filters(): Generator<readonly [clientId: string, filters: readonly string[]]> {
    for (const { id, subscriptions } of this.#sessions.values()) {
      if (subscriptions.size > 0) yield [id, [...subscriptions.keys()]];
    }
  }

  claim(clientId: string, owner: string): void {
    this.#claims.delete(clientId);
    this.#claims.set(clientId, owner);
    // Whoever was let in and never became a client is not seen to go.
    const [oldest] = this.#claims.keys();
    if (this.#claims.size > claimsMax && oldest !== undefined) this.#claims.delete(oldest);
  }

  claimOf(clientId: string): string {
    return this.#claims.get(clientId) ?? '';
  }

  unclaim(clientId: string): void {
    this.#claims.delete(clientId);
  }

  /**
   * Whether a session may be opened for the client; to be asked at CONNECT with clean session 0, and answered with return
   * code 3 when not. No session is dropped while it holds anything, for that was promised; one with nothing in it makes
   * room, the longest absent first.
   */
  hasRoomFor(clientId: string): boolean {
    const { sessionsMax } = this.#limits;
    if (sessionsMax === 0 || this.#sessions.has(clientId) || this.#sessions.size < sessionsMax) return true;
    let idle: Session | undefined;
    for (const session of this.#sessions.values()) {
      if (session.isIdle && (!idle || session.absentFrom < idle.absentFrom)) idle = session;
    }
    if (idle) {
      this.evicted++;
      this.#forget(idle);
      return true;
    }
    this.refused++;
    return false;
  }

  /** A CONNECT asks for its session; nothing is sent to it before its CONNACK. */
  open(clientId: string): Session {
    const session = this.of(clientId);
    session.isOpening = true;
    session.absentFrom = this.#parts.clock.monotonic();
    const owner = this.claimOf(clientId);
    if (session.isDurable && session.owner === owner) return session;
    session.owner = owner;
    this.#put(session);
    return session;
  }

  attach(session: Session, client: StoreClient): void {
    session.client = client;
    session.absentSince = 0;
    this.#put(session);
  }

  detach(session: Session): void {
    const { clock } = this.#parts;
    session.client = null;
    session.absentFrom = clock.monotonic();
    session.absentSince = clock.now();
    this.#put(session);
  }

  /** The sessions of one owner. */
  ofOwner(owner: string): readonly string[] {
    return [...this.#sessions.values()].filter((session) => session.owner === owner).map(({ id }) => id);
  }

  /** Ends a session with everything in it; whether there was one. */
  forget(clientId: string): boolean {
    const session = this.#sessions.get(clientId);
    if (session) this.#forget(session);
    return session !== undefined;
  }

  recover(clientId: string, { owner, absentSince }: SessionFacts): void {
    const session = this.of(clientId);
    session.owner = owner;
    session.absentSince = absentSince;
    session.isDurable = true;
  }

  /** Everything was recovered: who was connected when the gateway stopped is away from now on. */
  recovered(): void {
    const { clock } = this.#parts;
    for (const session of this.#sessions.values()) {
      const away = session.absentSince > 0 ? Math.max(clock.now() - session.absentSince, 0) : 0;
      session.absentFrom = clock.monotonic() - away;
      if (session.absentSince > 0) continue;
      session.absentSince = clock.now();
      this.#put(session);
    }
  }

  stop(): void {
    this.#sweep?.cancel();
  }

  #put(session: Session): void {
    session.isDurable = true;
    const encode = (): Uint8Array => encodeSession({ absentSince: session.absentSince, owner: session.owner });
    this.#parts.journal.put('session', session.id, '', encode);
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.id);
    this.#parts.journal.clear(session.id);
    this.#parts.forgotten(session);
    this.listener?.(session.id, [...session.subscriptions.keys()]);
  }

  #sweepLater(): void {
    const { clock } = this.#parts;
    this.#sweep = clock.after(sweepMs, () => {
      const limit = clock.monotonic() - this.#limits.sessionExpiry;
      for (const session of this.#sessions.values()) {
        if (session.client !== null || session.absentFrom > limit) continue;
        this.expired++;
        this.#forget(session);
      }
      this.#sweepLater();
    });
  }
}
