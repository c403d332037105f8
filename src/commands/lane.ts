import { messageOf, RejectedError } from '../base/errors.ts';
import { type Command, isFinal } from '../domain/command.ts';
import type { CommandPorts, Taker } from './ports.ts';

/** What a lane tells of its commands. */
export interface LaneListener {
  /** It was handed over, perhaps not for the first time. */
  published(command: Command): void;
  /** It makes no sense to its device, whose dialect or description was not known when it was made. */
  refused(command: Command, refusal: RejectedError): void;
}

/**
 * The open commands of one device, in order of creation, and the one who hands them over: one after the other, so that
 * they reach the device in that order. Whom nobody takes waits until the device is there again.
 */
export class Lane {
  readonly device: string;
  readonly #ports: CommandPorts;
  readonly #listener: LaneListener;
  readonly #open = new Map<string, Command>();
  /** Ids that are to be handed over, or handed over again. */
  readonly #due = new Set<string>();
  /** Ids that nobody took, though they were to be handed over. */
  readonly #missed = new Set<string>();
  #isSending = false;
  /** Ids that somebody took, perhaps not the device, before it began to listen. */
  readonly #early = new Set<string>();
  /** Whether the device was granted a subscription since it came. */
  #isListening = false;
  /** Counts how often the device came or began to listen, so that a "nobody there" of before is not taken for one of now. */
  #arrivals = 0;

  constructor(device: string, ports: CommandPorts, listener: LaneListener) {
    this.device = device;
    this.#ports = ports;
    this.#listener = listener;
  }

  get size(): number {
    return this.#open.size;
  }

  commands(): Iterable<Command> {
    return this.#open.values();
  }

  /** A command as it is committed now; a new one is handed over. */
  apply(command: Command): void {
    if (isFinal(command.state)) {
      this.#open.delete(command.id);
      this.#due.delete(command.id);
      this.#missed.delete(command.id);
      this.#early.delete(command.id);
      return;
    }
    const isNew = !this.#open.has(command.id);
    this.#open.set(command.id, command);
    if (isNew) this.#plan([command.id]);
  }

  /** The device is there: what it has not answered is handed over, again where it was before. */
  arrived(): void {
    this.#arrivals++;
    this.#isListening = false;
    this.#missed.clear();
    this.#early.clear();
    this.#plan(this.#open.keys());
  }

  /**
   * The device, which is there, listens to more than before: what nobody took is handed over, and again what somebody
   * took while the device did not listen yet.
   */
  listens(): void {
    this.#isListening = true;
    const early = [...this.#early];
    this.#early.clear();
    for (const id of early) this.#missed.add(id);
    this.reachable();
  }

  /** How to reach the device is known better than before: what nobody took is handed over. */
  reachable(): void {
    this.#arrivals++;
    const missed = [...this.#missed];
    this.#missed.clear();
    this.#plan(missed);
  }

  #plan(ids: Iterable<string>): void {
    for (const id of ids) this.#due.add(id);
    if (this.#isSending || this.#due.size === 0) return;
    this.#isSending = true;
    this.#send()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#isSending = false;
        // What came to be due after the last look.
        this.#plan([]);
      });
  }

  async #send(): Promise<void> {
    for (let next = this.#next(); next; next = this.#next()) {
      this.#due.delete(next.id);
      const { expiresAt } = next;
      if (expiresAt <= this.#ports.now()) continue;
      const arrivals = this.#arrivals;
      const wasListening = this.#isListening;
      const taken = await this.#handOver(next);
      if (taken === 'refused') continue;
      if (taken !== 'nobody') this.#listener.published(next);
      if (!this.#open.has(next.id) || taken === 'device') continue;
      if (taken === 'somebody') {
        if (wasListening) continue;
        if (!this.#isListening) this.#early.add(next.id);
        else this.#due.add(next.id);
        continue;
      }
      this.#due.add(next.id);
      if (arrivals === this.#arrivals) this.#miss();
    }
  }

  /** `refused` for one that nobody can ever take, which must not hold up those behind it. */
  async #handOver(command: Command): Promise<Taker | 'refused'> {
    try {
      return await this.#ports.publish(command);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      this.#listener.refused(command, error);
      return 'refused';
    }
  }

  #miss(): void {
    for (const id of this.#due) this.#missed.add(id);
    this.#due.clear();
  }

  /** The oldest that is due: one that came to be due again while others were sent is not sent out of its turn. */
  #next(): Command | undefined {
    if (this.#due.size === 0) return undefined;
    for (const command of this.#open.values()) if (this.#due.has(command.id)) return command;
    return undefined;
  }

  #failed(error: unknown): void {
    this.#miss();
    this.#ports.log.warn(
      { device: this.device, error: messageOf(error) },
      'a command was not handed over; it is tried again when its device comes back',
    );
  }
}
