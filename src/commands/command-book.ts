import type { Timer } from '../base/clock.ts';
import { messageOf, RejectedError } from '../base/errors.ts';
import { type Command, type CommandReply, isFinal, type Json } from '../domain/command.ts';
import { Lane } from './lane.ts';
import { type CommandCounts, type CommandLimits, type CommandPorts, defaultCommandLimits } from './ports.ts';

/** What is asked of a device. */
export interface CommandDraft {
  readonly device: string;
  readonly name: string;
  readonly params: Json;
  /** How long it may take, ms. */
  readonly ttl: number;
}

/** Looks after the wall clock once in a while, since it may be set. */
const lookAgainMs = 3_600_000;
const retryMs = 1_000;

/**
 * The open commands, as they are committed. What is asked here (make, hand over, answer, expire, cancel) becomes a
 * commit, and only `apply`, which hears of commits, changes the book. A command that is final stays as it is, here and
 * in the store, so of two ends that were asked for at once the one committed first is the only one.
 *
 *     create ─► queued ──publish──► sent ──reply──► succeeded | failed
 *                  └──────────────────┴── expired | cancelled
 *
 * One that turns out to make no sense to its device when it is handed over has failed, too.
 */
export class CommandBook {
  readonly #ports: CommandPorts;
  readonly #limits: CommandLimits;
  /** By device; a device without open commands has none. */
  readonly #lanes = new Map<string, Lane>();
  readonly #byId = new Map<string, Command>();
  readonly #waiting = new Map<string, Set<(command: Command) => void>>();
  /** Open commands that are being created, by device. */
  readonly #creating = new Map<string, number>();
  #creatingTotal = 0;
  #timer: Timer | undefined;
  #timerDue = Number.POSITIVE_INFINITY;
  #isStopped = false;
  readonly #counts = {
    created: 0,
    published: 0,
    succeeded: 0,
    failed: 0,
    expired: 0,
    cancelled: 0,
    repliesIgnored: 0,
  };

  constructor(ports: CommandPorts, limits: CommandLimits = defaultCommandLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  /** Takes over the open commands that were recovered, oldest first, and tries to hand them over. */
  load(commands: readonly Command[]): void {
    for (const command of commands) this.#enter(command);
  }

  /**
   * Makes a command; resolves once it is on disk. Rejects with `RejectedError` (`too_many_commands`) beyond a bound, or
   * with `TransientError`.
   */
  async create({ device, name, params, ttl }: CommandDraft): Promise<Command> {
    this.#refuseBeyond(device);
    const createdAt = this.#ports.now();
    const command: Command = {
      id: this.#ports.newId(),
      device,
      name,
      params,
      state: 'queued',
      result: null,
      createdAt,
      expiresAt: createdAt + ttl,
      sentAt: null,
      settledAt: null,
    };
    this.#ports.check?.(command);
    this.#reserve(device, 1);
    try {
      await this.#ports.commit([command]);
    } finally {
      this.#reserve(device, -1);
    }
    this.#counts.created++;
    return this.#byId.get(command.id) ?? command;
  }

  /**
   * Ends an open command; the device is not told. Resolves with the command as it is then, which another end may have
   * reached first; undefined when it is not open.
   */
  async cancel(id: string): Promise<Command | undefined> {
    const command = this.#byId.get(id);
    if (!command) return undefined;
    const waiting = new AbortController();
    const settled = this.wait(id, waiting.signal);
    try {
      await this.#ports.commit([{ ...command, state: 'cancelled', settledAt: this.#ports.now() }]);
    } catch (error) {
      waiting.abort();
      throw error;
    }
    return settled;
  }

  /** What becomes of a device's open commands when it is forgotten, to be kept in that commit. Changes nothing. */
  cancelled(device: string): readonly Command[] {
    const settledAt = this.#ports.now();
    const open = this.#lanes.get(device)?.commands() ?? [];
    return Array.from(open, (command) => ({ ...command, state: 'cancelled', settledAt }));
  }

  /**
   * What becomes of a command whose device answered, to be kept in the commit of the answer; null when it is not for an
   * open command of this device. `at`: time of receipt, epoch ms. Changes nothing: the answer may yet come again.
   */
  reply({ device, id, status, result }: CommandReply, at: number): Command | null {
    const command = this.#byId.get(id);
    if (command?.device !== device) {
      this.#counts.repliesIgnored++;
      return null;
    }
    return { ...command, state: status, result, settledAt: at };
  }

  /** Hears of every commit, in order. */
  apply(commands: readonly Command[]): void {
    for (const command of commands) {
      // What is not known is new, or tells of one that is final already.
      if (this.#byId.has(command.id) || command.state === 'queued') this.#enter(command);
    }
  }

  /** A broker that was away is back: what nobody took is handed over, whomever it is for. */
  brokerServes(): void {
    for (const lane of this.#lanes.values()) lane.reachable();
  }

  /** The device connected, or was heard of in another way: it gets what it has not answered. */
  deviceOnline(device: string): void {
    this.#lanes.get(device)?.arrived();
  }

  /** The device, which is connected, was granted a subscription: it gets what it cannot have heard before. */
  deviceListens(device: string): void {
    this.#lanes.get(device)?.listens();
  }

  /** The device spoke in its dialect, which says how it is reached: it gets what nobody took before. */
  deviceSpoke(device: string): void {
    this.#lanes.get(device)?.reachable();
  }

  /** An open command. */
  find(id: string): Command | undefined {
    return this.#byId.get(id);
  }

  /** Resolves with the command once it is final; undefined when it is not open, or `signal` aborts first. */
  wait(id: string, signal: AbortSignal): Promise<Command | undefined> {
    if (!this.#byId.has(id) || signal.aborted) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<Command | undefined>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting);
    const done = (command?: Command): void => {
      signal.removeEventListener('abort', onAbort);
      waiting.delete(done);
      if (waiting.size === 0) this.#waiting.delete(id);
      resolve(command);
    };
    const onAbort = (): void => done();
    signal.addEventListener('abort', onAbort, { once: true });
    waiting.add(done);
    return promise;
  }

  /** As `wait`, and no longer than `waitMs`. */
  async waitAtMost(id: string, waitMs: number, signal: AbortSignal): Promise<Command | undefined> {
    const late = new AbortController();
    const timer = this.#ports.clock.after(waitMs, () => late.abort());
    try {
      return await this.wait(id, AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  }

  counts(): CommandCounts {
    return { open: this.#byId.size, ...this.#counts };
  }

  /** No command expires any more. May come twice. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #enter(command: Command): void {
    const { id, device, state } = command;
    const lane = this.#laneOf(device);
    if (isFinal(state)) {
      this.#byId.delete(id);
      this.#count(command);
    } else {
      this.#byId.set(id, command);
      if (command.expiresAt < this.#timerDue) this.#wakeAt(command.expiresAt, command.expiresAt - this.#ports.now());
    }
    lane.apply(command);
    if (lane.size === 0) this.#lanes.delete(device);
    // Each takes itself out of the set, which iterating a set allows.
    if (isFinal(state)) for (const done of this.#waiting.get(id) ?? []) done(command);
  }

  #laneOf(device: string): Lane {
    let lane = this.#lanes.get(device);
    if (!lane) {
      lane = new Lane(device, this.#ports, {
        published: (command) => this.#sent(command),
        refused: (command, refusal) => this.#refused(command, refusal),
      });
      this.#lanes.set(device, lane);
    }
    return lane;
  }

  #sent(command: Command): void {
    this.#counts.published++;
    // It may be answered by now; then this says nothing new and is not kept.
    const known = this.#byId.get(command.id);
    if (!known || this.#isStopped) return;
    this.#ports.commit([{ ...known, state: 'sent', sentAt: this.#ports.now() }]).catch((error: unknown) => {
      this.#ports.log.warn({ id: command.id, error: messageOf(error) }, 'that a command was sent could not be kept');
    });
  }

  /** Should that not be kept, it is handed over, and refused, again when its device comes back. */
  #refused(command: Command, { message }: RejectedError): void {
    if (this.#isStopped) return;
    const failed: Command = { ...command, state: 'failed', result: { error: message }, settledAt: this.#ports.now() };
    this.#ports.commit([failed]).catch((error: unknown) => {
      this.#ports.log.warn({ id: command.id, error: messageOf(error) }, 'that a command failed could not be kept');
    });
  }

  #refuseBeyond(device: string): void {
    const ofDevice = (this.#lanes.get(device)?.size ?? 0) + (this.#creating.get(device) ?? 0);
    const { deviceMax, totalMax } = this.#limits;
    if (ofDevice >= deviceMax) {
      throw new RejectedError(
        'too_many_commands',
        `the device "${device}" has ${deviceMax} commands that it has not answered; wait for them, or cancel some`,
      );
    }
    if (this.#byId.size + this.#creatingTotal >= totalMax) {
      throw new RejectedError('too_many_commands', `there are ${totalMax} commands that no device has answered yet`);
    }
  }

  #reserve(device: string, count: number): void {
    this.#creatingTotal += count;
    const reserved = (this.#creating.get(device) ?? 0) + count;
    if (reserved === 0) this.#creating.delete(device);
    else this.#creating.set(device, reserved);
  }

  #count({ state }: Command): void {
    if (state === 'queued' || state === 'sent') return;
    this.#counts[state]++;
  }

  /** One timer for the command that expires first; that it is final by then does no harm. */
  #planExpiry(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const { expiresAt } of this.#byId.values()) next = Math.min(next, expiresAt);
    this.#wakeAt(next, next - this.#ports.now());
  }

  #wakeAt(due: number, delayMs: number): void {
    this.#timer?.cancel();
    this.#timerDue = due;
    if (due === Number.POSITIVE_INFINITY || this.#isStopped) return;
    this.#timer = this.#ports.clock.after(Math.min(delayMs, lookAgainMs), () => this.#expire());
  }

  #expire(): void {
    const now = this.#ports.now();
    const expired = [...this.#byId.values()].filter(({ expiresAt }) => expiresAt <= now);
    if (expired.length === 0) {
      this.#planExpiry();
      return;
    }
    this.#timerDue = Number.POSITIVE_INFINITY;
    this.#ports.commit(expired.map((command) => ({ ...command, state: 'expired', settledAt: now }))).then(
      () => this.#planExpiry(),
      (error: unknown) => {
        this.#ports.log.warn({ commands: expired.length, error: messageOf(error) }, 'commands could not expire yet');
        this.#wakeAt(now, retryMs);
      },
    );
  }
}
