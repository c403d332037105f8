import { expect } from 'vitest';
import { ask } from './http-client.ts';

/** `/metrics` by sample: `name` or `name{label="value"}`. */
export type Metrics = ReadonlyMap<string, number>;

export async function readMetrics(httpPort: number, headers: Readonly<Record<string, string>> = {}): Promise<Metrics> {
  const { text } = await ask(httpPort, '/metrics', { headers });
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

export function sample(metrics: Metrics, name: string): number {
  const value = metrics.get(name);
  if (value === undefined) throw new Error(`there is no sample ${name}`);
  return value;
}

const outcomes = ['accepted', 'control', 'relayed', 'refused', 'shed', 'redelivered'];
const dispositions = ['stored', 'replaced', 'identical'];

/** Both equations of the ledger, as the outside sees them. The gateway must be at rest. */
export function expectBalanced(metrics: Metrics): void {
  const sum = (names: readonly string[]): number => names.reduce((total, name) => total + sample(metrics, name), 0);
  const messages = outcomes.map((outcome) => `pulsegate_messages_total{outcome="${outcome}"}`);
  const readings = dispositions.map((disposition) => `pulsegate_readings_total{disposition="${disposition}"}`);
  const shown = Object.fromEntries(
    [...messages, ...readings].map((name): [string, number | undefined] => [name, metrics.get(name)]),
  );
  expect(sum(messages), JSON.stringify(shown)).toBe(sample(metrics, 'pulsegate_messages_received_total'));
  expect(sum(readings), JSON.stringify(shown)).toBe(sample(metrics, 'pulsegate_readings_decoded_total'));
  expect(sample(metrics, 'pulsegate_window_messages')).toBe(0);
  expect(sample(metrics, 'pulsegate_window_bytes')).toBe(0);
}
