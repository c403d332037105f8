import { expect } from 'vitest';
import type { ClientFrame, ServerFrame } from '../../src/contract/live.ts';
import { type Cursor, parseCursor } from '../../src/domain/cursor.ts';
import { compileGlob } from '../../src/domain/glob.ts';
import { LiveTestClient } from './live-client.ts';
import type { LiveSource } from './live-source.ts';

type Request = Omit<Extract<ClientFrame, { op: 'subscribe' }>, 'op' | 'id' | 'since'>;

/** An unbroken stretch of the stream as the client saw it: everything after `from`. */
interface Segment {
  readonly from: number;
  readonly seen: string[];
  /** The rows of its snapshot so far; null where there is none to come. */
  snapshot: string[] | null;
}

/**
 * A client that keeps its place by the rules in `contract/live.ts` and compares what it saw with the history of the
 * source: each segment must be exactly what was committed in it, each snapshot exactly what was current.
 */
export class LiveModelClient {
  readonly request: Request;
  readonly #source: LiveSource;
  #client: LiveTestClient | null = null;
  #connection: symbol | null = null;
  #isSubscribed = false;
  #cursor: Cursor | null = null;
  #segment: Segment | null = null;
  readonly #names = new Map<number, { device: string; metric: string }>();
  /** What a screen would show: the last row that came for each series. */
  readonly #shown = new Map<string, string>();
  gaps = 0;
  recovered = 0;
  checked = 0;
  fault: unknown = null;

  constructor(source: LiveSource, request: Request) {
    this.#source = source;
    this.request = request;
  }

  get isConnected(): boolean {
    return this.#client !== null;
  }

  async connect(url: string): Promise<void> {
    const since = this.#cursor;
    // Without a cursor that counts there is nothing to go on from.
    if (!since) this.#segment = null;
    this.#names.clear();
    this.#isSubscribed = false;
    const connection = Symbol('connection');
    this.#connection = connection;
    const client = await LiveTestClient.connect(url, (frame) => {
      // What a broken connection still delivers is not heard any more.
      if (this.#connection === connection) this.#hearSafely(frame);
    });
    this.#client = client;
    client.send({
      op: 'subscribe',
      id: 's',
      ...this.request,
      ...(since ? { since: `${since.epoch}:${since.seq}` } : {}),
    });
  }

  /** Breaks the connection; what is still on its way is lost. */
  disconnect(): void {
    const client = this.#client;
    this.#client = null;
    this.#connection = null;
    client?.socket.terminate();
  }

  /** Waits until this client has examined everything, then checks what it holds. */
  async settle(): Promise<void> {
    const client = this.#client;
    if (!client) throw new Error('not connected');
    const { epoch, last } = this.#source;
    await client.until(() => this.fault !== null || (this.#cursor?.epoch === epoch && this.#cursor.seq === last));
    if (this.fault) throw this.fault;
    this.#endSegment(last);
    if (this.request.topic !== 'alerts') this.#checkScreen();
  }

  #hearSafely(frame: ServerFrame): void {
    try {
      this.#hear(frame);
    } catch (error) {
      this.fault ??= error;
    }
  }

  #hear(frame: ServerFrame): void {
    switch (frame.op) {
      case 'subscribed':
        this.#isSubscribed = true;
        if (frame.recovered) {
          expect(parseCursor(frame.cursor)).toEqual(this.#cursor);
          this.recovered++;
        } else if (this.#segment === null) this.#beginSegment(frame.cursor);
        return;
      case 'gap':
        this.gaps++;
        this.#endSegment(parseCursor(frame.after).seq);
        this.#beginSegment(frame.resumed);
        return;
      case 'snapshot':
        this.#takeSnapshot(frame);
        return;
      case 'readings': {
        this.#see(rowsOf(frame, this.#names));
        this.#cursor = parseCursor(frame.cursor);
        return;
      }
      case 'alert':
        this.#see([`${frame.type} ${frame.alert.id} ${frame.sequence}`]);
        this.#cursor = parseCursor(frame.cursor);
        return;
      case 'heartbeat':
        // One that was on its way before the subscription began says nothing about it.
        if (this.#isSubscribed && this.#segment?.snapshot === null) this.#cursor = parseCursor(frame.cursor);
        return;
      case 'error':
        throw new Error(`${frame.code}: ${frame.message}`);
      default:
        return;
    }
  }

  #beginSegment(cursor: string): void {
    this.#segment = { from: parseCursor(cursor).seq, seen: [], snapshot: [] };
    this.#cursor = null;
  }

  #takeSnapshot(frame: Extract<ServerFrame, { op: 'snapshot' }>): void {
    const segment = this.#segment;
    if (!segment?.snapshot) throw new Error('a snapshot came that was not announced');
    const rows = 'alerts' in frame ? frame.alerts.map((alert) => alert.id) : rowsOf(frame, this.#names);
    segment.snapshot.push(...rows);
    if (!frame.done) return;
    const expected = 'alerts' in frame ? this.#openAt(segment.from) : this.#currentAt(segment.from);
    expect(segment.snapshot.toSorted()).toEqual(expected.toSorted());
    for (const row of segment.snapshot) this.#show(row);
    segment.snapshot = null;
    this.#cursor = { epoch: this.#source.epoch, seq: segment.from };
  }

  #see(rows: readonly string[]): void {
    const segment = this.#segment;
    if (!segment || segment.snapshot) throw new Error('readings came before the snapshot was done');
    segment.seen.push(...rows);
    for (const row of rows) this.#show(row);
  }

  #show(row: string): void {
    const [device, metric] = row.split(' ');
    this.#shown.set(`${device} ${metric}`, row);
  }

  #endSegment(to: number): void {
    const segment = this.#segment;
    // A snapshot that was cut off has no cursor, so nothing was promised after it.
    if (!segment || segment.snapshot) return;
    if (this.request.mode !== 'latest') {
      const isAlerts = this.request.topic === 'alerts';
      const expected = isAlerts ? this.#transitionsIn(segment.from, to) : this.#readingsIn(segment.from, to);
      // A connection that broke between the transitions of one commit repeats them; `sequence` tells.
      expect(isAlerts ? [...new Set(segment.seen)] : segment.seen).toEqual(expected);
    }
    this.checked++;
  }

