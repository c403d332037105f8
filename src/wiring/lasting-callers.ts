import type { Duplex } from 'node:stream';
import type { Caller } from '../domain/principal.ts';

/** Who holds connections that outlive the request by which they came, so that they end when their key does. */
export class LastingCallers {
  readonly #callers = new Map<Duplex, Caller>();

  add(socket: Duplex, caller: Caller): void {
    this.#callers.set(socket, caller);
    socket.once('close', () => this.#callers.delete(socket));
  }

  /** Closes those of whom it is not true any more. */
  keep(holds: (caller: Caller) => boolean): void {
    for (const [socket, caller] of this.#callers) if (!holds(caller)) socket.destroy();
  }
}
