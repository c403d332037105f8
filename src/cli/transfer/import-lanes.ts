import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { Ingested } from '../../contract/reading.ts';
import type { Reading } from '../../domain/reading.ts';
import type { FileRow } from './file-rows.ts';
import { GatewayAnswerError, type GatewayClient, textOf } from '../gateway-client.ts';
import { delayBefore, silenceMax } from '../gateway-patience.ts';

/** What became of readings. */
export interface Tally {
  stored: number;
  replaced: number;
  identical: number;
  refused: number;
}

export interface RefusedRow {
  readonly row: FileRow;
  readonly code: string;
  readonly detail: string;
}

export interface LanesParts {
  readonly gateway: GatewayClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly tally: Tally;
  /** Ends waiting and asking. */
  readonly signal: AbortSignal;
  readonly refuse: (row: RefusedRow) => void;
  /** Says for what it waits; "" when it goes on. */
  readonly note: (text: string) => void;
}

interface Batch {
  readonly first: FileRow;
  readonly lines: string[];
  /** The row of each line. */
  readonly rows: FileRow[];
  bytes: number;
}

interface Lane {
  filling: Batch | null;
  sending: Batch | null;
  sent: Promise<void>;
}

const lanesCount = 4;
const batchReadingsMax = 5_000;
const batchBytesMax = 1_048_576;
/** How far behind a reading may wait for its batch to fill, in bytes of the file. */
const lagMax = 8 * 1_048_576;

/**
 * Sends readings in batches, a few at a time. All readings of a device go one way, one batch after the other, so that of
 * two values for the same time the later line wins, and so that nothing arrives late that the file has in order.
 */
export class ImportLanes {
  readonly #parts: LanesParts;
  readonly #lanes: readonly Lane[] = Array.from({ length: lanesCount }, () => ({
    filling: null,
    sending: null,
    sent: Promise.resolve(),
  }));
  #hasAnswered = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(parts: LanesParts) {
    this.#parts = parts;
  }

  /** Takes a reading; resolves when there is room for more. Rejects when sending has failed for good. */
  async add({ device, metric, time, value }: Reading, row: FileRow): Promise<void> {
    const lane = this.#lanes[laneOf(device)];
    const batch = (lane.filling ??= { first: row, lines: [], rows: [], bytes: 0 });
    const line = `${JSON.stringify({ device, metric, time, value })}\n`;
    batch.lines.push(line);
    batch.rows.push(row);
    batch.bytes += line.length;
    if (batch.lines.length >= batchReadingsMax || batch.bytes >= batchBytesMax) await this.#send(lane);
  }

  /** Sends what has waited long; called now and then with how far the file has been read. */
  async hurry(begin: number): Promise<void> {
    for (const lane of this.#lanes) {
      if (lane.filling && begin - lane.filling.first.begin > lagMax) await this.#send(lane);
    }
  }

  /** Sends everything and waits for the answers. */
  async flush(): Promise<void> {
    for (const lane of this.#lanes) if (lane.filling) await this.#send(lane);
    await this.settle();
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for the answers that are under way, and sends no more. */
  async settle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.sent));
  }

  /** The first row of which not everything is acknowledged; null when all that was added is. */
  get pending(): FileRow | null {
    const firsts = this.#lanes.map(({ sending, filling }) => (sending ?? filling)?.first ?? null);
    return firsts.reduce((least, row) => (least === null || (row && row.begin < least.begin) ? row : least), null);
  }

  async #send(lane: Lane): Promise<void> {
    await lane.sent;
    if (this.#failure) throw this.#failure.error;
    const batch = lane.filling;
    if (!batch) return;
    lane.filling = null;
    lane.sending = batch;
    lane.sent = this.#deliver(batch).then(
      () => {
        lane.sending = null;
      },
      // The batch stays what is not acknowledged.
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
  }

  async #deliver(batch: Batch): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const taken = await this.#post(batch);
        this.#hasAnswered = true;
        this.#count(taken, batch);
        return;
      } catch (error) {
        if (isTooLarge(error) && batch.lines.length > 1) {
          for (const half of halves(batch)) await this.#deliver(half);
          return;
        }
        const { clock, random, signal, note } = this.#parts;
        const delay = delayBefore(attempt, error, { random, hasAnswered: this.#hasAnswered });
        if (delay === null) throw error;
        note(`waiting: ${messageOf(error)}`);
        await clock.sleep(delay, signal);
        note('');
      }
    }
  }

  async #post({ lines }: Batch): Promise<Ingested> {
    const { gateway, signal } = this.#parts;
    const question = { type: 'application/x-ndjson', body: lines.join(''), signal, silenceMax };
    const answer = await gateway.open('POST', '/readings?partial=true', question);
    return Ingested.parse(JSON.parse(await textOf(answer)));
  }

  #count({ stored, replaced, identical, refused = [] }: Ingested, { rows }: Batch): void {
    const { tally, refuse } = this.#parts;
    tally.stored += stored;
    tally.replaced += replaced;
    tally.identical += identical;
    for (const { pointer = '', code, detail } of refused) {
      refuse({ row: rows[Number(pointer.split('/')[1])], code, detail });
    }
  }
}

/** The same for all readings of a device. */
function laneOf(device: string): number {
  let hash = 0;
  for (let index = 0; index < device.length; index++) hash = (hash * 31 + device.charCodeAt(index)) >>> 0;
  return hash % lanesCount;
}

function isTooLarge(error: unknown): boolean {
  return error instanceof GatewayAnswerError && error.status === 413;
}

function halves({ lines, rows }: Batch): readonly Batch[] {
  const middle = lines.length >>> 1;
  return [
    { first: rows[0], lines: lines.slice(0, middle), rows: rows.slice(0, middle), bytes: 0 },
    { first: rows[middle], lines: lines.slice(middle), rows: rows.slice(middle), bytes: 0 },
  ];
}