  #matching(): (names: { device: string; metric: string }) => boolean {
    const device = compileGlob(this.request.device ?? '*');
    const metric = compileGlob(this.request.metric ?? '*');
    return (names) => device(names.device) && metric(names.metric);
  }

  #readingsIn(from: number, to: number): string[] {
    const matches = this.#matching();
    return this.#source.history
      .slice(from, to)
      .flatMap(({ readings }) => readings.filter(matches))
      .map(textOf);
  }

  #transitionsIn(from: number, to: number): string[] {
    const matches = this.#matching();
    return this.#source.history
      .slice(from, to)
      .flatMap(({ batch }) => batch.transitions.filter(({ alert }) => matches(alert)))
      .map(({ type, alert, sequence }) => `${type} ${alert.id} ${sequence}`);
  }

  #currentAt(seq: number): string[] {
    const matches = this.#matching();
    const newest = new Map<string, { time: number; text: string }>();
    for (const { readings } of this.#source.history.slice(0, seq)) {
      for (const reading of readings.filter(matches)) {
        const key = `${reading.device} ${reading.metric}`;
        const known = newest.get(key);
        if (!known || reading.time >= known.time) newest.set(key, { time: reading.time, text: textOf(reading) });
      }
    }
    return [...newest.values()].map(({ text }) => text);
  }

  #openAt(seq: number): string[] {
    const matches = this.#matching();
    const open = new Set<string>();
    for (const { batch } of this.#source.history.slice(0, seq)) {
      for (const { alert } of batch.transitions.filter(({ alert }) => matches(alert))) {
        if (alert.state === 'firing') open.add(alert.id);
        else open.delete(alert.id);
      }
    }
    return [...open];
  }

  #checkScreen(): void {
    // In mode all a late reading comes after a newer one; a screen shows that, so only latest is compared.
    if (this.request.mode !== 'latest') return;
    expect([...this.#shown.values()].toSorted()).toEqual(this.#currentAt(this.#source.last).toSorted());
  }
}

function textOf(reading: { device: string; metric: string; time: number; value: unknown }): string {
  return `${reading.device} ${reading.metric} ${reading.time} ${JSON.stringify(reading.value)}`;
}

function rowsOf(
  frame: Extract<ServerFrame, { op: 'readings' | 'snapshot' }>,
  names: Map<number, { device: string; metric: string }>,
): string[] {
  if ('readings' in frame) {
    return frame.readings.map((reading) => textOf({ ...reading, time: Date.parse(reading.time) }));
  }
  if (!('points' in frame)) return [];
  for (const [n, device, metric] of frame.series) {
    if (names.has(n)) throw new Error(`the series ${n} was told twice`);
    names.set(n, { device, metric });
  }
  return frame.points.map(([n, time, value]) => {
    const series = names.get(n);
    if (!series) throw new Error(`the series ${n} was never told`);
    return textOf({ ...series, time, value });
  });
}
