import { mustEqual } from './statistics.ts';

const outcomes = ['accepted', 'control', 'relayed', 'refused', 'shed', 'redelivered'];
const dispositions = ['stored', 'replaced', 'identical'];

/** What a gateway at rest says of itself over HTTP. */
export class GatewayFacts {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(httpPort: number, key?: string) {
    this.#base = `http://127.0.0.1:${httpPort}`;
    this.#headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  /** `/metrics` by sample: `name` or `name{label="value"}`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${this.#base}/metrics`, { headers: this.#headers })).text();
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  }

  /** Throws unless the ledger balances, every message was accepted and every reading stored. */
  async mustHold(messages: number, readings: number): Promise<void> {
    const metrics = await this.metrics();
    const at = (name: string): number => metrics.get(name) ?? Number.NaN;
    const total = (names: readonly string[]): number => names.reduce((sum, name) => sum + at(name), 0);
    mustEqual('messages received', at('pulsegate_messages_received_total'), messages);
    mustEqual('messages accepted', at('pulsegate_messages_total{outcome="accepted"}'), messages);
    mustEqual(
      'messages of every outcome',
      total(outcomes.map((name) => `pulsegate_messages_total{outcome="${name}"}`)),
      messages,
    );
    mustEqual('readings decoded', at('pulsegate_readings_decoded_total'), readings);
    mustEqual('readings stored', at('pulsegate_readings_total{disposition="stored"}'), readings);
    mustEqual(
      'readings of every disposition',
      total(dispositions.map((name) => `pulsegate_readings_total{disposition="${name}"}`)),
      readings,
    );
  }

  /** Readings of one series in the store, counted by the store. */
  async count(device: string, metric: string): Promise<number> {
    const query = new URLSearchParams({
      metric,
      from: '2000-01-01T00:00:00Z',
      to: '2100-01-01T00:00:00Z',
      bucket: '1d',
      agg: 'count',
    });
    const answer: unknown = await this.ask('GET', `/devices/${device}/readings?${query.toString()}`);
    const { buckets, next } = answer as { buckets: readonly { count: number }[]; next: string | null };
    if (next !== null) throw new Error('the readings of a bench span more days than one page holds');
    return buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  }

  /** Registers devices; their tokens in the same order. */
  async register(devices: readonly string[]): Promise<readonly string[]> {
    const answer: unknown = await this.ask(
      'POST',
      '/devices',
      devices.map((id) => ({ id })),
    );
    return (answer as { items: readonly { token: string }[] }).items.map(({ token }) => token);
  }

  /** A call of the REST API; throws what it answered unless it succeeded. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.#base}/api/v1${path}`, {
      method,
      headers: body === undefined ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
