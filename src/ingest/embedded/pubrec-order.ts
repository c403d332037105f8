type Done = (error?: Error) => void;

interface Turn {
  readonly done: Done;
  outcome: { readonly error: Error | undefined } | undefined;
}

/**
 * PUBRECs of one client leave in the order of its messages ([MQTT-4.6.0-3]). aedes writes one when its message has gone
 * to whoever subscribed, so one that nobody did would overtake.
 */
export class PubrecOrder {
  readonly #turns: Turn[] = [];

  /** `done`, held back until all that were taken before have been called. */
  take(done: Done): Done {
    const turn: Turn = { done, outcome: undefined };
    this.#turns.push(turn);
    return (error) => {
      turn.outcome = { error };
      while (this.#turns[0]?.outcome) {
        const [{ done: next, outcome }] = this.#turns.splice(0, 1);
        next(outcome?.error);
      }
    };
  }
}
