import type { RouteScope } from '../domain/key.ts';
import type { Caller } from '../domain/principal.ts';

interface Lasting {
  readonly caller: Caller;
  readonly scope: RouteScope;
  readonly end: () => void;
}

/** Who holds a connection, or waits for an answer that takes long, so that these end when what let him in does not hold. */
export class LastingCallers {
  readonly #lasting = new Set<Lasting>();

  /** What comes back is to be called when it is over by itself. `scope`: what it takes. */
  add(caller: Caller, scope: RouteScope, end: () => void): () => void {
    const lasting = { caller, scope, end };
    this.#lasting.add(lasting);
    return () => void this.#lasting.delete(lasting);
  }

  /** Ends what is held by those who would not be let in any more. */
  keep(holds: (caller: Caller, scope: RouteScope) => boolean): void {
    for (const { caller, scope, end } of this.#lasting) if (!holds(caller, scope)) end();
  }
}
