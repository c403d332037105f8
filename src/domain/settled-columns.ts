import type { SettledMessage } from './commit.ts';

/**
 * Settled messages column by column, so that thousands of them cross a thread without an object each. Message i is
 * (clients[client[i]], packetIds[i], hashes[i]); only the first `count` rows count.
 */
export interface SettledColumns {
  readonly count: number;
  /** Client ids, each once. */
  readonly clients: readonly string[];
  /** Index in `clients`. */
  readonly client: Uint32Array<ArrayBuffer>;
  readonly packetIds: Uint16Array<ArrayBuffer>;
  readonly hashes: Float64Array<ArrayBuffer>;
}

/** Gathers settled messages into columns of a size that is known before. */
export class SettledBuilder {
  readonly #clients: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #client: Uint32Array<ArrayBuffer>;
  readonly #packetIds: Uint16Array<ArrayBuffer>;
  readonly #hashes: Float64Array<ArrayBuffer>;
  #count = 0;
  #lastClient = '';
  #lastPlace = -1;

  /** Room for `countMax` messages. */
  constructor(countMax: number) {
    this.#client = new Uint32Array(countMax);
    this.#packetIds = new Uint16Array(countMax);
    this.#hashes = new Float64Array(countMax);
  }

  add(message: SettledMessage): void {
    const row = this.#count++;
    this.#client[row] = this.#place(message.client);
    this.#packetIds[row] = message.packetId;
    this.#hashes[row] = message.hash;
  }

  build(): SettledColumns {
    return {
      count: this.#count,
      clients: this.#clients,
      client: this.#client,
      packetIds: this.#packetIds,
      hashes: this.#hashes,
    };
  }

  /** What one client sent mostly stands together. */
  #place(client: string): number {
    if (this.#lastPlace >= 0 && client === this.#lastClient) return this.#lastPlace;
    let place = this.#places.get(client);
    if (place === undefined) {
      place = this.#clients.push(client) - 1;
      this.#places.set(client, place);
    }
    this.#lastClient = client;
    this.#lastPlace = place;
    return place;
  }
}

export function settledColumns(messages: readonly SettledMessage[]): SettledColumns {
  const builder = new SettledBuilder(messages.length);
  for (const message of messages) builder.add(message);
  return builder.build();
}

/** The messages of the columns, in order. */
export function settledMessages(columns: SettledColumns): SettledMessage[] {
  return Array.from({ length: columns.count }, (_, row) => ({
    client: columns.clients[columns.client[row]] ?? '',
    packetId: columns.packetIds[row],
    hash: columns.hashes[row],
  }));
}
