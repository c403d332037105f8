import { RejectedError, TransientError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { CommandBook } from '../../src/commands/command-book.ts';
import type { CommandLimits } from '../../src/commands/ports.ts';
import { type Command, isFinal } from '../../src/domain/command.ts';
import { FakeClock } from './fake-clock.ts';

/** Everything around a command book: a disk that commits later or fails, devices that are there or away. */
export class CommandsWorld {
  readonly clock = new FakeClock();
  /** What is on disk, by id; a command that is final stays, as the engine keeps it. */
  readonly disk = new Map<string, Command>();
  /** Every final state that came to be on disk, by id. */
  readonly finals = new Map<string, string[]>();
  readonly online = new Set<string>();
  /** Names of commands that make no sense to their devices, as is known by now. */
  readonly senseless = new Set<string>();
  /** Device and id of every command that was handed over, in order. */
  readonly published: string[] = [];
  /** Somebody watches everything that is said to devices. */
  isWatched = false;
  /** Commits are kept waiting. */
  held = false;
  failing = false;
  book: CommandBook;
  #waiting: (() => void)[] = [];
  #made = 0;
  readonly #limits: CommandLimits | undefined;

  constructor(limits?: CommandLimits) {
    this.#limits = limits;
    this.book = this.#start();
  }

  /** The process is gone with what was not on disk, and comes up again. */
  kill(): void {
    this.book.stop();
    this.#waiting = [];
    this.book = this.#start();
    const open = [...this.disk.values()].filter(({ state }) => !isFinal(state));
    this.book.load(open);
  }

  arrive(device: string): void {
    this.online.add(device);
    this.book.deviceOnline(device);
  }

  /** The device answers; the answer is committed as the pipeline does it. */
  async answer(device: string, id: string, status: 'succeeded' | 'failed'): Promise<boolean> {
    const command = this.book.reply({ device, id, status, result: { status } }, this.clock.now());
    if (!command) return false;
    await this.#commit(this.book, [command]).catch(() => undefined);
    return true;
  }

  /** Lets commits that wait go on. */
  release(): void {
    this.held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  #start(): CommandBook {
    const book: CommandBook = new CommandBook(
      {
        commit: (commands) => this.#commit(book, commands),
        publish: async ({ device, id, name }) => {
          await Promise.resolve();
          if (this.senseless.has(name)) throw new RejectedError('validation_failed', `there is no ${name}`);
          const isHere = this.online.has(device);
          if ((!isHere && !this.isWatched) || this.book !== book) return 'nobody';
          this.published.push(`${device} ${id}`);
          return this.isWatched ? 'somebody' : 'device';
        },
        now: () => this.clock.now(),
        clock: this.clock,
        newId: () => `c${++this.#made}`,
        log: silentLog,
      },
      this.#limits,
    );
    return book;
  }

  async #commit(book: CommandBook, commands: readonly Command[]): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    else await Promise.resolve();
    // What a dead process had asked for never reached the disk.
    if (book !== this.book) return new Promise(() => {});
    if (this.failing) throw new TransientError('the disk is full');
    for (const command of commands) {
      const known = this.disk.get(command.id);
      if (known && isFinal(known.state)) continue;
      this.disk.set(command.id, command);
      if (isFinal(command.state)) {
        this.finals.set(command.id, [...(this.finals.get(command.id) ?? []), command.state]);
      }
    }
    book.apply(commands);
  }
}

/** Lets everything run that needs no clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
